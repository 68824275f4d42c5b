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
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
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

func endpoints(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, func(e *hook.Endpoint) {
		e.ContextID, e.Description = "acme", "d"
		e.Previous, e.PreviousUntil = e.Secret, time.Date(2100, time.January, 2, 3, 4, 5, 678_901_000, time.UTC)
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
	if _, err := s.ChangeEndpoint(t.Context(), e.ID, audit.WebhookPatched, toNowhere); !errors.Is(err, fault.Unprocessable) {
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
	unknownEndpoint(t, s, e.ID)
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

// toNowhere narrows an endpoint to a context that does not exist.
func toNowhere(_ time.Time, e hook.Endpoint) (hook.Endpoint, error) {
	e.ContextID = "nobodys"
	return e, nil
}

func unknownEndpoint(t *testing.T, s Store, id string) {
	t.Helper()
	unknown := map[string]func() error{
		"get":    func() error { _, err := s.Endpoint(t.Context(), id); return err },
		"delete": func() error { return s.DeleteEndpoint(t.Context(), id) },
		"change": func() error { _, err := s.ChangeEndpoint(t.Context(), id, audit.WebhookPatched, toNowhere); return err },
		"list":   func() error { _, err := s.Deliveries(t.Context(), id, "", hook.Place{}, 1); return err },
		"test":   func() error { _, err := s.Enqueue(t.Context(), id, "m"); return err },
		"again":  func() error { _, err := s.Redeliver(t.Context(), id, "m"); return err },
	}
	for name, ask := range unknown {
		if err := ask(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s of an unknown endpoint: %v", name, err)
		}
	}
}

// claim takes one delivery that is due for an endpoint, if there is one.
func claim(t *testing.T, s Store, e hook.Endpoint, name string) hook.Claimed {
	t.Helper()
	claimed, err := s.Claim(t.Context(), e.ID, name, 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

// settle claims one delivery for an endpoint and settles it. It returns why the endpoint was disabled, if it was.
func settle(t *testing.T, s Store, e hook.Endpoint, result hook.Result) string {
	t.Helper()
	d := claim(t, s, e, "c").Deliveries[0]
	disabled, err := s.Settle(t.Context(), d, "c", result)
	if err != nil {
		t.Fatal(err)
	}
	return disabled
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
	first := claim(t, s, e, "first").Deliveries[0]
	if n := len(claim(t, s, e, "second").Deliveries); n != 0 {
		t.Fatalf("%d were claimed twice", n)
	}
	subject.Age(t, "webhook_deliveries", "next_at", 2*time.Minute) // whoever has it is gone
	second := claim(t, s, e, "second").Deliveries[0]
	if second.MessageID != first.MessageID || second.Attempts != 2 {
		t.Errorf("the second attempt is %d at %s", second.Attempts, second.MessageID)
	}
	if _, err := s.Settle(t.Context(), first, "first", hook.Result{Status: 500, Problem: "late", GiveUp: patient}); err != nil {
		t.Fatal(err)
	}
	if pending, err := s.Deliveries(t.Context(), e.ID, hook.Pending, hook.Place{}, 10); err != nil || len(pending) != 1 ||
		pending[0].LastError != "" || due(t, s, e) {
		t.Errorf("the end of an attempt whose claim has passed to another counts: %+v, %v", pending, err)
	}
	if _, err := s.Settle(t.Context(), second, "second", hook.Result{Status: 200, GiveUp: patient}); err != nil {
		t.Fatal(err)
	}
	found, err := s.Deliveries(t.Context(), e.ID, hook.Delivered, hook.Place{}, 10)
	if err != nil || len(found) != 1 || found[0].LastError != "" || found[0].LastStatus != 200 {
		t.Errorf("%+v, %v", found, err)
	}
}

// attempt settles the only delivery of an endpoint, patiently unless told otherwise, and returns what became of it.
func attempt(t *testing.T, s Store, e hook.Endpoint, result hook.Result) hook.Delivery {
	t.Helper()
	result.GiveUp = cmpOr(result.GiveUp, patient)
	settle(t, s, e, result)
	found, err := s.Deliveries(t.Context(), e.ID, "", hook.Place{}, 10)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d, %v", len(found), err)
	}
	return found[0]
}

// failing reports whether an endpoint is noted as failing.
func failing(t *testing.T, s Store, e hook.Endpoint) bool {
	t.Helper()
	e, err := s.Endpoint(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	return !e.FailingSince.IsZero()
}

func settling(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, nil)
	mintKey(t, s, "acme", "k")
	d := attempt(t, s, e, hook.Result{Interrupted: true})
	if d.State != hook.Pending || d.Attempts != 0 || !due(t, s, e) || failing(t, s, e) {
		t.Errorf("interrupted: %+v", d)
	}
	d = attempt(t, s, e, hook.Result{Status: 500, Problem: "bad", Took: time.Second, Retry: time.Hour})
	if d.State != hook.Pending || d.Attempts != 1 || d.LastStatus != 500 || d.LastError != "bad" || d.LastTook != time.Second || due(t, s, e) || !failing(t, s, e) {
		t.Errorf("failed once: %+v", d)
	}
	if pause := d.NextAt.Sub(d.LastAt); pause < time.Hour || pause > time.Hour+time.Minute {
		t.Errorf("the pause is %s", pause)
	}
	if pending, oldest, err := s.Backlog(t.Context()); err != nil || pending != 1 || oldest > time.Minute {
		t.Errorf("backlog %d, %s, %v", pending, oldest, err)
	}
	subject.Age(t, "webhook_deliveries", "next_at", 2*time.Hour)
	if d = attempt(t, s, e, hook.Result{Status: 204}); d.State != hook.Delivered || d.FinishedAt.IsZero() || d.LastError != "" || failing(t, s, e) {
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
	if d = attempt(t, s, e, hook.Result{Problem: "x", Retry: time.Minute, GiveUp: time.Hour}); d.State != hook.Failed || d.FinishedAt.IsZero() {
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
