package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// TestServiceAccountsAgainstAModel sends random operations on service accounts to a server and to a naive model of it, and
// compares: every status, the lists, and what each token that was ever shown is worth.
func TestServiceAccountsAgainstAModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		s := opened(t, database, true)
		must(t, s.parts.Founder.Prepare(t.Context(), "default"))
		var runs atomic.Int64
		rapid.Check(t, func(rt *rapid.T) {
			// Each run has a context of its own, so that the server need not be emptied.
			home := fmt.Sprintf("r%d", runs.Add(1))
			must(t, s.parts.Founder.Prepare(t.Context(), home))
			m := &accountModel{server: s, t: t, local: introspection.Identity{Context: home}, accounts: map[string]*modelAccount{}, tokens: map[string]*modelToken{}}
			for range rapid.IntRange(1, 16).Draw(rt, "steps") {
				m.step(rt)
			}
			m.check(rt)
		})
	})
}

type accountModel struct {
	server   *server
	t        *testing.T
	local    introspection.Identity
	accounts map[string]*modelAccount
	tokens   map[string]*modelToken // by their text
}

type modelAccount struct {
	name           string
	scopes, actors []string
	revoked        bool
}

type modelToken struct {
	id, account string
	scopes      []string // at mint
	revoked     bool
}

func (m *accountModel) ask(path string, body any) answer {
	return m.server.ask(m.t, m.local, path, body)
}

var (
	someScopes = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"admin", "config:read", "records:read"}), 1, 3, func(s string) string { return s })
	someActors = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"did:a", "did:b", "did:c"}), 0, 3, func(s string) string { return s })
)

// account draws an account that there is, or one that there is not.
func (m *accountModel) account(t *rapid.T) (id string, account *modelAccount, status int) {
	id = rapid.SampledFrom(append(slices.Sorted(maps.Keys(m.accounts)), "sa_nobody")).Draw(t, "account")
	account = m.accounts[id]
	switch {
	case account == nil:
		return id, nil, http.StatusNotFound
	case account.revoked:
		return id, account, http.StatusConflict
	default:
		return id, account, http.StatusOK
	}
}

