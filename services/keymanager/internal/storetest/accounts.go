package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// accountTests are those of service accounts.
var accountTests = map[string]func(*testing.T, Subject){
	"service accounts":                      accounts,
	"a token without its account":           tokenWithoutAccount,
	"whom active accounts may be":           actingAccounts,
	"there is one first account":            firstAccountRace,
	"a first account races another one":     firstAgainstCreation,
	"a mint races the end of its account":   mintAgainstRevocation,
	"rotations of tokens race":              rotationRace,
	"a prepared deployment is bootstrapped": prepared,
}

// account makes a service account in the context "acme", with a token.
func account(t *testing.T, s Store) serviceaccount.Made {
	t.Helper()
	var made serviceaccount.Made
	alter(t, s, func(l errand.Ledger) error {
		var err error
		made, err = serviceaccount.Make(ring(t), "acme", introspection.AccountDraft{
			Name: "grafana", Actors: []string{"did:a"}, Scopes: []string{"records:read"}, WithToken: true,
		}, l.Now(), tenant.Config{})
		if err != nil {
			return err
		}
		return l.AddAccount(made)
	})
	return made
}

// alter runs fn in a transaction that must succeed.
func alter(t *testing.T, s Store, fn func(errand.Ledger) error) {
	t.Helper()
	if err := s.Alter(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// addToken mints a token of an account as it is now.
func addToken(t *testing.T, s Store, id string) (m serviceaccount.Minted, err error) {
	t.Helper()
	err = s.Alter(t.Context(), func(l errand.Ledger) error {
		a, err := l.Account("acme", id)
		if err != nil {
			return err
		}
		if m, err = a.Mint(ring(t), "", l.Now(), tenant.Config{}); err != nil {
			return err
		}
		return l.AddToken(m)
	})
	return m, err
}

// last returns the newest revision.
func last(t *testing.T, s Store) revision.Numbered {
	t.Helper()
	newest, err := s.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := s.Revisions(t.Context(), newest-1, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d revisions, %v", len(found), err)
	}
	return found[0]
}

func accounts(t *testing.T, subject Subject) {
	s := subject.Store
	c := create(t, s, "acme")
	made := account(t, s)
	found, snapshot := find(t, s, made.Token.Key.Seal)
	want := &key.Found{
		ID: made.Token.ID, Name: made.Token.ID, Kind: key.Token, ContextID: "acme", Incarnation: c.Incarnation,
		Grants: grant.OfScopes(grant.RecordsRead), Principal: caller.Principal{
			ID: made.Account.ID, DisplayName: "grafana", Kind: caller.Service, Grants: grant.Map{},
			ServiceAccount: &caller.ServiceAccount{Actors: []string{"did:a"}},
		},
	}
	if diff := cmp.Diff(want, found, cmp.Comparer(scope.Region.Equal)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if snapshot.AsOf != 0 {
		t.Errorf("a mint took revision %d", snapshot.AsOf)
	}
	second, err := addToken(t, s, made.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ordinary := mintKey(t, s, "acme", "k"); func() *key.Found { f, _ := find(t, s, ordinary.Seal); return f }().Principal.ServiceAccount != nil {
		t.Error("the principal of a key is a service account")
	}
	alter(t, s, func(l errand.Ledger) error {
		listed, err := l.Accounts("acme", "", 10)
		if err != nil || len(listed) != 1 || listed[0].Tokens != 2 || listed[0].CreatedAt.IsZero() {
			t.Errorf("listed %+v, %v", listed, err)
		}
		if after, err := l.Accounts("acme", made.Account.ID, 10); err != nil || len(after) != 0 {
			t.Errorf("after the last: %+v, %v", after, err)
		}
		before := listed[0].Account
		after := before
		after.Scopes = []grant.Verb{grant.Admin}
		if revised, err := l.ReplaceAccount(before, after); err != nil || revised != 0 {
			t.Errorf("other scopes take revision %d, %v", revised, err)
		}
		if revised, err := l.ReplaceAccount(after, after); err != nil || revised != 0 {
			t.Errorf("no change takes revision %d, %v", revised, err)
		}
		before, after.Actors = after, []string{"did:b"}
		if revised, err := l.ReplaceAccount(before, after); err != nil || revised != 1 {
			t.Errorf("other actors take revision %d, %v", revised, err)
		}
		return nil
	})
	if got := last(t, s); got.Kind != revision.PrincipalChanged || got.Subject != made.Account.ID || got.ContextID != "acme" {
		t.Errorf("other actors are %+v", got)
	}
	for _, seal := range []key.Key{made.Token.Key, second.Key} {
		found, _ := find(t, s, seal.Seal)
		if !slices.Equal(found.Principal.ServiceAccount.Actors, []string{"did:b"}) || !found.Grants.Equal(grant.OfScopes(grant.RecordsRead)) {
			t.Errorf("after an edit: %+v", found)
		}
	}
	revocations(t, s, made, second)
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action LIKE 'service_account.%' OR action LIKE 'token.%'"); n != 7 {
		t.Errorf("%d audit entries, want 7: 1 account, 2 tokens, 2 edits, 1 token and 1 account revoked", n)
	}
}

// revocations revokes the second token, and then the account with the first.
func revocations(t *testing.T, s Store, made serviceaccount.Made, second serviceaccount.Minted) {
	t.Helper()
	alter(t, s, func(l errand.Ledger) error {
		if _, err := l.Token("acme", "sa_x", second.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another account's token: %v", err)
		}
		token, err := l.Token("acme", made.Account.ID, second.ID)
		if err != nil {
			return err
		}
		token.RevokedAt, token.Reason = l.Now(), "lost"
		_, err = l.RevokeToken(token.Token)
		return err
	})
	if got := last(t, s); got.Kind != revision.KeyDeleted || got.Subject != second.ID {
		t.Errorf("the revocation of a token is %+v", got)
	}
	if found, _ := find(t, s, second.Key.Seal); found != nil {
		t.Error("a revoked token is found")
	}
	if found, _ := find(t, s, made.Token.Key.Seal); found == nil {
		t.Error("the other token is gone, too")
	}
	var revoked []string
	alter(t, s, func(l errand.Ledger) error {
		a, err := l.Account("acme", made.Account.ID)
		if err != nil {
			return err
		}
		if a.Tokens != 1 {
			t.Errorf("%d tokens are live, want 1", a.Tokens)
		}
		a.RevokedAt, a.Reason = l.Now(), "stolen"
		revoked, _, err = l.RevokeAccount(a.Account)
		return err
	})
	if got := last(t, s); got.Kind != revision.PrincipalChanged || got.Subject != made.Account.ID || !slices.Equal(revoked, []string{made.Token.ID}) {
		t.Errorf("the revocation of an account is %+v, of %v", got, revoked)
	}
	if found, _ := find(t, s, made.Token.Key.Seal); found != nil {
		t.Error("a token outlives its account")
	}
	alter(t, s, func(l errand.Ledger) error {
		tokens, err := l.Tokens("acme", "", "", 10)
		reasons := map[string]string{}
		for _, token := range tokens {
			if token.RevokedAt.IsZero() {
				t.Errorf("listed as live: %+v", token)
			}
			reasons[token.ID] = token.Reason
		}
		if diff := cmp.Diff(map[string]string{second.ID: "lost", made.Token.ID: "stolen"}, reasons); diff != "" {
			t.Error(diff)
		}
		return err
	})
}

// tokenWithoutAccount: whatever else went wrong, a token of an account that is revoked is no token.
func tokenWithoutAccount(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	made := account(t, s)
	subject.Exec(t, "UPDATE service_accounts SET revoked_at = created_at")
	if found, snapshot := find(t, s, made.Token.Key.Seal); found.Caller(snapshot.At) != nil {
		t.Error("it opens its context")
	}
}

// actingAccounts: an account counts that may claim exactly that identity, in this context, and has not been revoked.
func actingAccounts(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	create(t, s, "other")
	account(t, s)
	check := func(contextID, actor string, want bool) {
		t.Helper()
		if may, err := s.ActingAccount(t.Context(), contextID, actor); may != want || err != nil {
			t.Errorf("%s in %s: %t, %v", actor, contextID, may, err)
		}
	}
	check("acme", "did:a", true)
	check("acme", "did:", false)
	check("acme", "did:b", false)
	check("other", "did:a", false)
	subject.Exec(t, "UPDATE service_accounts SET revoked_at = created_at")
	check("acme", "did:a", false)
}
