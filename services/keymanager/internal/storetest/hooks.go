package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// hookTests are those of webhooks.
var hookTests = map[string]func(*testing.T, Subject){
	"every change of a key has its event":    keyEvents,
	"who is told of what":                    whoIsTold,
	"webhooks":                               endpoints,
	"a delivery is claimed once":             claims,
	"a claim that has ended counts no more":  lostClaim,
	"what becomes of deliveries":             settling,
	"a webhook that is hopeless is disabled": hopeless,
	"deliveries are listed newest first":     listDeliveries,
	"an end is announced once":               warnings,
	"replicas announce an end once":          warningRace,
	"what is swept":                          sweeping,
	"secrets are sealed anew":                resealing,
	"credentials by their seals":             leaks,
}

// patient is how long messages are tried where it does not matter.
const patient = 72 * time.Hour

// endpoint adds an endpoint that is told of everything, unless change narrows it.
func endpoint(t *testing.T, s Store, change func(*hook.Endpoint)) hook.Endpoint {
	t.Helper()
	e := hook.Endpoint{ID: "wh_" + secret.NewID(16), URL: "https://example.com/hook", Events: webhook.Events(), Enabled: true}
	box, err := ring(t).Lock("whsec_x", e.Label())
	if err != nil {
		t.Fatal(err)
	}
	e.Secret = box
	if change != nil {
		change(&e)
	}
	added, err := s.AddEndpoint(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

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
	k := mintKey(t, s, "acme", "k")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
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
	made := account(t, s)
	old, err := addToken(t, s, made.Account.ID)
	must(err)
	alter(t, s, func(l errand.Ledger) error {
		_, err := l.RevokeToken(serviceaccount.Token{ContextID: "acme", AccountID: made.Account.ID, ID: old.ID, RevokedAt: l.Now(), Reason: "why"})
		return err
	})
	var next serviceaccount.Minted
	alter(t, s, func(l errand.Ledger) (err error) {
		if next, err = made.Account.Mint(ring(t), "", l.Now(), tenant.Config{}); err != nil {
			return err
		}
		_, _, err = l.RotateTokens(made.Account, next, "turn")
		return err
	})
	alter(t, s, func(l errand.Ledger) error {
		a := made.Account
		a.RevokedAt, a.Reason = l.Now(), "gone"
		_, _, err := l.RevokeAccount(a)
		return err
	})
	mintKey(t, s, "acme", "last")
	_, err = s.DeleteContext(t.Context(), "acme")
	must(err)
	tells(t, s, e,
		"key.created key acme/k", "key.rotated key acme/k", "key.disabled key acme/k", "key.enabled key acme/k",
		"key.created key acme/imported", "key.revoked key acme/imported", "key.created key acme/second", "key.revoked key acme/second",
		"key.revoked key acme/k: its principal was deleted",
		"key.created token acme/"+made.Token.ID, "key.created token acme/"+old.ID, "key.revoked token acme/"+old.ID+": why",
		"key.revoked token acme/"+made.Token.ID+": turn", "key.rotated token acme/"+next.ID+": turn", "key.revoked token acme/"+next.ID+": gone",
		"key.created key acme/last", "key.revoked key acme/last: its context was deleted",
	)
	if n := subject.Count(t, "SELECT count(*) - count(DISTINCT message_id) FROM webhook_deliveries"); n != 0 {
		t.Errorf("%d messages share an id", n)
	}
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

func endpoints(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, func(e *hook.Endpoint) {
		e.ContextID, e.Description = "acme", "d"
		e.Previous, e.PreviousUntil = e.Secret, time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	})
	compare := func(want hook.Endpoint) {
		t.Helper()
		got, err := s.Endpoint(t.Context(), e.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	compare(e)
	changed, err := s.ChangeEndpoint(t.Context(), e.ID, audit.WebhookPatched, func(at time.Time, e hook.Endpoint) (hook.Endpoint, error) {
		e.URL, e.Enabled, e.ContextID, e.Events, e.Description = "https://example.org", false, "", []webhook.Event{webhook.KeyRevoked}, ""
		e.Previous, e.PreviousUntil, e.FailingSince, e.DisabledAt, e.DisabledReason = secret.Box{}, time.Time{}, at, at, "why"
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	compare(changed)
	nowhere := func(_ time.Time, e hook.Endpoint) (hook.Endpoint, error) {
		e.ContextID = "nobodys"
		return e, nil
	}
	if _, err := s.ChangeEndpoint(t.Context(), e.ID, audit.WebhookPatched, nowhere); !errors.Is(err, fault.Unprocessable) {
		t.Errorf("narrowed to an unknown context: %v", err)
	}
	if _, err := s.AddEndpoint(t.Context(), hook.Endpoint{ID: "x", ContextID: "nobodys"}); !errors.Is(err, fault.Unprocessable) {
		t.Errorf("made for an unknown context: %v", err)
	}
	second := endpoint(t, s, nil)
	list, err := s.Endpoints(t.Context(), "", 10)
	if err != nil || len(list) != 2 || list[0].ID > list[1].ID {
		t.Errorf("listed %d, %v", len(list), err)
	}
	if rest, err := s.Endpoints(t.Context(), list[0].ID, 10); err != nil || len(rest) != 1 || rest[0].ID != list[1].ID {
		t.Errorf("after the first: %d, %v", len(rest), err)
	}
	mintKey(t, s, "acme", "k")
	for _, id := range []string{e.ID, second.ID} {
		if err := s.DeleteEndpoint(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := subject.Count(t, "SELECT count(*) FROM webhook_deliveries"); n != 0 {
		t.Errorf("%d deliveries outlive their endpoint", n)
	}
	unknown := map[string]func() error{
		"get":    func() error { _, err := s.Endpoint(t.Context(), e.ID); return err },
		"delete": func() error { return s.DeleteEndpoint(t.Context(), e.ID) },
		"change": func() error { _, err := s.ChangeEndpoint(t.Context(), e.ID, audit.WebhookPatched, nowhere); return err },
		"list":   func() error { _, err := s.Deliveries(t.Context(), e.ID, "", hook.Place{}, 1); return err },
		"test":   func() error { _, err := s.Enqueue(t.Context(), e.ID, "m"); return err },
		"again":  func() error { _, err := s.Redeliver(t.Context(), e.ID, "m"); return err },
	}
	for name, ask := range unknown {
		if err := ask(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s of an unknown endpoint: %v", name, err)
		}
	}
	for action, want := range map[string]int64{"webhook.created": 2, "webhook.patched": 1, "webhook.deleted": 2} {
		if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = '"+action+"'"); n != want {
			t.Errorf("%d entries of %s, want %d", n, action, want)
		}
	}
	for range hook.MaxEndpoints {
		endpoint(t, s, nil)
	}
	if _, err := s.AddEndpoint(t.Context(), hook.Endpoint{ID: "one-more"}); !errors.Is(err, fault.Conflict) {
		t.Errorf("one too many: %v", err)
	}
}

// claim takes what is due for an endpoint.
func claim(t *testing.T, s Store, e hook.Endpoint, name string, limit int) hook.Claimed {
	t.Helper()
	claimed, err := s.Claim(t.Context(), e.ID, name, limit, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

// due reports whether something is due for e.
func due(t *testing.T, s Store, e hook.Endpoint) bool {
	t.Helper()
	ids, err := s.Due(t.Context(), []uint16{1})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(ids, e.ID)
}

func claims(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e, idle := endpoint(t, s, nil), endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyRevoked} })
	const n = 24
	for i := range n {
		mintKey(t, s, "acme", fmt.Sprint(i))
	}
	if !due(t, s, e) || due(t, s, idle) {
		t.Error("what is due is not told")
	}
	if ids, err := s.Due(t.Context(), []uint16{2}); err != nil || len(ids) != 0 {
		t.Errorf("due for a replica without the pepper: %v, %v", ids, err)
	}
	stores := []Store{s, s}
	if subject.Replica != nil {
		stores[1] = subject.Replica(t)
	}
	var mu sync.Mutex
	taken := map[string]int{}
	race(6, func(i int) {
		for range n {
			claimed, err := stores[i%2].Claim(t.Context(), e.ID, fmt.Sprint("claim", i), 3, time.Minute)
			if err != nil {
				t.Errorf("claiming: %v", err)
			}
			mu.Lock()
			for _, d := range claimed.Deliveries {
				taken[d.MessageID]++
				if d.Attempts != 1 || claimed.Endpoint.ID != e.ID {
					t.Errorf("attempt %d at %s", d.Attempts, claimed.Endpoint.ID)
				}
			}
			mu.Unlock()
		}
	})
	for id, times := range taken {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(taken) != n || due(t, s, e) {
		t.Errorf("%d of %d were claimed", len(taken), n)
	}
}

func lostClaim(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, nil)
	mintKey(t, s, "acme", "k")
	first := claim(t, s, e, "first", 1).Deliveries[0]
	if n := len(claim(t, s, e, "second", 1).Deliveries); n != 0 {
		t.Fatalf("%d were claimed twice", n)
	}
	subject.Age(t, "webhook_deliveries", "next_at", 2*time.Minute) // whoever has it is gone
	second := claim(t, s, e, "second", 1).Deliveries[0]
	if second.MessageID != first.MessageID || second.Attempts != 2 {
		t.Errorf("the second attempt is %d at %s", second.Attempts, second.MessageID)
	}
	if _, err := s.Settle(t.Context(), first, "first", hook.Result{Status: 500, Problem: "late", GiveUp: patient}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(t.Context(), second, "second", hook.Result{Status: 200, GiveUp: patient}); err != nil {
		t.Fatal(err)
	}
	found, err := s.Deliveries(t.Context(), e.ID, hook.Delivered, hook.Place{}, 10)
	if err != nil || len(found) != 1 || found[0].LastError != "" || found[0].LastStatus != 200 {
		t.Errorf("%+v, %v", found, err)
	}
}

func settling(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, nil)
	mintKey(t, s, "acme", "k")
	attempt := func(result hook.Result) hook.Delivery {
		t.Helper()
		result.GiveUp = cmpOr(result.GiveUp, patient)
		d := claim(t, s, e, "c", 1).Deliveries[0]
		if _, err := s.Settle(t.Context(), d, "c", result); err != nil {
			t.Fatal(err)
		}
		found, err := s.Deliveries(t.Context(), e.ID, "", hook.Place{}, 10)
		if err != nil || len(found) != 1 {
			t.Fatalf("%d, %v", len(found), err)
		}
		return found[0]
	}
	failing := func() bool {
		t.Helper()
		e, err := s.Endpoint(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		return !e.FailingSince.IsZero()
	}
	d := attempt(hook.Result{Interrupted: true})
	if d.State != hook.Pending || d.Attempts != 0 || !due(t, s, e) || failing() {
		t.Errorf("interrupted: %+v", d)
	}
	d = attempt(hook.Result{Status: 500, Problem: "bad", Took: time.Second, Retry: time.Hour})
	if d.State != hook.Pending || d.Attempts != 1 || d.LastStatus != 500 || d.LastError != "bad" || d.LastTook != time.Second || due(t, s, e) || !failing() {
		t.Errorf("failed once: %+v", d)
	}
	if pause := d.NextAt.Sub(d.LastAt); pause < time.Hour || pause > time.Hour+time.Minute {
		t.Errorf("the pause is %s", pause)
	}
	if pending, oldest, err := s.Backlog(t.Context()); err != nil || pending != 1 || oldest > time.Minute {
		t.Errorf("backlog %d, %s, %v", pending, oldest, err)
	}
	subject.Age(t, "webhook_deliveries", "next_at", 2*time.Hour)
	if d = attempt(hook.Result{Status: 204}); d.State != hook.Delivered || d.FinishedAt.IsZero() || d.LastError != "" || failing() {
		t.Errorf("delivered: %+v", d)
	}
	if due(t, s, e) {
		t.Error("a delivery is due after it was accepted")
	}
	if _, err := s.Redeliver(t.Context(), e.ID, "nothing"); !errors.Is(err, fault.NotFound) {
		t.Errorf("redelivery of nothing: %v", err)
	}
	again, err := s.Redeliver(t.Context(), e.ID, d.MessageID)
	if err != nil || again.State != hook.Pending || again.MessageID != d.MessageID || !due(t, s, e) {
		t.Errorf("redelivery: %+v, %v", again, err)
	}
	subject.Age(t, "webhook_deliveries", "since", 2*time.Hour)
	if d = attempt(hook.Result{Problem: "x", Retry: time.Minute, GiveUp: time.Hour}); d.State != hook.Failed || d.FinishedAt.IsZero() {
		t.Errorf("given up: %+v", d)
	}
	if pending, _, err := s.Backlog(t.Context()); err != nil || pending != 0 {
		t.Errorf("backlog %d, %v", pending, err)
	}
}

func cmpOr(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
