package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// told returns what an endpoint was told so far, as event, kind and name of the key, sorted.
func told(t *testing.T, s Store, e hook.Endpoint) []string {
	t.Helper()
	found, err := s.Deliveries(t.Context(), e.ID, "", hook.Place{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, d := range found {
		data := d.Message.Data
		text := fmt.Sprintf("%s %s %s/%s", d.Message.Type, data.Kind, data.ContextID, data.Name)
		if data.Reason != "" {
			text += ": " + data.Reason
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func tells(t *testing.T, s Store, e hook.Endpoint, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), told(t, s, e)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func keyEvents(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, nil)
	changeKeys(t, s)
	made, old, next := changeTokens(t, s)
	mintKey(t, s, "acme", "last")
	if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	tells(t, s, e,
		"key.created key acme/k", "key.rotated key acme/k", "key.disabled key acme/k", "key.enabled key acme/k",
		"key.created key acme/imported", "key.revoked key acme/imported", "key.created key acme/second", "key.revoked key acme/second",
		"key.revoked key acme/k: its principal was deleted",
		"key.created token acme/"+made, "key.created token acme/"+old, "key.revoked token acme/"+old+": why",
		"key.revoked token acme/"+made+": turn", "key.rotated token acme/"+next+": turn", "key.revoked token acme/"+next+": gone",
		"key.created key acme/last", "key.revoked key acme/last: its context was deleted",
	)
	if n := subject.Count(t, "SELECT count(*) - count(DISTINCT message_id) FROM webhook_deliveries"); n != 0 {
		t.Errorf("%d messages share an id", n)
	}
	refusedChangesAreNotTold(t, subject)
}

// changeKeys changes keys of the context "acme" in every way, some twice, and deletes their principal.
func changeKeys(t *testing.T, s Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	k := mintKey(t, s, "acme", "k")
	_, _, err := s.RotateKey(t.Context(), "acme", "k", reseal(sealed(t, "acme", "", "x").Seal))
	must(err)
	for _, disabled := range []bool{true, true, false} {
		_, _, err = s.EditKey(t.Context(), "acme", "k", func(key.Key) (key.Settings, error) { return key.Settings{Disabled: disabled}, nil })
		must(err)
	}
	imported := sealed(t, "acme", k.PrincipalID, "imported")
	draft := key.ImportDraft{Key: imported, Seals: []secret.Seal{imported.Seal}, PrincipalID: k.PrincipalID}
	for range 2 {
		_, _, err = s.ImportKeys(t.Context(), "acme", []key.ImportDraft{draft})
		must(err)
	}
	_, err = s.DeleteKey(t.Context(), "acme", "imported", anyKey)
	must(err)
	second := sealed(t, "acme", k.PrincipalID, "second")
	_, _, err = s.MintKeyFor(t.Context(), "acme", k.PrincipalID, func(time.Time, tenant.Config, principal.Principal) (key.Key, error) {
		return second, nil
	})
	must(err)
	_, err = s.DeleteKey(t.Context(), "acme", "second", anyKey)
	must(err)
	_, err = s.DeletePrincipal(t.Context(), "acme", k.PrincipalID, func(principal.Principal) error { return nil })
	must(err)
}

// changeTokens makes an account with a token, adds an old one and revokes it, rotates to the next one and revokes the account. It
// returns the ids of the three tokens.
func changeTokens(t *testing.T, s Store) (first, old, next string) {
	t.Helper()
	made := account(t, s)
	added, err := addToken(t, s, made.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	alter(t, s, func(l errand.Ledger) error {
		_, err := l.RevokeToken(serviceaccount.Token{ContextID: "acme", AccountID: made.Account.ID, ID: added.ID, RevokedAt: l.Now(), Reason: "why"})
		return err
	})
	var minted serviceaccount.Minted
	alter(t, s, func(l errand.Ledger) (err error) {
		if minted, err = made.Account.Mint(ring(t), "", l.Now(), tenant.Config{}); err != nil {
			return err
		}
		_, _, err = l.RotateTokens(made.Account, minted, "turn")
		return err
	})
	alter(t, s, func(l errand.Ledger) error {
		a := made.Account
		a.RevokedAt, a.Reason = l.Now(), "gone"
		_, _, err := l.RevokeAccount(a)
		return err
	})
	return made.Token.ID, added.ID, minted.ID
}

func refusedChangesAreNotTold(t *testing.T, subject Subject) {
	t.Helper()
	s := subject.Store
	refusal := fault.New(fault.Conflict, "no")
	create(t, s, "other")
	mintKey(t, s, "other", "k")
	before := subject.Count(t, "SELECT count(*) FROM webhook_deliveries")
	if _, _, err := s.RotateKey(t.Context(), "other", "k", func(time.Time, tenant.Config, key.Key) (key.Key, error) { return key.Key{}, refusal }); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if _, _, err := tryMint(t, s, "other", "k"); !errors.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if after := subject.Count(t, "SELECT count(*) FROM webhook_deliveries"); after != before {
		t.Errorf("changes that did not happen were told of %d times", after-before)
	}
}

func whoIsTold(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	create(t, s, "other")
	mintKey(t, s, "acme", "early")
	all := endpoint(t, s, nil)
	acme := endpoint(t, s, func(e *hook.Endpoint) { e.ContextID = "acme" })
	other := endpoint(t, s, func(e *hook.Endpoint) { e.ContextID = "other" })
	rotations := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyRotated} })
	off := endpoint(t, s, func(e *hook.Endpoint) { e.Enabled = false })
	mintKey(t, s, "acme", "k")
	if _, _, err := s.RotateKey(t.Context(), "acme", "k", reseal(sealed(t, "acme", "", "x").Seal)); err != nil {
		t.Fatal(err)
	}
	created, rotated := "key.created key acme/k", "key.rotated key acme/k"
	tells(t, s, all, created, rotated)
	tells(t, s, acme, created, rotated)
	tells(t, s, other)
	tells(t, s, rotations, rotated)
	tells(t, s, off)
	if n := subject.Count(t, "SELECT count(DISTINCT message_id) FROM webhook_deliveries"); n != 2 {
		t.Errorf("two messages have %d ids", n)
	}
}
