package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// operations are requests to every route that asks who calls, none of them valid: who calls is asked first.
var operations = map[string][]struct{ method, target, body string }{
	"operator": {
		{"GET", "/api/v1/verbs", ""},
		{"GET", "/api/v1/contexts?limit=x", ""},
		{"POST", "/api/v1/contexts", "{"},
		{"GET", "/api/v1/contexts/UPPER", ""},
		{"POST", "/api/v1/contexts/UPPER", "{"},
		{"PATCH", "/api/v1/contexts/default", "{"},
		{"DELETE", "/api/v1/contexts/nobody", ""},
		{"GET", "/api/v1/contexts/nobody/keys?limit=0", ""},
		{"POST", "/api/v1/contexts/default/keys/k?ttl_seconds=-1", "{"},
		{"DELETE", "/api/v1/contexts/nobody/keys/k", ""},
		{"POST", "/api/v1/contexts/nobody/keys/k/rotate?ttl_seconds=0", ""},
		{"POST", "/api/v1/contexts/default/access-tokens", "{"},
		{"GET", "/api/v1/contexts/nobody/usage", ""},
		{"POST", "/api/v1/contexts/nobody/lifecycle/decay", "{"},
		{"POST", "/api/v1/contexts/nobody/lifecycle/reindex", "{"},
		{"GET", "/api/v1/migrations", ""},
		{"GET", "/api/v1/audit?limit=0", ""},
		{"GET", "/api/v1/contexts/nobody/principals?limit=0", ""},
		{"POST", "/api/v1/contexts/default/principals", "{"},
		{"GET", "/api/v1/contexts/default/principals/nobody", ""},
		{"PATCH", "/api/v1/contexts/default/principals/system", "{"},
		{"DELETE", "/api/v1/contexts/default/principals/admin", ""},
		{"POST", "/api/v1/contexts/default/principals/system/grants", "{"},
		{"DELETE", "/api/v1/contexts/default/principals/system/grants", "{"},
		{"GET", "/api/v1/contexts/default/principals/nobody/keys", ""},
		{"POST", "/api/v1/contexts/default/principals/nobody/keys/k", "{"},
		{"DELETE", "/api/v1/contexts/default/principals/nobody/keys/k", ""},
		{"POST", "/api/v1/contexts/default/principals/nobody/keys/k/rotate", ""},
	},
	"service": {
		{"POST", introspection.Path, "{"},
		{"POST", introspection.BootstrapPath, "{"},
		{"GET", introspection.PurgesPath, ""},
		{"DELETE", introspection.PurgesPath + "/x", ""},
		{"POST", introspection.JobsPath, ""},
		{"DELETE", introspection.JobsPath + "/x", ""},
		{"POST", introspection.LeasesPath, "{"},
		{"GET", introspection.WatchPath, ""},
		{"POST", introspection.UsesPath, "{"},
	},
}

func TestWhoCallsIsAskedFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		gone := into[httpapi.MintedKey](t, s.operate("POST", keys+"/gone", nil), http.StatusCreated)
		rotated := into[httpapi.MintedKey](t, s.operate("POST", keys+"/gone/rotate", nil), http.StatusOK)
		into[struct{}](t, s.operate("DELETE", keys+"/gone", nil), http.StatusNoContent)
		bad := map[string]string{
			"no key": "", "garbage": "garbage", "a wrong checksum": s.management[:len(s.management)-1] + "_",
			"an unknown key": newKey(t).Reveal(), "a rotated-out key": gone.Key, "a deleted key": rotated.Key,
		}
		for actor, list := range operations {
			for _, op := range list {
				var first []byte
				for name, token := range bad {
					a := s.send(op.method, op.target, token, op.body)
					if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != `Bearer realm="spectron"` {
						t.Errorf("%s %s with %s: status %d, challenge %q", op.method, op.target, name, a.status, a.header.Get("WWW-Authenticate"))
					}
					if first == nil {
						first = a.body
					}
					if !bytes.Equal(first, a.body) {
						t.Errorf("%s %s: the answer to %s differs from another 401", op.method, op.target, name)
					}
				}
				switch actor {
				case "operator":
					refused(t, s.send(op.method, op.target, s.first, op.body), fault.Forbidden, "")
					refused(t, s.send(op.method, op.target, serviceToken(t), op.body), fault.Unauthenticated, "")
				case "service":
					refused(t, s.send(op.method, op.target, s.first, op.body), fault.Unauthenticated, "")
					refused(t, s.send(op.method, op.target, s.management, op.body), fault.Unauthenticated, "")
				}
			}
		}
	})
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		unknown := newKey(t).Reveal()
		response := s.introspect(t, s.first, unknown, s.management, s.first)
		for i, want := range []bool{true, false, false, true} {
			if response.Verdicts[i].Active != want {
				t.Errorf("verdict %d: active %v, want %v", i, !want, want)
			}
			if blank, err := json.Marshal(response.Verdicts[i]); err != nil || !want && string(blank) != `{"active":false,"key_grants":null}` {
				t.Errorf("an inactive verdict tells more: %s", blank)
			}
		}
		if response.AsOf != 1 || response.Verdicts[0].ExpiresInMicros != 0 || response.Verdicts[0].Caller().Effective == nil {
			t.Errorf("as of %d, verdict %+v", response.AsOf, response.Verdicts[0])
		}
		none := into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), `{"digests":[]}`), http.StatusOK)
		if none.AsOf != 1 || none.Verdicts == nil || len(none.Verdicts) != 0 {
			t.Errorf("on nothing: %+v", none)
		}
		most := introspection.Request{Digests: make([]apikey.Digest, introspection.MaxDigests)}
		into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), most), http.StatusOK)
		most.Digests = append(most.Digests, apikey.Digest{})
		refused(t, s.send("POST", introspection.Path, serviceToken(t), most), fault.Invalid, "digests")
	})
}

func TestIntrospectionOfTargets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		into[httpapi.Context](t, s.operate("POST", "/api/v1/contexts/other", nil), http.StatusCreated)
		made := into[httpapi.MintedKey](t, s.operate("POST", "/api/v1/contexts/other/keys/k", nil), http.StatusCreated)
		request := introspection.Request{}
		for _, text := range []string{s.first, made.Key, s.management, newKey(t).Reveal()} {
			parsed, err := apikey.Parse(text)
			must(t, err)
			request.Digests = append(request.Digests, parsed.Digest())
		}
		ids := []string{"admin", "system", made.PrincipalId, "nobody"}
		for i := range request.Digests {
			for _, id := range ids {
				request.Targets = append(request.Targets, introspection.Target{Key: i, Principal: id})
			}
		}
		got := into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), request), http.StatusOK)
		exist := []bool{true, true, false, false, true, true, true, false, 15: false}
		if len(got.Targets) != len(exist) || got.AsOf != 1 {
			t.Fatalf("%d answers as of %d", len(got.Targets), got.AsOf)
		}
		for i, principal := range got.Targets {
			if id := ids[i%len(ids)]; (principal != nil) != exist[i] || principal != nil && (principal.ID != id || principal.Grants == nil) {
				t.Errorf("key %d on behalf of %s: %+v", i/len(ids), id, principal)
			}
		}
		for body, field := range map[string]string{
			`{"digests":[],"targets":[{"key":0,"principal":"a"}]}`:                                       "targets",
			`{"digests":[],"targets":[{"key":-1,"principal":"a"}]}`:                                      "targets",
			`{"digests":["` + strings.Repeat("A", 43) + `"],"targets":[{"key":0,"principal":"\u0000"}]}`: "targets",
		} {
			refused(t, s.send("POST", introspection.Path, serviceToken(t), body), fault.Invalid, field)
		}
		request.Targets = make([]introspection.Target, introspection.MaxTargets)
		into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), request), http.StatusOK)
		request.Targets = append(request.Targets, introspection.Target{})
		refused(t, s.send("POST", introspection.Path, serviceToken(t), request), fault.Invalid, "targets")
	})
}

