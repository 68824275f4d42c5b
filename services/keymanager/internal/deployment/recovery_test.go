package deployment_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
)

// What a backup would bring back is noted, whatever ended it; what it would bring back wider than it was is told.
func TestWhatABackupWouldBringBack(t *testing.T) {
	t.Parallel()
	backup := deployment.Facts{Revision: 100, AuditEntry: 1000}
	key, principal := deployment.Revoked{Keys: []string{"t"}}, deployment.Revoked{Principals: []deployment.Place{{ContextID: "acme", ID: "t"}}}
	for name, test := range map[string]struct {
		action audit.Action
		id     int64
		detail string
		want   deployment.Revoked
		wider  bool
	}{
		"a key":                      {audit.KeyDeleted, 1001, `{"revision":101}`, key, false},
		"a key, before":              {audit.KeyDeleted, 1001, `{"revision":100}`, deployment.Revoked{}, false},
		"a key, with a lower id":     {audit.KeyDeleted, 999, `{"revision":101}`, key, false},
		"a rotation":                 {audit.KeyRotated, 1001, `{"revision":101}`, key, false},
		"a token":                    {audit.TokenRevoked, 1001, `{"revision":101}`, key, false},
		"tokens":                     {audit.TokensRotated, 1001, `{"revision":101,"revoked":["a","b"]}`, deployment.Revoked{Keys: []string{"a", "b"}}, false},
		"an account":                 {audit.AccountRevoked, 1001, `{"revision":101}`, principal, false},
		"a principal":                {audit.PrincipalDeleted, 1001, `{"revision":101}`, principal, false},
		"a context":                  {audit.ContextDeleted, 1001, `{"revision":101}`, deployment.Revoked{Contexts: []string{"t"}}, false},
		"limits":                     {audit.KeyEdited, 1001, `{"revision":101}`, deployment.Revoked{}, true},
		"limits, before":             {audit.KeyEdited, 1001, `{"revision":99}`, deployment.Revoked{}, false},
		"a key that was disabled":    {audit.KeyDisabled, 1001, `{"revision":101}`, deployment.Revoked{}, true},
		"a management key":           {audit.ManagementKeyReplaced, 1001, `{}`, deployment.Revoked{}, true},
		"a management key, before":   {audit.ManagementKeyReplaced, 1000, ``, deployment.Revoked{}, false},
		"a webhook":                  {audit.WebhookDeleted, 1001, `{}`, deployment.Revoked{}, true},
		"a mint":                     {audit.KeyMinted, 1001, `{"revision":101}`, deployment.Revoked{}, false},
		"a refusal":                  {audit.AccessDenied, 1001, `{}`, deployment.Revoked{}, false},
		"an action of a release yet": {"to.come", 1001, `{}`, deployment.Revoked{}, false},
	} {
		var got deployment.Revoked
		wider, err := got.Note(auditchain.Record{
			ID: test.id, Action: string(test.action), ContextID: "acme", Target: "t", Detail: json.RawMessage(test.detail),
		}, backup)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || wider != test.wider {
			t.Errorf("%s: wider %v (-want +got):\n%s", name, wider, diff)
		}
	}
	if _, err := new(deployment.Revoked).Note(auditchain.Record{ID: 1001, Action: "key.deleted", Detail: json.RawMessage(`[]`)}, backup); err == nil {
		t.Error("a detail that is a list is read")
	}
}
