package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// accountPaths are the errands about service accounts.
var accountPaths = []string{
	introspection.ListAccountsPath, introspection.GetAccountPath, introspection.CreateAccountPath, introspection.EditAccountPath,
	introspection.RevokeAccountPath, introspection.ListTokensPath, introspection.MintTokenPath, introspection.RotateTokensPath,
	introspection.RevokeTokenPath,
}

const operatorDID = "did:sync:user:olga"

// firstAccount makes the first account of the context, with a token, by whose scopes it is to administer.
func (s *server) firstAccount(t *testing.T, scopes ...string) introspection.IssuedAccount {
	t.Helper()
	return into[introspection.IssuedAccount](t, s.found(t, "default", scopes...), http.StatusOK)
}

func (s *server) found(t *testing.T, contextID string, scopes ...string) answer {
	t.Helper()
	return s.send("POST", introspection.FirstAccountPath, serviceToken(t), introspection.FirstAccount{
		Context: contextID, Draft: introspection.AccountDraft{
			Name: "admin", Actors: []string{operatorDID}, Scopes: scopes, WithToken: true,
		},
	})
}

// verdict is what a token is worth now.
func (s *server) verdict(t fataler, text string) introspection.Verdict {
	t.Helper()
	parsed, err := apikey.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	request := introspection.Request{Digests: []apikey.Digest{parsed.Digest()}}
	return into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), request), http.StatusOK).Verdicts[0]
}

// bearer is who a token is to the data plane that has just verified it.
func (s *server) bearer(t *testing.T, text string) introspection.Identity {
	t.Helper()
	parsed, err := apikey.ParseToken(text)
	must(t, err)
	v := s.verdict(t, text)
	if !v.Active {
		t.Fatal("the token is not active")
	}
	return introspection.IdentityOf(v.Caller(), parsed.Digest())
}

// ask asks for an errand.
func (s *server) ask(t *testing.T, who introspection.Identity, path string, body any) answer {
	t.Helper()
	return s.send("POST", path, callerToken(t, who, path), body)
}

func TestTheFirstAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		standing := func() introspection.Standing {
			t.Helper()
			return into[introspection.Standing](t,
				s.send("GET", introspection.StandingPath+"?context=default", serviceToken(t), nil), http.StatusOK)
		}
		if got := standing(); got.Context != "default" || got.Incarnation == "" || got.Accounts != 0 || got.Active != 0 || !got.Open {
			t.Errorf("before: %+v", got)
		}
		issued := s.firstAccount(t, "admin", "admin")
		if !apikey.ValidAccountID(issued.ID) || issued.Name != "admin" || issued.Tokens != 1 || issued.RevokedAt != nil ||
			!slices.Equal(issued.Scopes, []string{"admin"}) || !slices.Equal(issued.Actors, []string{operatorDID}) {
			t.Errorf("made %+v", issued.Account)
		}
		token, err := apikey.ParseToken(issued.Token.Text)
		must(t, err)
		if token.Env() != apikey.DefaultEnv || token.Account() != issued.ID || token.ID() != issued.Token.ID {
			t.Error("the token is not one of the account")
		}
		want := introspection.Verdict{
			Active: true, Context: "default", Incarnation: standing().Incarnation, KeyID: token.ID(), KeyName: token.ID(),
			KeyGrants: grant.OfScopes(grant.Admin), Principal: &caller.Principal{
				ID: issued.ID, DisplayName: "admin", Kind: caller.Service, Grants: grant.Map{},
				ServiceAccount: &caller.ServiceAccount{Actors: []string{operatorDID}},
			},
		}
		got := s.verdict(t, issued.Token.Text)
		if diff := cmp.Diff(want, got, cmp.Comparer(scope.Region.Equal)); diff != "" {
			t.Errorf("the token is worth (-want +got):\n%s", diff)
		}
		a := s.found(t, "default", "admin")
		refused(t, a, fault.Conflict, "")
		if !strings.Contains(string(a.body), introspection.CodeBootstrapClosed) {
			t.Errorf("a second one: %s", a.body)
		}
		// A revoked account counts.
		into[introspection.RevokedAccount](t, s.ask(t, s.bearer(t, issued.Token.Text), introspection.RevokeAccountPath,
			introspection.AccountErrand{ID: issued.ID}), http.StatusOK)
		if got := standing(); got.Accounts != 1 || got.Active != 0 || got.Open {
			t.Errorf("after its revocation: %+v", got)
		}
		refused(t, s.found(t, "default", "admin"), fault.Conflict, "")
		refused(t, s.found(t, "nowhere"), fault.NotFound, "")
		refused(t, s.found(t, "No Where"), fault.Unprocessable, "context_id")
		refused(t, s.send("GET", introspection.StandingPath+"?context=nowhere", serviceToken(t), nil), fault.NotFound, "")
	})
}

func TestThereIsOneFirstAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		const racers = 20
		var won, closed atomic.Int64
		var wait sync.WaitGroup
		start := make(chan struct{})
		for range racers {
			wait.Go(func() {
				<-start
				switch a := s.found(t, "default", "admin"); a.status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusConflict:
					closed.Add(1)
				default:
					t.Errorf("answered %d", a.status)
				}
			})
		}
		close(start)
		wait.Wait()
		if won.Load() != 1 || closed.Load() != racers-1 {
			t.Errorf("%d made one, %d were refused", won.Load(), closed.Load())
		}
	})
}

// While authentication is off only active accounts keep a first one from being made, and the local operator needs no token.
func TestWithoutAuthentication(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := opened(t, url, true)
		must(t, s.parts.Founder.Prepare(t.Context(), "default"))
		home := into[introspection.Standing](t, s.send("GET", introspection.StandingPath+"?context=default", serviceToken(t), nil), http.StatusOK)
		local := introspection.Identity{Context: "default", Incarnation: home.Incarnation}
		first := s.firstAccount(t)
		refused(t, s.found(t, "default"), fault.Conflict, "")
		into[introspection.RevokedAccount](t, s.ask(t, local, introspection.RevokeAccountPath, introspection.AccountErrand{ID: first.ID}), http.StatusOK)
		second := s.firstAccount(t)
		for _, path := range accountPaths {
			body := map[string]any{
				introspection.GetAccountPath:    introspection.AccountErrand{ID: second.ID},
				introspection.CreateAccountPath: introspection.AccountDraft{Name: "x"},
				introspection.EditAccountPath:   introspection.AccountEdit{ID: second.ID},
				introspection.RevokeAccountPath: introspection.AccountErrand{ID: first.ID},
				introspection.MintTokenPath:     introspection.TokenDraft{AccountID: second.ID},
				introspection.RotateTokensPath:  introspection.TokenDraft{AccountID: second.ID},
				introspection.RevokeTokenPath:   introspection.TokenErrand{AccountID: second.ID, TokenID: second.Token.ID},
			}[path]
			if body == nil {
				body = introspection.ListErrand{Limit: 10}
			}
			if a := s.ask(t, local, path, body); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			for name, who := range map[string]introspection.Identity{
				"a former life": {Context: "default", Incarnation: "default.x"}, "a digest": {Context: "default", Digest: apikey.Digest{1}},
				"a principal": {Context: "default", PrincipalID: "admin"}, "on behalf": {Context: "default", OnBehalfOf: "admin"},
			} {
				if a := s.ask(t, who, path, body); a.status != http.StatusUnauthorized {
					t.Errorf("%s, %s: %d", path, name, a.status)
				}
			}
			refused(t, s.ask(t, introspection.Identity{Context: "nowhere"}, path, body), fault.NotFound, "")
		}
		// Only for service accounts.
		for _, path := range errandPaths {
			refused(t, s.run(t, local, path), fault.Unauthenticated, introspection.CallerField)
		}
		// And only while authentication is off.
		secure := founded(t, dbtest.SQLite(t))
		local.Incarnation = ""
		for _, path := range accountPaths {
			refused(t, secure.ask(t, local, path, "{}"), fault.Unauthenticated, introspection.CallerField)
		}
	})
}