func TestInternalBadInput(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		digest := strings.Repeat("A", 43)
		for _, test := range []struct {
			method, target, body string
			kind                 fault.Kind
			field                string
		}{
			{"POST", introspection.Path, "", fault.Invalid, ""},
			{"POST", introspection.Path, "{", fault.Invalid, ""},
			{"POST", introspection.Path, "[]", fault.Invalid, ""},
			{"POST", introspection.Path, `{"digests":1}`, fault.Invalid, "digests"},
			{"POST", introspection.Path, `{"digests":["x"]}`, fault.Invalid, "digest"},
			{"POST", introspection.Path, `{"digests":[],"more":1}`, fault.Invalid, "more"},
			{"POST", introspection.Path, `{"digests":[]} {}`, fault.Invalid, ""},
			{"POST", introspection.Path, `{"digests":["` + strings.Repeat("x", 2<<20) + `"]}`, fault.TooLarge, ""},
			{"POST", introspection.BootstrapPath, `{"context_id":1}`, fault.Invalid, "context_id"},
			{"POST", introspection.BootstrapPath, `{"context_id":"UPPER"}`, fault.Unprocessable, "context_id"},
			{"POST", introspection.BootstrapPath, `{"context_id":"mcp"}`, fault.Unprocessable, "context_id"},
			{"POST", introspection.BootstrapPath, `{"context_id":"a","management":{"id":"x","digest":"` + digest + `"}}`, fault.Unprocessable, "management.id"},
			{"POST", introspection.BootstrapPath, `{"context_id":"a","management":{"id":"aaaaaaaaaaaaaaaa","digest":"` + digest + `"}}`, fault.Unprocessable, "management.digest"},
			{"DELETE", introspection.PurgesPath + "/a%00b", "", fault.Unprocessable, "incarnation"},
			{"DELETE", introspection.PurgesPath + "/%ff", "", fault.Unprocessable, "incarnation"},
			{"DELETE", introspection.JobsPath + "/a%00b", "", fault.Unprocessable, "id"},
			{"PUT", introspection.PurgesPath, "", fault.MethodNotAllowed, ""},
		} {
			refused(t, s.send(test.method, test.target, serviceToken(t), test.body), test.kind, test.field)
		}
	})
}

func TestPurges(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		incarnation := s.introspect(t, s.first).Verdicts[0].Incarnation
		list := func() []introspection.Purge {
			t.Helper()
			return into[[]introspection.Purge](t, s.send("GET", introspection.PurgesPath, serviceToken(t), nil), http.StatusOK)
		}
		if got := list(); got == nil || len(got) != 0 {
			t.Errorf("before any deletion: %v", got)
		}
		into[struct{}](t, s.operate("DELETE", "/api/v1/contexts/default", nil), http.StatusNoContent)
		if got := list(); len(got) != 1 || got[0].Incarnation != incarnation || got[0].Final {
			t.Errorf("right after the deletion: %v", got)
		}
		done := introspection.PurgesPath + "/" + incarnation
		refused(t, s.send("DELETE", done, serviceToken(t), nil), fault.Conflict, "")
		var deleted struct{ DeletedAt time.Time }
		must(t, s.db.Raw("SELECT deleted_at FROM purges").Scan(&deleted).Error)
		must(t, s.db.Exec("UPDATE purges SET deleted_at = ?", deleted.DeletedAt.Add(-time.Minute)).Error)
		if got := list(); len(got) != 1 || !got[0].Final {
			t.Errorf("a minute later: %v", got)
		}
		for range 2 {
			into[struct{}](t, s.send("DELETE", done, serviceToken(t), nil), http.StatusNoContent)
		}
		if got := list(); len(got) != 0 {
			t.Errorf("when it is done: %v", got)
		}
	})
}
