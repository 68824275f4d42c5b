package spl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
)

const actorHeader = "X-Syncropel-Actor"

// admitted reports whether a got past the claim.
func admitted(a answer) bool {
	return a.status != http.StatusUnauthorized && a.status != http.StatusForbidden
}

func TestClaims(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	one, two, none := []string{"did:sync:user:alice"}, []string{"did:sync:user:alice", "did:sync:user:bob"}, []string{}
	record := func(actor string) string { return fmt.Sprintf(`{"thread":"th_t","act":"DO","actor":%q}`, actor) }
	for name, test := range map[string]struct {
		actors  []string
		scope   grant.Verb
		method  string
		path    string
		body    string
		headers []string
		allow   bool
	}{
		"header":                       {two, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, two[1]}, true},
		"another":                      {two, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, "did:sync:user:eve"}, false},
		"other case":                   {one, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, "did:sync:user:Alice"}, false},
		"a prefix":                     {one, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, "did:sync:user:alic"}, false},
		"longer":                       {one, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, "did:sync:user:alice2"}, false},
		"a wildcard":                   {[]string{"did:sync:user:*"}, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, one[0]}, false},
		"everybody":                    {[]string{"*"}, grant.Admin, "GET", "/v1/threads", "", []string{actorHeader, one[0]}, false},
		"empty header":                 {one, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, ""}, false},
		"header twice":                 {two, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, two[0], actorHeader, two[0]}, false},
		"header twice, sole":           {one, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, one[0], actorHeader, "did:sync:user:eve"}, false},
		"sole entry":                   {one, grant.RecordsRead, "GET", "/v1/threads", "", nil, true},
		"several, none said":           {two, grant.RecordsRead, "GET", "/v1/threads", "", nil, false},
		"no actors":                    {none, grant.RecordsRead, "GET", "/v1/threads", "", nil, false},
		"no actors, header":            {none, grant.RecordsRead, "GET", "/v1/threads", "", []string{actorHeader, one[0]}, false},
		"no actors, admin":             {none, grant.Admin, "GET", "/v1/service-accounts", "", nil, false},
		"no actors, any token":         {none, grant.Admin, "GET", "/v1/identity", "", nil, false},
		"no actors, a record":          {none, grant.Admin, "POST", "/v1/records", record(one[0]), nil, false},
		"admin as another":             {one, grant.Admin, "GET", "/v1/service-accounts", "", []string{actorHeader, "did:sync:user:bob"}, false},
		"admin writes as another":      {one, grant.Admin, "POST", "/v1/records", record("did:sync:user:bob"), nil, false},
		"author":                       {two, grant.RecordsWrite, "POST", "/v1/records", record(two[1]), nil, true},
		"author, another":              {two, grant.RecordsWrite, "POST", "/v1/records", record("did:sync:user:eve"), nil, false},
		"author, another, sole":        {one, grant.RecordsWrite, "POST", "/v1/records", record("did:sync:user:eve"), nil, false},
		"author and header":            {two, grant.RecordsWrite, "POST", "/v1/records", record(two[1]), []string{actorHeader, two[1]}, true},
		"author is not header":         {two, grant.RecordsWrite, "POST", "/v1/records", record(two[1]), []string{actorHeader, two[0]}, false},
		"header hides author":          {one, grant.RecordsWrite, "POST", "/v1/records", record("did:sync:user:eve"), []string{actorHeader, one[0]}, false},
		"author hides header":          {one, grant.RecordsWrite, "POST", "/v1/records", record(one[0]), []string{actorHeader, "did:sync:user:eve"}, false},
		"no author, several":           {two, grant.RecordsWrite, "POST", "/v1/records", `{}`, nil, false},
		"no author, sole":              {one, grant.RecordsWrite, "POST", "/v1/records", `{}`, nil, true}, // and then 400
		"author under another name":    {one, grant.RecordsWrite, "POST", "/v1/records", `{"actor":"did:eve","Actor":"did:sync:user:alice"}`, nil, false},
		"an author elsewhere is none":  {two, grant.ThreadsWrite, "POST", "/v1/threads", `{"actor":"did:sync:user:alice"}`, nil, false},
		"an author in a query is none": {two, grant.RecordsRead, "POST", "/v1/records/query", `{"actor":"did:sync:user:alice"}`, nil, false},
	} {
		token := f.token(t, "default", test.actors, test.scope)
		a := f.send(t, test.method, test.path, test.body, append(test.headers, auth, "Bearer "+token)...)
		if admitted(a) != test.allow || !test.allow && (a.status != http.StatusForbidden || a.Code != "DID_CLAIM_DENIED") {
			t.Errorf("%s: %d %s", name, a.status, a.Code)
		}
	}
}

// Whatever header and body say, nothing passes that is not in the list, letter by letter.
func TestClaimsAreExact(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	rapid.Check(t, func(rt *rapid.T) {
		did := rapid.StringMatching(`[aAb*:%]{1,3}`)
		actors := rapid.SliceOfNDistinct(did, 0, 3, rapid.ID).Draw(rt, "actors")
		token := f.token(t, "default", actors, grant.Admin)
		headers := []string{auth, "Bearer " + token}
		header, author := rapid.Ptr(did, true).Draw(rt, "header"), rapid.Ptr(did, true).Draw(rt, "author")
		body := map[string]any{"thread": "th_t", "act": "DO"}
		want := len(actors) > 0
		for _, said := range []*string{header, author} {
			want = want && (said == nil || slices.Contains(actors, *said))
		}
		if header != nil {
			headers = append(headers, actorHeader, *header)
			want = want && (author == nil || *author == *header)
		}
		if author != nil {
			body["actor"] = *author
		}
		if header == nil && author == nil {
			want = len(actors) == 1
		}
		text, err := json.Marshal(body)
		if err != nil {
			rt.Fatal(err)
		}
		if a := f.send(t, http.MethodPost, "/v1/records", string(text), headers...); admitted(a) != want {
			rt.Fatalf("%d %s, want admitted %t", a.status, a.Code, want)
		}
	})
}

func TestAuthenticationOff(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(p *spl.Parts) {
		p.AuthenticationOff, p.Actor, p.DisplayName = true, "did:sync:user:me", "Me"
		p.Rules = rules("did:ruled-out")
	})
	who := func(headers ...string) (out struct {
		Actor           string
		IsAuthenticated bool `json:"is_authenticated"`
		Scopes          []string
		AccountID       *string `json:"service_account_id"`
	},
	) {
		t.Helper()
		a := f.send(t, http.MethodGet, "/v1/identity", "", headers...)
		if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusOK {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		return out
	}
	if me := who(); me.Actor != "did:sync:user:me" || me.IsAuthenticated || len(me.Scopes) != 7 || me.AccountID != nil {
		t.Errorf("%+v", me)
	}
	if stale := who(auth, "Bearer spl_prod_sa_gone", actorHeader, "did:anybody"); stale.Actor != "did:anybody" || stale.IsAuthenticated {
		t.Errorf("with a stale token: %+v", stale)
	}
	if a := f.send(t, http.MethodPost, "/v1/service-accounts/sa_x/tokens", ""); a.status != http.StatusCreated {
		t.Errorf("minting: %d %s", a.status, a.body)
	}
	if a := f.send(t, http.MethodPost, "/v1/records", `{"actor":"did:ruled-out"}`); a.Code != "PERMISSION_DENIED" {
		t.Errorf("the rules hold all the same: %d %s", a.status, a.body)
	}
}
