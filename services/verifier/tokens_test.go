package verifier_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/verifier"
)

// chosenID is how the authority names the chosen token, which nobody can compute.
const chosenID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// mintToken mints a token of an account whose tokens may claim these actors.
func (r *registry) mintToken(tb testing.TB, account string, actors []string, scopes ...grant.Verb) apikey.Token {
	tb.Helper()
	token, err := apikey.MintToken("prod", account)
	if err != nil {
		tb.Fatal(err)
	}
	r.enrol(token, token.ID(), actors, scopes)
	return token
}

// choose makes the chosen token good.
func (r *registry) choose(tb testing.TB, actors ...string) apikey.Token {
	tb.Helper()
	token, err := apikey.ChosenToken("correct-horse_battery")
	if err != nil {
		tb.Fatal(err)
	}
	r.enrol(token, chosenID, actors, []grant.Verb{grant.Admin})
	return token
}

func (r *registry) enrol(token apikey.Token, id string, actors []string, scopes []grant.Verb) {
	r.set(func() {
		r.live[token.Digest()] = introspection.Verdict{
			Active: true, Context: "acme", Incarnation: "acme.1", KeyID: id, KeyName: id, KeyGrants: grant.OfScopes(scopes...),
			Principal: account(token.Account(), actors),
		}
	})
}

func account(id string, actors []string) *caller.Principal {
	return &caller.Principal{ID: id, Kind: caller.Service, Grants: grant.Map{}, ServiceAccount: &caller.ServiceAccount{Actors: actors}}
}

func (r *registry) revokeToken(token apikey.Token) {
	r.set(func() {
		id := r.live[token.Digest()].KeyID
		delete(r.live, token.Digest())
		r.touchLocked(introspection.SubjectKey, id)
	})
}

// edit changes whom the tokens of an account may claim to be.
func (r *registry) edit(id string, actors []string) {
	r.set(func() {
		for digest, verdict := range r.live {
			if verdict.Principal.ID == id {
				verdict.Principal = account(id, actors)
				r.live[digest] = verdict
			}
		}
		r.touchLocked(introspection.SubjectPrincipal, id)
	})
}

// dissolve revokes an account.
func (r *registry) dissolve(id string) {
	r.set(func() {
		for digest, verdict := range r.live {
			if verdict.Principal.ID == id {
				delete(r.live, digest)
			}
		}
		r.touchLocked(introspection.SubjectPrincipal, id)
	})
}

// step is one change: of the account and the token that are meant.
type step struct {
	change  string
	account int
	token   int
	scopes  []grant.Verb
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		rapid.SampledFrom([]string{"mint", "mint", "mint", "revoke", "edit", "dissolve"}).Draw(t, "change"),
		rapid.IntRange(0, 2).Draw(t, "account"), rapid.IntRange(0, 100).Draw(t, "token"),
		rapid.SliceOfDistinct(rapid.SampledFrom(grant.Scopes()), func(v grant.Verb) grant.Verb { return v }).Draw(t, "scopes"),
	}
}), 1, 20)

// TestTokensAgainstAModel mints and revokes tokens and edits and revokes their accounts, and wants of every token at every moment
// what a naive reading says: whether it is good, what it may do, whom it may claim to be, and whether the authority was asked.
func TestTokensAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		drawn := steps.Draw(rt, "steps")
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = newModel(t).play(t, drawn) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// model is what a naive reader knows. The last account is the one whose token is chosen.
type model struct {
	r        *registry
	v        *verifier.Verifier
	accounts []modelAccount
	tokens   []*modelToken
}

type modelAccount struct {
	id     string
	actors []string
	dead   bool
}

type modelToken struct {
	token   apikey.Token
	account int
	id      string
	scopes  []grant.Verb
	dead    bool
	known   bool // and nothing has touched it since
}

func newModel(t *testing.T) *model {
	t.Helper()
	m := &model{r: newRegistry()}
	m.v = open(t, m.r, verifier.Config{Reread: 24 * time.Hour})
	settle()
	m.accounts = []modelAccount{{id: apikey.NewAccountID()}, {id: apikey.NewAccountID()}, {id: apikey.BootstrapAccount}}
	return m
}

func (m *model) play(t *testing.T, steps []step) error {
	t.Helper()
	for i, step := range steps {
		m.take(t, i, step)
		settle()
		for range 2 {
			for _, token := range m.tokens {
				if err := m.compare(t, token); err != nil {
					return fmt.Errorf("after %v, a token of account %d: %w", step, token.account, err)
				}
			}
		}
	}
	return nil
}

