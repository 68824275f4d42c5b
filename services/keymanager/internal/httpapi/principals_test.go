package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

const principals = contextPath + "/principals"

// principal creates one and returns it.
func (s *server) principal(t fataler, body string) httpapi.Principal {
	t.Helper()
	return into[httpapi.Principal](t, s.operate("POST", principals, body), http.StatusCreated)
}

// effective is what a key may do when it is introspected now.
func (s *server) effective(t fataler, text string) grant.Map {
	t.Helper()
	verdict := s.introspect(t, text).Verdicts[0]
	if !verdict.Active {
		t.Fatal("the key is not active")
	}
	return verdict.Caller().Effective
}

func TestCreatingPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		plain := s.principal(t, `{"display_name":"alpha"}`)
		want := httpapi.Principal{Id: plain.Id, DisplayName: "alpha", Kind: "agent", Grants: httpapi.GrantMap{}, CreatedAt: plain.CreatedAt}
		if diff := cmp.Diff(want, plain); diff != "" || plain.Id == "" || time.Since(plain.CreatedAt).Abs() > time.Minute {
			t.Errorf("a principal of a name alone (-want +got):\n%s", diff)
		}
		refused(t, s.operate("POST", principals, `{"display_name":"alpha"}`), fault.Conflict, "")
		refused(t, s.operate("POST", principals, `{"display_name":"admin"}`), fault.Conflict, "")
		for _, kind := range []string{"human", "agent", "supervisor", "service", "unknown"} {
			if got := s.principal(t, `{"display_name":"a `+kind+`","kind":"`+kind+`"}`); string(got.Kind) != kind {
				t.Errorf("a %s became a %s", kind, got.Kind)
			}
		}
		const outside = `"external_id":"surreal-cloud:usr_1"`
		first := s.principal(t, `{"display_name":"alpha","kind":"human",`+outside+`,"grants":{"memory:read":["org/acme/*","org/acme/x"]}}`)
		if first.Id == plain.Id || *first.ExternalId != "surreal-cloud:usr_1" || first.Kind != "human" ||
			!cmp.Equal(first.Grants, httpapi.GrantMap{"memory:read": {"org/acme/*"}}) {
			t.Errorf("with an external id: %+v", first)
		}
		again := into[httpapi.Principal](t, s.operate("POST", principals,
			`{"display_name":"beta","kind":"service",`+outside+`,"grants":{"memory:write":["/*"]}}`), http.StatusOK)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("a repeat changed it:\n%s", diff)
		}
		into[httpapi.Context](t, s.operate("POST", contextsPath+"/other", `{"admin_external_id":"surreal-cloud:usr_1"}`), http.StatusCreated)
		bound := into[httpapi.Principal](t, s.operate("POST", contextsPath+"/other/principals", `{"display_name":"x",`+outside+`}`), http.StatusOK)
		if bound.Id != "admin" || len(bound.Grants) != len(grant.Verbs()) {
			t.Errorf("the external id of the admin got %+v", bound)
		}
	})
}

func TestReadingPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		p := s.principal(t, `{"display_name":"alpha","external_id":"x:1"}`)
		for _, id := range []string{p.Id, "principal:" + p.Id, "principal%3A" + p.Id, "principal%3a" + p.Id} {
			got := into[httpapi.Principal](t, s.operate("GET", principals+"/"+id, nil), http.StatusOK)
			if diff := cmp.Diff(p, got); diff != "" {
				t.Errorf("read as %s:\n%s", id, diff)
			}
		}
		refused(t, s.operate("GET", principals+"/principal:principal:"+p.Id, nil), fault.NotFound, "")
		refused(t, s.operate("GET", contextsPath+"/other/principals/"+p.Id, nil), fault.NotFound, "")
		into[httpapi.Context](t, s.operate("POST", contextsPath+"/other", nil), http.StatusCreated)
		refused(t, s.operate("GET", contextsPath+"/other/principals/"+p.Id, nil), fault.NotFound, "")
		want := []string{"admin", "system", p.Id}
		slices.Sort(want)
		var got []string
		for next := principals + "?limit=2"; next != ""; {
			a := s.operate("GET", next, nil)
			for _, p := range into[[]httpapi.Principal](t, a, http.StatusOK) {
				got = append(got, p.Id)
			}
			next, _ = strings.CutPrefix(strings.TrimSuffix(a.header.Get("Link"), `>; rel="next"`), "<")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}
	})
}

func TestPatchingPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		p := s.principal(t, `{"display_name":"alpha","grants":{"memory:read":["/*"]}}`)
		s.principal(t, `{"display_name":"beta"}`)
		target := principals + "/" + p.Id
		patch := func(body string) httpapi.Principal {
			t.Helper()
			return into[httpapi.Principal](t, s.operate("PATCH", target, body), http.StatusOK)
		}
		if got := patch(`{}`); !cmp.Equal(got, p) {
			t.Errorf("nothing was asked for: %+v", got)
		}
		p.DisplayName = "gamma"
		if got := patch(`{"display_name":"gamma"}`); !cmp.Equal(got, p) {
			t.Errorf("renamed: %+v", got)
		}
		patch(`{"display_name":"gamma"}`) // its own name is not taken
		refused(t, s.operate("PATCH", target, `{"display_name":"beta"}`), fault.Conflict, "")
		p.Kind = "supervisor"
		if got := patch(`{"kind":"supervisor"}`); !cmp.Equal(got, p) {
			t.Errorf("of another kind: %+v", got)
		}
		p.Grants = httpapi.GrantMap{"scope:read": {"org/acme"}}
		if got := patch(`{"grants":{"scope:read":["org/acme"],"memory:write":[]}}`); !cmp.Equal(got, p) {
			t.Errorf("with other grants: %+v", got)
		}
		refused(t, s.operate("PATCH", principals+"/nobody", `{}`), fault.NotFound, "")
		s.principal(t, `{"display_name":"alpha"}`) // the old name is free
	})
}

func TestReservedPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		for _, id := range []string{"system", "principal:system", "principal%3Asystem"} {
			target := principals + "/" + id
			before := s.operate("GET", target, nil)
			const grants = `{"path":"/*","verbs":["memory:read"]}`
			for _, op := range []struct{ method, target, body string }{
				{"PATCH", target, `{"display_name":"x"}`},
				{"PATCH", target, `{}`},
				{"DELETE", target, ""},
				{"POST", target + "/grants", grants},
				{"DELETE", target + "/grants", grants},
				{"POST", target + "/keys/k", ""},
				{"POST", target + "/keys/k", `{"grants":{}}`},
			} {
				refused(t, s.send(op.method, op.target, s.management, bodyOf(op.body)), fault.Forbidden, "")
			}
			if after := s.operate("GET", target, nil); string(after.body) != string(before.body) {
				t.Errorf("system was changed")
			}
		}
		into[httpapi.Context](t, s.operate("GET", contextPath, nil), http.StatusOK)
		refused(t, s.operate("PATCH", contextsPath+"/nobody/principals/system", `{}`), fault.NotFound, "")
		admin := principals + "/admin"
		for _, id := range []string{"admin", "principal:admin"} {
			refused(t, s.operate("DELETE", principals+"/"+id, nil), fault.Forbidden, "")
		}
		got := into[httpapi.Principal](t, s.operate("PATCH", admin,
			`{"display_name":"Ann","kind":"service","grants":{"memory:read":["/*"]}}`), http.StatusOK)
		if got.DisplayName != "Ann" || got.Kind != "service" || !cmp.Equal(got.Grants, httpapi.GrantMap{"memory:read": {"/*"}}) {
			t.Errorf("the admin is now %+v", got)
		}
		if held := s.effective(t, s.first); len(held) != 1 || held[grant.MemoryRead] == nil {
			t.Errorf("the admin's key may still do %v", held)
		}
	})
}