// Every errand takes a token with the scope admin, and no key, whatever it may do.
func TestServiceAccountsAreManagedByAdministratorsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		admin := s.firstAccount(t, "admin")
		who := s.bearer(t, admin.Token.Text)
		every := slices.DeleteFunc(slices.Clone(grant.Scopes()), func(v grant.Verb) bool { return v == grant.Admin })
		draft := introspection.AccountDraft{Name: "all but admin", WithToken: true}
		for _, verb := range every {
			draft.Scopes = append(draft.Scopes, string(verb))
		}
		weak := into[introspection.IssuedAccount](t, s.ask(t, who, introspection.CreateAccountPath, draft), http.StatusOK)
		revoked := into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath,
			introspection.TokenDraft{AccountID: admin.ID}), http.StatusOK)
		gone := s.bearer(t, revoked.Text)
		into[introspection.RevokedToken](t, s.ask(t, who, introspection.RevokeTokenPath,
			introspection.TokenErrand{AccountID: admin.ID, TokenID: revoked.ID}), http.StatusOK)
		for _, path := range accountPaths {
			a := s.ask(t, s.bearer(t, weak.Token.Text), path, `{}`)
			if path == introspection.CreateAccountPath {
				a = s.ask(t, s.bearer(t, weak.Token.Text), path, introspection.AccountDraft{Name: "x"})
			}
			refused(t, a, fault.Forbidden, "")
			if !strings.Contains(string(a.body), `"code":"SCOPE_FORBIDDEN"`) || !strings.Contains(string(a.body), `"required_scope":"admin"`) {
				t.Errorf("%s: %s", path, a.body)
			}
			for name, other := range map[string]introspection.Identity{
				"a key with every grant": s.identity(t, s.first), "a revoked token": gone, "nobody": {Context: "default"},
			} {
				if a := s.ask(t, other, path, `{}`); a.status != http.StatusUnauthorized {
					t.Errorf("%s, %s: %d", path, name, a.status)
				}
			}
			elsewhere := who
			elsewhere.Incarnation = "default.x"
			refused(t, s.ask(t, elsewhere, path, `{}`), fault.Unauthenticated, introspection.CallerField)
		}
		// Nor does a token do what keys do.
		for _, path := range errandPaths {
			refused(t, s.run(t, who, path), fault.Unauthenticated, introspection.CallerField)
		}
		if s.verdict(t, admin.Token.Text).Active != true {
			t.Error("the administrator's token died")
		}
	})
}

func TestServiceAccountsAndTheirTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		who := s.bearer(t, s.firstAccount(t, "admin").Token.Text)
		created := into[introspection.IssuedAccount](t, s.ask(t, who, introspection.CreateAccountPath,
			introspection.AccountDraft{Name: "grafana"}), http.StatusOK)
		if created.Token != nil || created.Tokens != 0 || len(created.Actors) != 0 || !slices.Equal(created.Scopes, []string{"records:read", "records:write"}) {
			t.Errorf("made %+v", created)
		}
		mint := func(env string) introspection.IssuedToken {
			t.Helper()
			return into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath,
				introspection.TokenDraft{AccountID: created.ID, EnvTag: env}), http.StatusOK)
		}
		before := mint("dev")
		if token, err := apikey.ParseToken(before.Text); err != nil || token.Env() != "dev" || before.EnvTag != "dev" || before.AccountName != "grafana" {
			t.Errorf("%v, tag %q", err, token.Env())
		}
		// Scopes are those of the mint; actors and the name are those of now.
		scopes, actors, name := []string{"config:read"}, []string{"did:a", "did:b", "did:a"}, "g2"
		edited := into[introspection.EditedAccount](t, s.ask(t, who, introspection.EditAccountPath,
			introspection.AccountEdit{ID: created.ID, Scopes: &scopes, Actors: &actors, Name: &name}), http.StatusOK)
		if edited.Name != "g2" || !slices.Equal(edited.Actors, actors[:2]) || !slices.Equal(edited.Scopes, scopes) || edited.Tokens != 1 {
			t.Errorf("edited %+v", edited.Account)
		}
		after := mint("")
		for text, want := range map[string]grant.Map{
			before.Text: grant.OfScopes(grant.RecordsRead, grant.RecordsWrite), after.Text: grant.OfScopes(grant.ConfigRead),
		} {
			v := s.verdict(t, text)
			if !v.KeyGrants.Equal(want) || !slices.Equal(v.Principal.ServiceAccount.Actors, actors[:2]) || v.Principal.DisplayName != "g2" {
				t.Errorf("a token is worth %v as %+v", v.KeyGrants, v.Principal)
			}
		}
		list := func(account string) []introspection.Token {
			t.Helper()
			return into[[]introspection.Token](t, s.ask(t, who, introspection.ListTokensPath,
				introspection.TokenListErrand{AccountID: account, ListErrand: introspection.ListErrand{Limit: 10}}), http.StatusOK)
		}
		if all, own := list(""), list(created.ID); len(all) != 3 || len(own) != 2 || own[0].ID > own[1].ID {
			t.Errorf("%d tokens, %d of the account", len(all), len(own))
		}
		into[struct{}](t, s.send("POST", introspection.UsesPath, serviceToken(t),
			introspection.Uses{Uses: []introspection.Use{{KeyID: after.ID}}}), http.StatusNoContent)

		rotated := into[introspection.RotatedTokens](t, s.ask(t, who, introspection.RotateTokensPath,
			introspection.TokenDraft{AccountID: created.ID, Reason: "quarterly"}), http.StatusOK)
		want := []string{before.ID, after.ID}
		slices.Sort(want)
		if !slices.Equal(rotated.Revoked, want) || rotated.Revision == 0 {
			t.Errorf("revoked %v at revision %d", rotated.Revoked, rotated.Revision)
		}
		for text, want := range map[string]bool{before.Text: false, after.Text: false, rotated.Text: true} {
			if got := s.verdict(t, text).Active; got != want {
				t.Errorf("after a rotation: active %t, want %t", got, want)
			}
		}
		for _, token := range list(created.ID) {
			if (token.RevokedAt == nil) != (token.ID == rotated.ID) || (token.Reason == "quarterly") == (token.ID == rotated.ID) ||
				(token.LastUsedAt != nil) != (token.ID == after.ID) {
				t.Errorf("listed as %+v", token)
			}
		}
		if again := into[introspection.RotatedTokens](t, s.ask(t, who, introspection.RotateTokensPath,
			introspection.TokenDraft{AccountID: created.ID}), http.StatusOK); !slices.Equal(again.Revoked, []string{rotated.ID}) {
			t.Errorf("the second rotation revoked %v", again.Revoked)
		}
		// Its revocation ends it all, once.
		for i := range 2 {
			gone := into[introspection.RevokedAccount](t, s.ask(t, who, introspection.RevokeAccountPath,
				introspection.AccountErrand{ID: created.ID, Reason: "stolen"}), http.StatusOK)
			if gone.Already != (i == 1) || len(gone.Revoked) != 1-i || gone.RevokedAt == nil || gone.Reason != "stolen" || gone.Tokens != 0 {
				t.Errorf("revoked %+v", gone)
			}
		}
		for path, body := range map[string]any{
			introspection.MintTokenPath:    introspection.TokenDraft{AccountID: created.ID},
			introspection.RotateTokensPath: introspection.TokenDraft{AccountID: created.ID},
			introspection.EditAccountPath:  introspection.AccountEdit{ID: created.ID, Actors: &actors},
		} {
			refused(t, s.ask(t, who, path, body), fault.Conflict, "")
		}
		for _, token := range list(created.ID) {
			if token.RevokedAt == nil {
				t.Errorf("listed as %+v", token)
			}
		}
	})
}

