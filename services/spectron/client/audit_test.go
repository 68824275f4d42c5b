package client_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// entryJSON is an entry of which the detail has a number that no float holds.
var entryJSON = `{"seq":2,"prev":"` + strings.Repeat("0a", 32) + `","hash":"` + strings.Repeat("0b", 32) + `","id":7,"at":"2026-09-01T12:00:00.000001Z",
	"action":"key.rotated","actor_kind":"management","actor_key_id":"m","context_id":"acme","target":"k","trace_id":"t","remote":"192.0.2.1",
	"outcome":"done","detail":{"revision":9007199254740993}}`

func TestTheAuditLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	state := `"head":{"seq":2,"hash":"` + strings.Repeat("0b", 32) + `"},"anchor":{"seq":0,"hash":"` + strings.Repeat("00", 32) + `"}`
	linked := http.Header{"Link": {`</api/v1/audit?order=asc&cursor=Mg>; rel="next"`}}
	m, s := newManagement(t, map[string][]answer{"getAudit": {
		{status: http.StatusOK, header: linked, body: `{"entries":[],` + state + `}`},
		{status: http.StatusOK, body: `{"entries":[` + entryJSON + `],` + state + `}`},
		{status: http.StatusOK, body: `{"entries":[],` + state + `}`},
	}})
	var got []auditchain.Record
	query := client.AuditQuery{
		Action: "key.rotated", Actor: "m", ActorKind: "management", ContextID: "acme", Target: "k", TraceID: "t", Outcome: "done",
		Since: noon, Until: noon, Oldest: true, After: 1,
	}
	for entry, err := range m.Audit(t.Context(), query) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry)
	}
	if len(got) != 1 {
		t.Fatalf("%d entries", len(got))
	}
	sameJSON(t, got[0], entryJSON)
	if string(got[0].Detail) != `{"revision":9007199254740993}` {
		t.Errorf("the detail is %s", got[0].Detail)
	}
	found, err := m.AuditState(t.Context())
	if err != nil || found.Head.Seq != 2 || found.Head.Hash != got[0].Hash || found.Anchor != (auditchain.Head{}) {
		t.Errorf("%+v, %v", found, err)
	}
	const filters = "action=key.rotated&actor_kind=management&actor=m&context_id=acme&target=k&trace_id=t&outcome=done" +
		"&since=2026-09-01T12%3A00%3A00Z&until=2026-09-01T12%3A00%3A00Z"
	want := []seen{
		{"GET", "/api/v1/audit?limit=500&order=asc&after=1&" + filters, ""},
		{"GET", "/api/v1/audit?limit=500&cursor=Mg&order=asc&after=1&" + filters, ""},
		{"GET", "/api/v1/audit?limit=1&order=desc", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