// live returns the ids of the account's live tokens.
func (m *accountModel) live(account string) []string {
	ids := []string{}
	for _, token := range m.tokens {
		if token.account == account && !token.revoked {
			ids = append(ids, token.id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *accountModel) kill(ids ...string) {
	for _, token := range m.tokens {
		token.revoked = token.revoked || slices.Contains(ids, token.id)
	}
}

func (m *accountModel) step(t *rapid.T) {
	switch rapid.SampledFrom([]string{"first", "create", "create", "edit", "edit", "mint", "mint", "rotate", "revoke token", "revoke"}).Draw(t, "operation") {
	case "first":
		a := m.server.send("POST", introspection.FirstAccountPath, serviceToken(t), introspection.FirstAccount{Context: m.local.Context, Draft: m.draft(t)})
		if slices.ContainsFunc(slices.Collect(maps.Values(m.accounts)), func(a *modelAccount) bool { return !a.revoked }) {
			into[struct{}](t, a, http.StatusConflict)
			return
		}
		m.made(t, a)
	case "create":
		m.made(t, m.ask(introspection.CreateAccountPath, m.draft(t)))
	case "edit":
		id, account, status := m.account(t)
		scopes, actors := someScopes.Draw(t, "scopes"), someActors.Draw(t, "actors")
		into[introspection.EditedAccount](t, m.ask(introspection.EditAccountPath, introspection.AccountEdit{ID: id, Scopes: &scopes, Actors: &actors}), status)
		if status == http.StatusOK {
			account.scopes, account.actors = slices.Sorted(slices.Values(scopes)), actors
		}
	case "mint":
		id, _, status := m.account(t)
		issued := into[introspection.IssuedToken](t, m.ask(introspection.MintTokenPath, introspection.TokenDraft{AccountID: id}), status)
		if status == http.StatusOK {
			m.shown(t, issued)
		}
	case "rotate":
		id, _, status := m.account(t)
		rotated := into[introspection.RotatedTokens](t, m.ask(introspection.RotateTokensPath, introspection.TokenDraft{AccountID: id}), status)
		if status == http.StatusOK {
			if diff := cmp.Diff(m.live(id), rotated.Revoked); diff != "" {
				t.Fatalf("a rotation revoked (-model +server):\n%s", diff)
			}
			m.kill(rotated.Revoked...)
			m.shown(t, rotated.IssuedToken)
		}
	default:
		m.revoke(t, rapid.Bool().Draw(t, "one token"))
	}
}

func (m *accountModel) draft(t *rapid.T) introspection.AccountDraft {
	return introspection.AccountDraft{
		Name: "a", Scopes: someScopes.Draw(t, "scopes"), Actors: someActors.Draw(t, "actors"), WithToken: rapid.Bool().Draw(t, "with token"),
	}
}

func (m *accountModel) made(t *rapid.T, a answer) {
	issued := into[introspection.IssuedAccount](t, a, http.StatusOK)
	m.accounts[issued.ID] = &modelAccount{name: issued.Name, scopes: slices.Sorted(slices.Values(issued.Scopes)), actors: issued.Actors}
	if issued.Token != nil {
		m.shown(t, *issued.Token)
	}
}

func (m *accountModel) shown(t *rapid.T, issued introspection.IssuedToken) {
	if m.tokens[issued.Text] != nil {
		t.Fatal("a token was made twice")
	}
	m.tokens[issued.Text] = &modelToken{id: issued.ID, account: issued.AccountID, scopes: m.accounts[issued.AccountID].scopes}
}

func (m *accountModel) revoke(t *rapid.T, one bool) {
	id, account, _ := m.account(t)
	status := http.StatusOK
	if account == nil {
		status = http.StatusNotFound
	}
	if !one {
		gone := into[introspection.RevokedAccount](t, m.ask(introspection.RevokeAccountPath, introspection.AccountErrand{ID: id}), status)
		if account == nil {
			return
		}
		if gone.Already != account.revoked || !slices.Equal(gone.Revoked, m.live(id)) {
			t.Fatalf("revoked before (%t) with %v, the model %t with %v", gone.Already, gone.Revoked, account.revoked, m.live(id))
		}
		account.revoked = true
		m.kill(gone.Revoked...)
		return
	}
	texts := append(slices.Sorted(maps.Keys(m.tokens)), "")
	token := m.tokens[rapid.SampledFrom(texts).Draw(t, "token")]
	if token == nil {
		token = &modelToken{id: "x"}
	}
	if token.account != id {
		status = http.StatusNotFound
	}
	gone := into[introspection.RevokedToken](t, m.ask(introspection.RevokeTokenPath,
		introspection.TokenErrand{AccountID: id, TokenID: token.id}), status)
	if status == http.StatusOK && gone.Already != token.revoked {
		t.Fatalf("revoked before: %t, the model: %t", gone.Already, token.revoked)
	}
	if status == http.StatusOK {
		m.kill(token.id)
	}
}

// check compares all that can be seen.
func (m *accountModel) check(t *rapid.T) {
	listed := map[string]*modelAccount{}
	for _, a := range into[[]introspection.Account](t, m.ask(introspection.ListAccountsPath, introspection.ListErrand{Limit: 100}), http.StatusOK) {
		listed[a.ID] = &modelAccount{name: a.Name, scopes: slices.Sorted(slices.Values(a.Scopes)), actors: a.Actors, revoked: a.RevokedAt != nil}
		if a.Tokens != len(m.live(a.ID)) {
			t.Fatalf("%s has %d live tokens, the model %d", a.ID, a.Tokens, len(m.live(a.ID)))
		}
	}
	if diff := cmp.Diff(m.accounts, listed, cmp.AllowUnexported(modelAccount{})); diff != "" {
		t.Fatalf("accounts (-model +server):\n%s", diff)
	}
	byID := map[string]introspection.Token{}
	for _, token := range into[[]introspection.Token](t, m.ask(introspection.ListTokensPath,
		introspection.TokenListErrand{ListErrand: introspection.ListErrand{Limit: 100}}), http.StatusOK) {
		byID[token.ID] = token
	}
	if len(byID) != len(m.tokens) {
		t.Fatalf("%d tokens are listed, the model has %d", len(byID), len(m.tokens))
	}
	for text, token := range m.tokens {
		verdict, got := m.server.verdict(t, text), byID[token.id]
		if verdict.Active == token.revoked || (got.RevokedAt != nil) != token.revoked || got.AccountID != token.account ||
			!slices.Equal(slices.Sorted(slices.Values(got.Scopes)), token.scopes) {
			t.Fatalf("a token that is revoked (%t) is active (%t) and listed as %+v", token.revoked, verdict.Active, got)
		}
		if !verdict.Active {
			continue
		}
		var scopes []string
		for _, verb := range verdict.KeyGrants.ScopesOf() {
			scopes = append(scopes, string(verb))
		}
		if !slices.Equal(slices.Sorted(slices.Values(scopes)), token.scopes) || !slices.Equal(verdict.Principal.ServiceAccount.Actors, m.accounts[token.account].actors) ||
			verdict.Caller().Effective[grant.Admin] != nil != slices.Contains(token.scopes, "admin") {
			t.Fatalf("a token of %v is worth %+v", token.scopes, verdict)
		}
	}
}
