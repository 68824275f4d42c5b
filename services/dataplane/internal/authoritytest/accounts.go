package authoritytest

import (
	"testing"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Account makes a service account that may claim the given actors, and returns its id.
func (a *Authority) Account(contextID, incarnation, name string, actors ...string) string {
	id := apikey.NewAccountID()
	a.enrol(contextID, incarnation, id, name, actors)
	return id
}

func (a *Authority) enrol(contextID, incarnation, id, name string, actors []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &caller.Principal{
		ID: id, DisplayName: name, Kind: caller.Service, Grants: grant.Map{}, ServiceAccount: &caller.ServiceAccount{Actors: actors},
	}
	a.principals[[2]string{incarnation, id}] = p
	a.accounts[id] = introspection.Verdict{Active: true, Context: contextID, Incarnation: incarnation, Principal: p}
}

// Token mints a token of an account, with these scopes, and returns its text.
func (a *Authority) Token(tb testing.TB, account string, scopes ...grant.Verb) string {
	tb.Helper()
	token, err := apikey.MintToken(apikey.DefaultEnv, account)
	if err != nil {
		tb.Fatal(err)
	}
	return a.issue(tb, token, token.ID(), scopes)
}

// ChosenToken makes the account that a chosen token opens, and returns the text of a token with this secret. It has every scope.
func (a *Authority) ChosenToken(tb testing.TB, contextID, incarnation, secret string, actors ...string) string {
	tb.Helper()
	token, err := apikey.ChosenToken(secret)
	if err != nil {
		tb.Fatal(err)
	}
	a.enrol(contextID, incarnation, apikey.BootstrapAccount, apikey.BootstrapAccount, actors)
	return a.issue(tb, token, apikey.NewID(), []grant.Verb{grant.Admin})
}

func (a *Authority) issue(tb testing.TB, token apikey.Token, id string, scopes []grant.Verb) string {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	verdict, known := a.accounts[token.Account()]
	if !known {
		tb.Fatalf("no account %q", token.Account())
	}
	verdict.KeyID, verdict.KeyName, verdict.KeyGrants = id, id, grant.OfScopes(scopes...)
	a.verdicts[token.Digest()] = verdict
	return token.Reveal()
}

// SetActors changes what the tokens of an account may claim.
func (a *Authority) SetActors(account string, actors ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	edited := a.accounts[account]
	p := *edited.Principal // the old one may be in use
	p.ServiceAccount = &caller.ServiceAccount{Actors: actors}
	edited.Principal = &p
	a.accounts[account] = edited
	a.principals[[2]string{edited.Incarnation, account}] = &p
	for digest, verdict := range a.verdicts {
		if verdict.Principal != nil && verdict.Principal.ID == account {
			verdict.Principal = &p
			a.verdicts[digest] = verdict
		}
	}
}

// RevokeToken revokes one token.
func (a *Authority) RevokeToken(tb testing.TB, text string) {
	tb.Helper()
	token, err := apikey.ParseToken(text)
	if err != nil {
		tb.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdicts[token.Digest()] = introspection.Verdict{}
}

// RevokeAccount revokes an account with all its tokens.
func (a *Authority) RevokeAccount(account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, account)
	for digest, verdict := range a.verdicts {
		if verdict.Principal != nil && verdict.Principal.ID == account {
			a.verdicts[digest] = introspection.Verdict{}
		}
	}
}

// standing counts the accounts of a context. Where there are none it is in its first life.
func (a *Authority) standing(contextID string) introspection.Standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := introspection.Standing{Context: contextID, Incarnation: contextID + "-1"}
	for _, account := range a.accounts {
		if account.Context == contextID {
			out.Incarnation = account.Incarnation
			out.Accounts++
			out.Active++
		}
	}
	out.Open = out.Accounts == 0
	return out
}