func (m *model) take(t *testing.T, number int, step step) {
	t.Helper()
	of := &m.accounts[step.account]
	chosen := of.id == apikey.BootstrapAccount
	switch step.change {
	case "mint":
		switch {
		case of.dead:
		case !chosen:
			token := m.r.mintToken(t, of.id, of.actors, step.scopes...)
			m.tokens = append(m.tokens, &modelToken{token: token, account: step.account, id: token.ID(), scopes: step.scopes})
		case !slices.ContainsFunc(m.tokens, func(token *modelToken) bool { return token.id == chosenID }):
			token := m.r.choose(t, of.actors...)
			m.tokens = append(m.tokens, &modelToken{token: token, account: step.account, id: chosenID, scopes: []grant.Verb{grant.Admin}})
		}
	case "revoke":
		if len(m.tokens) > 0 {
			if token := m.tokens[step.token%len(m.tokens)]; !token.dead {
				m.r.revokeToken(token.token)
				token.dead, token.known = true, false
			}
		}
	default:
		if step.change == "edit" {
			of.actors = []string{fmt.Sprint("did:sync:svc:", number)}
			m.r.edit(of.id, of.actors)
		} else {
			of.dead = true
			m.r.dissolve(of.id)
		}
		for _, token := range m.tokens {
			if token.account == step.account && !token.dead {
				token.dead, token.known = of.dead, false
			}
		}
	}
}

// compare verifies a token and says what differs from what the model knows.
func (m *model) compare(t *testing.T, token *modelToken) error {
	t.Helper()
	before := m.v.Stats().Misses
	verdict, err := m.v.Check(t.Context(), token.token.Reveal())
	of := m.accounts[token.account]
	askedAgain := !token.known || token.id == chosenID
	token.known = true
	switch asked := m.v.Stats().Misses > before; {
	case asked != askedAgain:
		return fmt.Errorf("asked about: %t, want %t", asked, askedAgain)
	case err != nil && !errors.Is(err, fault.Unauthenticated):
		return err
	case token.dead != (err != nil):
		return fmt.Errorf("refused: %t, want %t", err != nil, token.dead)
	case token.dead:
		return nil
	case verdict.Caller.KeyID != token.id || verdict.Caller.KeyName != token.id || verdict.Caller.Principal.ID != of.id:
		return errors.New("it is another's")
	case !slices.Equal(verdict.Caller.Principal.ServiceAccount.Actors, of.actors):
		return fmt.Errorf("actors %v, want %v", verdict.Caller.Principal.ServiceAccount.Actors, of.actors)
	}
	for _, verb := range slices.Concat(grant.Scopes(), grant.Verbs()) {
		want := slices.Contains(token.scopes, verb) || slices.Contains(token.scopes, grant.Admin) && slices.Contains(grant.Scopes(), verb)
		if got := grant.Authorize(verdict.Caller, verb, scope.Root) == nil; got != want {
			return fmt.Errorf("%s: %t, want %t", verb, got, want)
		}
	}
	return nil
}

func TestMalformedTokensAreRefusedWithoutAsking(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	good := r.mintToken(t, apikey.NewAccountID(), nil).Reveal()
	for _, text := range []string{
		"spl_", good[:len(good)-1], good + "x", strings.Replace(good, "prod", "dev", 1), strings.Replace(good, "sa_", "sp_", 1),
		"spl_prod_sa-bootstrap-env_short",
	} {
		if _, err := v.Verify(t.Context(), text); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("got %v", err)
		}
	}
	if asked := r.asked(); len(asked) != 0 {
		t.Errorf("the authority was asked %d times", len(asked))
	}
}

// The cache recognises a token by its secret's hash, and must not take for it what differs in any other place.
func TestWhatResemblesARememberedTokenIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, "with a byte replaced", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{Reread: 24 * time.Hour})
		settle()
		token := r.mintToken(t, apikey.NewAccountID(), nil, grant.RecordsRead)
		wantCached(t, v, token)
		text := token.Reveal()
		for at := range text {
			for _, with := range []byte("a0_-A") {
				other := text[:at] + string(with) + text[at+1:]
				if _, err := v.Verify(t.Context(), other); other != text && !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("%q in place %d: %v", with, at, err)
				}
			}
		}
		for _, other := range []string{strings.Replace(text, "prod", "p", 1), strings.Replace(text, "prod", "production", 1)} {
			if _, err := v.Verify(t.Context(), other); !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("with a tag of another length: %v", err)
			}
		}
	})
}