func bodyOf(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func TestGrants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		p := s.principal(t, `{"display_name":"alpha"}`)
		minted := into[httpapi.MintedKey](t, s.operate("POST", principals+"/"+p.Id+"/keys/k", nil), http.StatusCreated)
		for i, step := range []struct {
			method, path, verbs string
			want                httpapi.GrantMap
		}{
			{"POST", "org/acme/*", `"memory:read","memory:write"`, httpapi.GrantMap{"memory:read": {"org/acme/*"}, "memory:write": {"org/acme/*"}}},
			{"POST", "org/acme/user/", `"memory:read"`, httpapi.GrantMap{"memory:read": {"org/acme/*"}, "memory:write": {"org/acme/*"}}},
			{"POST", "org/beta", `"memory:read","memory:read"`, httpapi.GrantMap{"memory:read": {"org/acme/*", "org/beta"}, "memory:write": {"org/acme/*"}}},
			// What is granted wider stays, and so does a node when only another one is named.
			{"DELETE", "org/acme/user/*", `"memory:write"`, httpapi.GrantMap{"memory:read": {"org/acme/*", "org/beta"}, "memory:write": {"org/acme/*"}}},
			{"DELETE", "org/acme", `"memory:read"`, httpapi.GrantMap{"memory:read": {"org/acme/*", "org/beta"}, "memory:write": {"org/acme/*"}}},
			{"DELETE", "org/*", `"memory:read"`, httpapi.GrantMap{"memory:write": {"org/acme/*"}}},
			{"DELETE", "*", `"memory:read","memory:write","grant:manage"`, httpapi.GrantMap{}},
			{"POST", "*", `"grant:manage"`, httpapi.GrantMap{"grant:manage": {"/*"}}},
		} {
			body := fmt.Sprintf(`{"path":%q,"verbs":[%s]}`, step.path, step.verbs)
			got := into[httpapi.Principal](t, s.operate(step.method, principals+"/principal%3A"+p.Id+"/grants", body), http.StatusOK)
			if got.Id != p.Id || !cmp.Equal(got.Grants, step.want) {
				t.Errorf("step %d, %s %s: %+v, want %v", i, step.method, body, got, step.want)
			}
			// The very next request sees it.
			want, err := grant.Parse(step.want)
			must(t, err)
			if diff := cmp.Diff(want, s.effective(t, minted.Key), cmp.Comparer(scope.Region.Equal)); diff != "" {
				t.Errorf("step %d: the key's authority (-want +got):\n%s", i, diff)
			}
		}
		refused(t, s.operate("POST", principals+"/nobody/grants", `{"path":"/*","verbs":["memory:read"]}`), fault.NotFound, "")
		most := make([]string, grant.MaxPatterns)
		for i := range most {
			most[i] = fmt.Sprintf("n%d", i)
		}
		into[httpapi.Principal](t, s.operate("PATCH", principals+"/"+p.Id, httpapi.PatchPrincipalRequest{
			Grants: &httpapi.GrantMap{"memory:read": most},
		}), http.StatusOK)
		refused(t, s.operate("POST", principals+"/"+p.Id+"/grants", `{"path":"one/more","verbs":["memory:read"]}`), fault.Invalid, "path")
		// Nor may they be as long as can be, all together: a verdict carries them.
		long := make([]string, grant.MaxBytes/512-1)
		for i := range long {
			long[i] = fmt.Sprintf("%0127d/%0127d/%0127d/%0128d", i, i, i, i)
		}
		into[httpapi.Principal](t, s.operate("PATCH", principals+"/"+p.Id, httpapi.PatchPrincipalRequest{
			Grants: &httpapi.GrantMap{"memory:read": long},
		}), http.StatusOK)
		refused(t, s.operate("POST", principals+"/"+p.Id+"/grants",
			`{"path":"a/`+strings.Repeat(strings.Repeat("x", 120)+"/", 5)+`b","verbs":["memory:read"]}`), fault.Invalid, "path")
		// What does not grow may always be taken away.
		into[httpapi.Principal](t, s.operate("DELETE", principals+"/"+p.Id+"/grants", `{"path":"/*","verbs":["memory:read"]}`), http.StatusOK)
	})
}

func TestKeysOfPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		alpha := s.principal(t, `{"display_name":"alpha","kind":"supervisor","grants":{"memory:read":["org/*"],"memory:write":["org/acme/*"]}}`)
		beta := s.principal(t, `{"display_name":"beta"}`)
		of := func(p httpapi.Principal, rest string) string { return principals + "/" + p.Id + "/keys" + rest }
		minted := into[httpapi.MintedKey](t, s.operate("POST", of(alpha, "/ci?ttl_seconds=60"), nil), http.StatusCreated)
		if minted.PrincipalId != alpha.Id || minted.Name != "ci" || minted.Propagation != nil || minted.Revision != 1 || minted.ValidUntil == nil {
			t.Errorf("minted for %s: %s, revision %d", minted.PrincipalId, minted.Name, minted.Revision)
		}
		verdict := s.introspect(t, minted.Key).Verdicts[0]
		if verdict.KeyGrants != nil || verdict.Principal.Kind != caller.Supervisor || verdict.Principal.DisplayName != "alpha" {
			t.Errorf("verdict %+v", verdict)
		}
		narrow := into[httpapi.MintedKey](t, s.operate("POST", of(alpha, "/n"), `{"grants":{"memory:read":["org/acme/*","org/beta"]}}`), http.StatusCreated)
		want, err := grant.Parse(map[string][]string{"memory:read": {"org/acme/*", "org/beta"}})
		must(t, err)
		if diff := cmp.Diff(want, s.effective(t, narrow.Key), cmp.Comparer(scope.Region.Equal)); diff != "" {
			t.Errorf("an attenuated key (-want +got):\n%s", diff)
		}
		// Names are the context's.
		for _, target := range []string{of(beta, "/ci"), of(beta, "/default"), keys + "/ci", of(alpha, "/ci")} {
			refused(t, s.operate("POST", target, nil), fault.Conflict, "")
		}
		refused(t, s.operate("POST", principals+"/nobody/keys/x", nil), fault.NotFound, "")
		refused(t, s.operate("GET", principals+"/nobody/keys", nil), fault.NotFound, "")
		// Another principal's key and none at all are the same. (No id, which is random, has a capital letter.)
		for _, op := range []struct{ method, rest string }{{"DELETE", ""}, {"POST", "/rotate"}, {"POST", "/rotate?ttl_seconds=9"}} {
			theirs := s.operate(op.method, of(beta, "/ci"+op.rest), nil)
			refused(t, theirs, fault.NotFound, "")
			nobodys := s.operate(op.method, of(beta, "/XY"+op.rest), nil)
			if strings.ReplaceAll(string(nobodys.body), "XY", "ci") != string(theirs.body) {
				t.Errorf("%s %s tells a key of another principal from none: %s, %s", op.method, op.rest, theirs.body, nobodys.body)
			}
			refused(t, s.operate(op.method, principals+"/nobody/keys/ci"+op.rest, nil), fault.NotFound, "")
		}
		rotated := into[httpapi.MintedKey](t, s.operate("POST", principals+"/principal%3A"+alpha.Id+"/keys/ci/rotate", nil), http.StatusOK)
		if rotated.Id != minted.Id || rotated.PrincipalId != alpha.Id || !rotated.ValidUntil.Equal(*minted.ValidUntil) || rotated.Propagation == nil {
			t.Error("a rotation changed more than the secret")
		}
		if s.active(t, minted.Key) || !s.active(t, rotated.Key) {
			t.Error("the old secret lives or the new one does not")
		}
		names := func(target string) (out []string) {
			t.Helper()
			for next := target + "?limit=1"; next != ""; {
				a := s.operate("GET", next, nil)
				for _, k := range into[[]httpapi.Key](t, a, http.StatusOK) {
					out = append(out, k.Name)
				}
				next, _ = strings.CutPrefix(strings.TrimSuffix(a.header.Get("Link"), `>; rel="next"`), "<")
			}
			return out
		}
		for target, want := range map[string][]string{
			of(alpha, ""): {"ci", "n"}, principals + "/principal:" + alpha.Id + "/keys": {"ci", "n"}, of(beta, ""): nil,
			principals + "/admin/keys": {"default"}, principals + "/system/keys": nil, keys: {"ci", "default", "n"},
		} {
			if got := names(target); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", target, got, want)
			}
		}
		if list := into[[]httpapi.Key](t, s.operate("GET", of(alpha, ""), nil), http.StatusOK); list[0].Grants != nil ||
			!cmp.Equal(list[1].Grants, &httpapi.GrantMap{"memory:read": {"org/acme/*", "org/beta"}}) || list[1].Principal != "supervisor" {
			t.Errorf("list: %+v", list)
		}
		into[struct{}](t, s.operate("DELETE", of(alpha, "/ci"), nil), http.StatusNoContent)
		refused(t, s.operate("DELETE", of(alpha, "/ci"), nil), fault.NotFound, "")
		if s.active(t, rotated.Key) {
			t.Error("a deleted key lives")
		}
		into[httpapi.Principal](t, s.operate("GET", principals+"/"+alpha.Id, nil), http.StatusOK) // it stands by itself
		into[struct{}](t, s.operate("DELETE", principals+"/"+alpha.Id, nil), http.StatusNoContent)
		if s.active(t, narrow.Key) {
			t.Error("a key outlives its principal")
		}
		refused(t, s.operate("DELETE", principals+"/"+alpha.Id, nil), fault.NotFound, "")
		if got := names(keys); !slices.Equal(got, []string{"default"}) {
			t.Errorf("keys %v are left", got)
		}
	})
}

func TestFlatKeysHavePrincipalsToo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		s := founded(t, database)
		flat := into[httpapi.MintedKey](t, s.operate("POST", keys+"/flat", nil), http.StatusCreated)
		target := principals + "/" + flat.PrincipalId
		if p := into[httpapi.Principal](t, s.operate("GET", target, nil), http.StatusOK); p.DisplayName != "flat" || len(p.Grants) == 0 {
			t.Errorf("its principal is %+v", p)
		}
		second := into[httpapi.MintedKey](t, s.operate("POST", target+"/keys/"+url.PathEscape("a second"), nil), http.StatusCreated)
		into[struct{}](t, s.operate("DELETE", keys+"/flat", nil), http.StatusNoContent)
		if !s.active(t, second.Key) {
			t.Error("another key of the principal went with the first")
		}
		into[httpapi.Principal](t, s.operate("GET", target, nil), http.StatusOK)
		into[struct{}](t, s.operate("DELETE", target, nil), http.StatusNoContent)
		if s.active(t, second.Key) {
			t.Error("a key outlives its principal")
		}
		into[httpapi.MintedKey](t, s.operate("POST", keys+"/flat", nil), http.StatusCreated)
		last := into[httpapi.MintedKey](t, s.operate("POST", keys+"/last", nil), http.StatusCreated)
		into[struct{}](t, s.operate("DELETE", keys+"/last", nil), http.StatusNoContent)
		refused(t, s.operate("GET", principals+"/"+last.PrincipalId, nil), fault.NotFound, "")
	})
}