func TestRepeatedRevocationsOfATokenSucceed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		admin := s.firstAccount(t, "admin")
		who := s.bearer(t, admin.Token.Text)
		token := into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath,
			introspection.TokenDraft{AccountID: admin.ID}), http.StatusOK)
		for i := range 2 {
			gone := into[introspection.RevokedToken](t, s.ask(t, who, introspection.RevokeTokenPath,
				introspection.TokenErrand{AccountID: admin.ID, TokenID: token.ID, Reason: "lost phone"}), http.StatusOK)
			if gone.Already != (i == 1) || gone.ID != token.ID || gone.RevokedAt == nil || gone.Reason != "lost phone" || (gone.Revision == 0) != (i == 1) {
				t.Errorf("revoked %+v", gone)
			}
			if s.verdict(t, token.Text).Active {
				t.Error("a revoked token is active")
			}
		}
		for _, errand := range []introspection.TokenErrand{
			{AccountID: admin.ID, TokenID: "x"}, {AccountID: "x", TokenID: admin.Token.ID}, {AccountID: apikey.BootstrapAccount, TokenID: admin.Token.ID},
		} {
			refused(t, s.ask(t, who, introspection.RevokeTokenPath, errand), fault.NotFound, "")
		}
		// A reason is shown to others, so it is no place for a secret, nor for what no terminal can show.
		for _, reason := range []string{"it was " + token.Text, "x" + admin.Token.Text, "two\nlines", strings.Repeat("x", 513)} {
			for path, body := range map[string]any{
				introspection.MintTokenPath:     introspection.TokenDraft{AccountID: admin.ID, Reason: reason},
				introspection.RotateTokensPath:  introspection.TokenDraft{AccountID: admin.ID, Reason: reason},
				introspection.RevokeTokenPath:   introspection.TokenErrand{AccountID: admin.ID, TokenID: token.ID, Reason: reason},
				introspection.RevokeAccountPath: introspection.AccountErrand{ID: admin.ID, Reason: reason},
			} {
				refused(t, s.ask(t, who, path, body), fault.Invalid, "reason")
			}
		}
		// The bearer may revoke itself.
		into[introspection.RevokedToken](t, s.ask(t, who, introspection.RevokeTokenPath,
			introspection.TokenErrand{AccountID: admin.ID, TokenID: admin.Token.ID}), http.StatusOK)
		refused(t, s.ask(t, who, introspection.ListAccountsPath, introspection.ListErrand{Limit: 1}), fault.Unauthenticated, introspection.CallerField)
	})
}