func TestSeveralTokensOfOneAccount(t *testing.T) {
	t.Parallel()
	bubble(t, "one is revoked, the others stay", func(t *testing.T) {
		r, v, tokens := threeTokens(t)
		r.revokeToken(tokens[0])
		settle()
		if _, ok := check(t, v, tokens[0]); ok {
			t.Error("a revoked token was accepted")
		}
		for _, token := range tokens[1:] {
			if source, ok := check(t, v, token); !ok || source != verifier.FromCache {
				t.Errorf("another was accepted %t, from %q", ok, source)
			}
		}
	})
	bubble(t, "the account is revoked, all go", func(t *testing.T) {
		r, v, tokens := threeTokens(t)
		r.dissolve(r.live[tokens[0].Digest()].Principal.ID)
		settle()
		for _, token := range tokens {
			if _, ok := check(t, v, token); ok {
				t.Error("a token of a revoked account was accepted")
			}
		}
	})
	bubble(t, "an answer overtakes the stream with other actors", func(t *testing.T) {
		r, v, tokens := threeTokens(t)
		id := tokens[0].Account()
		r.set(func() { r.silent = true })
		settle()
		r.edit(id, []string{"did:sync:svc:new"})
		fresh := r.mintToken(t, id, []string{"did:sync:svc:new"}, grant.RecordsRead)
		check(t, v, fresh)
		verdict, err := v.Check(t.Context(), tokens[0].Reveal())
		if err != nil || verdict.Source != verifier.FromAuthority || verdict.Caller.Principal.ServiceAccount.Actors[0] != "did:sync:svc:new" {
			t.Errorf("of the account's other token: %+v, %v", verdict, err)
		}
	})
}

// threeTokens are of one account and remembered.
func threeTokens(t *testing.T) (*registry, *verifier.Verifier, []apikey.Token) {
	t.Helper()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	settle()
	id := apikey.NewAccountID()
	var tokens []apikey.Token
	for range 3 {
		token := r.mintToken(t, id, []string{"did:sync:svc:old"}, grant.RecordsRead)
		wantCached(t, v, token)
		tokens = append(tokens, token)
	}
	return r, v, tokens
}

func TestAChosenTokenIsNeverRemembered(t *testing.T) {
	t.Parallel()
	bubble(t, "good, then not", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		token := r.choose(t, "did:sync:user:me")
		for range 3 {
			if source, ok := check(t, v, token); !ok || source != verifier.FromAuthority {
				t.Errorf("accepted %t from %q", ok, source)
			}
		}
		r.set(func() { delete(r.live, token.Digest()) }) // no revision says so
		for range 3 {
			if _, ok := check(t, v, token); ok {
				t.Error("accepted when it was gone")
			}
		}
		if asked, stats := r.asked(), v.Stats(); len(asked) != 6 || stats.Keys != 0 || stats.Refused != 0 {
			t.Errorf("asked %v, %d and %d are remembered", asked, stats.Keys, stats.Refused)
		}
	})
	bubble(t, "its use is reported once a minute", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		token := r.choose(t)
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		for range 119 {
			check(t, v, token)
			time.Sleep(time.Second)
		}
		if got := r.reported()[chosenID]; got != 2 {
			t.Errorf("in two minutes it was reported %d times", got)
		}
	})
}

func TestATokenActsOnBehalfOfNobody(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	r.employ("alice", grant.All())
	id := apikey.NewAccountID()
	r.employ(id, grant.Map{})
	good := r.mintToken(t, id, nil, grant.Admin)
	unknown := newRegistry().mintToken(t, id, nil)
	for _, target := range []string{"alice", "nobody", id, "\xff"} {
		for name, tt := range map[string]struct {
			token string
			want  error
		}{
			"good": {good.Reveal(), fault.Forbidden}, "unknown": {unknown.Reveal(), fault.Unauthenticated}, "malformed": {"spl_", fault.Unauthenticated},
		} {
			if verdict, err := v.CheckOnBehalf(t.Context(), tt.token, target); !errors.Is(err, tt.want) || verdict.Caller != nil {
				t.Errorf("%s, for %q: %v", name, target, err)
			} else if name == "good" && !strings.Contains(err.Error(), "service account") {
				t.Errorf("%q is told not to exist: %v", target, err)
			}
		}
	}
}
