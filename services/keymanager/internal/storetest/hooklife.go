package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// enabled reports whether an endpoint is enabled; if it is not, it must say since when and why.
func enabled(t *testing.T, s Store, e hook.Endpoint) bool {
	t.Helper()
	e, err := s.Endpoint(t.Context(), e.ID)
	if err != nil || e.Enabled == (e.DisabledReason != "") || e.Enabled != e.DisabledAt.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
	return e.Enabled
}

func hopeless(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	gone := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyRotated} })
	if _, err := s.Enqueue(t.Context(), gone.ID, "m"); err != nil {
		t.Fatal(err)
	}
	if reason := settle(t, s, gone, hook.Result{Status: 410, Problem: "x", GiveUp: patient}); reason == "" || enabled(t, s, gone) {
		t.Errorf("410 did not disable it: %q", reason)
	}
	if _, err := s.Enqueue(t.Context(), gone.ID, "m2"); !errors.Is(err, fault.Conflict) {
		t.Errorf("a test of a disabled endpoint: %v", err)
	}
	if _, err := s.Redeliver(t.Context(), gone.ID, "m"); !errors.Is(err, fault.Conflict) {
		t.Errorf("a redelivery to a disabled endpoint: %v", err)
	}
	// One message is given up, but another one was accepted meanwhile.
	moody := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyCreated} })
	mintKey(t, s, "acme", "a")
	if settle(t, s, moody, hook.Result{Status: 500, Problem: "x", Retry: time.Minute, GiveUp: patient}) != "" {
		t.Error("disabled after one failure")
	}
	mintKey(t, s, "acme", "b")
	if settle(t, s, moody, hook.Result{Status: 200, GiveUp: patient}) != "" {
		t.Error("disabled by a success")
	}
	subject.Age(t, "webhook_deliveries", "next_at", time.Hour)
	if settle(t, s, moody, hook.Result{Status: 500, Problem: "x", GiveUp: time.Nanosecond}) != "" || !enabled(t, s, moody) {
		t.Error("disabled although it accepted something since")
	}
	// Nothing was accepted for as long as the message was tried.
	mintKey(t, s, "acme", "c")
	if reason := settle(t, s, moody, hook.Result{Status: 500, Problem: "x", GiveUp: time.Nanosecond}); reason == "" || enabled(t, s, moody) {
		t.Errorf("not disabled: %q", reason)
	}
	mintKey(t, s, "acme", "d")
	if due(t, s, moody) || len(claim(t, s, moody, "c").Deliveries) != 0 {
		t.Error("something is due for a disabled endpoint")
	}
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'webhook.disabled'"); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	// A test that fails is tried once, and says nothing about the endpoint.
	third := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyRotated} })
	if _, err := s.Enqueue(t.Context(), third.ID, "m"); err != nil {
		t.Fatal(err)
	}
	if reason := settle(t, s, third, hook.Result{Problem: "x", GiveUp: patient}); reason != "" || !enabled(t, s, third) || due(t, s, third) {
		t.Errorf("a failed test: %q", reason)
	}
}

func listDeliveries(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, nil)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mintKey(t, s, "acme", name)
	}
	settle(t, s, e, hook.Result{Status: 200, GiveUp: patient})
	var names []string
	var after hook.Place
	for {
		page, err := s.Deliveries(t.Context(), e.ID, "", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			names = append(names, d.Message.Data.Name)
			after = hook.Place{At: d.Message.Timestamp, ID: d.MessageID}
		}
		if len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"e", "d", "c", "b", "a"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for state, want := range map[hook.State]int{hook.Pending: 4, hook.Delivered: 1, hook.Failed: 0} {
		if found, err := s.Deliveries(t.Context(), e.ID, state, hook.Place{}, 10); err != nil || len(found) != want {
			t.Errorf("%d are %s, want %d: %v", len(found), state, want, err)
		}
	}
}

// ending mints a key that was made so long ago and ends so soon.
func ending(t *testing.T, s Store, name string, ago, in time.Duration) key.Key {
	t.Helper()
	k, _, err := s.MintKey(t.Context(), "acme", holderOf(name), func(at time.Time, _ tenant.Config) key.Key {
		k := sealed(t, "acme", "p-"+name, name)
		k.ExpiresAt = at.Add(in)
		return k
	})
	if err != nil {
		t.Fatal(err)
	}
	if ago == 0 {
		return k
	}
	rotated, _, err := s.RotateKey(t.Context(), "acme", name, func(at time.Time, _ tenant.Config, k key.Key) (key.Key, error) {
		k.RotatedAt = at.Add(-ago)
		k.Seal = sealed(t, "acme", "", "x").Seal
		return k, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rotated
}

func warnings(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	const day = 24 * time.Hour
	warn := func() {
		t.Helper()
		after := time.Duration(0)
		for _, within := range []time.Duration{day, 7 * day} {
			if _, err := s.Warn(t.Context(), after, within, 100); err != nil {
				t.Fatal(err)
			}
			after = within
		}
	}
	ending(t, s, "soon", 30*day, 3*time.Hour)
	ending(t, s, "week", 30*day, 6*day)
	ending(t, s, "later", 30*day, 8*day)
	ending(t, s, "short", time.Hour, 3*time.Hour)
	mintKey(t, s, "acme", "endless")
	warn()
	if n := subject.Count(t, "SELECT count(*) FROM webhook_warnings"); n != 0 {
		t.Errorf("%d ends were noted while nobody was to be told", n)
	}
	e := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyExpiring} })
	for range 3 {
		warn()
	}
	tells(t, s, e, "key.expiring key acme/soon", "key.expiring key acme/week")
	found, err := s.Deliveries(t.Context(), e.ID, "", hook.Place{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		want := map[string]time.Duration{"soon": day, "week": 7 * day}[d.Message.Data.Name]
		if d.Message.Data.ThresholdSeconds != int64(want/time.Second) || d.Message.Data.ExpiresAt == nil {
			t.Errorf("%+v", d.Message.Data)
		}
	}
	// Another end is announced again, and the same key at the next threshold.
	for name, in := range map[string]time.Duration{"soon": 4 * time.Hour, "week": 23 * time.Hour} {
		_, _, err := s.RotateKey(t.Context(), "acme", name, func(at time.Time, _ tenant.Config, k key.Key) (key.Key, error) {
			k.Seal, k.ExpiresAt = sealed(t, "acme", "", "x").Seal, at.Add(in)
			return k, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		warn()
	}
	tells(t, s, e, "key.expiring key acme/soon", "key.expiring key acme/soon", "key.expiring key acme/week", "key.expiring key acme/week")
	if n, err := s.Warn(t.Context(), 0, 7*day, 100); err != nil || n == 0 {
		t.Errorf("looked at %d: %v", n, err) // another threshold than before
	}
	if n, err := s.Warn(t.Context(), 0, 7*day, 100); err != nil || n != 0 {
		t.Errorf("looked again at %d: %v", n, err)
	}
}

func warningRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyExpiring} })
	want := []string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		ending(t, s, name, 30*24*time.Hour, time.Hour)
		want = append(want, "key.expiring key acme/"+name)
	}
	stores := []Store{s, s}
	if subject.Replica != nil {
		stores[1] = subject.Replica(t)
	}
	race(6, func(i int) {
		if _, err := stores[i%2].Warn(t.Context(), 0, 24*time.Hour, 100); err != nil {
			t.Errorf("warning: %v", err)
		}
	})
	tells(t, s, e, want...)
}

func sweeping(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e, off := endpoint(t, s, nil), endpoint(t, s, nil)
	k := ending(t, s, "k", 0, time.Hour)
	settle(t, s, e, hook.Result{Status: 200, GiveUp: patient})
	_, err := s.ChangeEndpoint(t.Context(), off.ID, audit.WebhookPatched, func(_ time.Time, e hook.Endpoint) (hook.Endpoint, error) {
		e.Enabled = false
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sweep := func(giveUp time.Duration) {
		t.Helper()
		if _, err := s.Sweep(t.Context(), giveUp, 100); err != nil {
			t.Fatal(err)
		}
	}
	count := func(where string) int64 {
		t.Helper()
		return subject.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE "+where)
	}
	sweep(time.Hour)
	if count("state = 'pending'") != 1 || count("state = 'delivered'") != 1 {
		t.Error("something was swept too early")
	}
	sweep(0)
	if count("state = 'failed' AND endpoint_id = '"+off.ID+"'") != 1 {
		t.Error("what waits for a disabled endpoint is not given up")
	}
	subject.Exec(t, "UPDATE webhook_deliveries SET endpoint_id = 'gone', state = 'pending', finished_at = NULL WHERE endpoint_id = '"+off.ID+"'")
	sweep(patient)
	if count("endpoint_id = 'gone'") != 0 {
		t.Error("what belongs to no endpoint stays")
	}
	subject.Age(t, "webhook_deliveries", "finished_at", 8*24*time.Hour)
	if _, err := s.Warn(t.Context(), 0, 24*time.Hour, 10); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM webhook_warnings"); n != 1 {
		t.Fatalf("%d warnings of %s", n, k.Name)
	}
	subject.Age(t, "webhook_warnings", "expires_at", 2*time.Hour)
	if deleted, err := s.Sweep(t.Context(), patient, 1); err != nil || deleted != 1 {
		t.Errorf("of what is old, at most one: deleted %d, %v", deleted, err)
	}
	sweep(patient)
	if n := count("true") + subject.Count(t, "SELECT count(*) FROM webhook_warnings"); n != 0 {
		t.Errorf("%d old rows stay", n)
	}
}

func resealing(t *testing.T, subject Subject) {
	s := subject.Store
	both, err := secret.ParseKeyring("2:another pepper for tests of enough letters,1:a pepper for tests that is long enough")
	if err != nil {
		t.Fatal(err)
	}
	e := endpoint(t, s, func(e *hook.Endpoint) { e.Previous = e.Secret })
	change := func(e hook.Endpoint) (_ hook.Endpoint, err error) {
		for _, box := range []*secret.Box{&e.Secret, &e.Previous} {
			text, err := both.Unlock(*box, e.Label())
			if err != nil {
				return e, err
			}
			if *box, err = both.Lock(text, e.Label()); err != nil {
				return e, err
			}
		}
		return e, nil
	}
	for range 2 {
		if err := s.Reseal(t.Context(), 2, change); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.Endpoint(t.Context(), e.ID)
	if err != nil || after.Secret.Pepper != 2 || after.Previous.Pepper != 2 {
		t.Errorf("%+v, %v", after, err)
	}
	if text, err := both.Unlock(after.Previous, e.Label()); err != nil || text != "whsec_x" {
		t.Errorf("the previous secret is lost: %v", err)
	}
	refusal := errors.New("no")
	if err := s.Reseal(t.Context(), 3, func(e hook.Endpoint) (hook.Endpoint, error) { return e, refusal }); !errors.Is(err, refusal) {
		t.Errorf("%v, want the refusal", err)
	}
}

func leaks(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	e := endpoint(t, s, func(e *hook.Endpoint) { e.Events = []webhook.Event{webhook.KeyRevoked} })
	k, other := mintKey(t, s, "acme", "k"), mintKey(t, s, "acme", "other")
	made := account(t, s)
	if err := s.RecordUses(t.Context(), []introspection.Use{{KeyID: k.ID}, {KeyID: k.ID, AgoMicros: time.Hour.Microseconds()}}); err != nil {
		t.Fatal(err)
	}
	uses, err := s.LastUses(t.Context(), []string{k.ID, other.ID})
	if err != nil || len(uses) != 1 || time.Since(uses[k.ID]) > 2*time.Minute {
		t.Errorf("last uses: %v, %v", uses, err)
	}
	if uses, err := s.LastUses(t.Context(), nil); err != nil || len(uses) != 0 {
		t.Errorf("last uses of nothing: %v, %v", uses, err)
	}
	before := last0(t, s)
	for _, seal := range []secret.Seal{k.Seal, made.Token.Key.Seal} {
		revoked, revised, err := s.RevokeSealed(t.Context(), []secret.Seal{sealed(t, "acme", "", "x").Seal, seal}, "leaked")
		if err != nil || revoked == nil || revised <= before {
			t.Errorf("revoking: %v, revision %d, %v", revoked, revised, err)
		}
		before = revised
		if found, _ := find(t, s, seal); found != nil {
			t.Error("a revoked credential is found")
		}
		if again, revised, err := s.RevokeSealed(t.Context(), []secret.Seal{seal}, "leaked"); err != nil || again != nil || revised != 0 {
			t.Errorf("again: %v, %d, %v", again, revised, err)
		}
	}
	if found, _ := find(t, s, other.Seal); found == nil {
		t.Error("another key is gone, too")
	}
	// What was rotated is not what it was.
	fresh := sealed(t, "acme", "", "x").Seal
	if _, _, err := s.RotateKey(t.Context(), "acme", "other", reseal(fresh)); err != nil {
		t.Fatal(err)
	}
	if revoked, _, err := s.RevokeSealed(t.Context(), []secret.Seal{other.Seal}, "leaked"); err != nil || revoked != nil {
		t.Errorf("by the seal from before a rotation: %v, %v", revoked, err)
	}
	tells(t, s, e, "key.revoked key acme/k: leaked", "key.revoked token acme/"+made.Token.ID+": leaked")
	where := "detail LIKE '%leaked%'"
	if subject.Replica != nil { // Postgres
		where = "detail->>'reason' = 'leaked'"
	}
	for _, action := range []string{"key.deleted", "token.revoked"} {
		if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE "+where+" AND action = '"+action+"'"); n != 1 {
			t.Errorf("%d entries of %s say why", n, action)
		}
	}
	if n := subject.Count(t, "SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL AND reason = 'leaked'"); n != 1 {
		t.Errorf("%d tokens are noted as revoked", n)
	}
	if !slices.Contains(told(t, s, e), "key.revoked key acme/k: leaked") {
		t.Error("nobody was told")
	}
}

func last0(t *testing.T, s Store) int64 {
	t.Helper()
	newest, err := s.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

func holderOf(name string) principal.Principal {
	return principal.Principal{ContextID: "acme", ID: "p-" + name, DisplayName: name, Kind: "agent", Grants: grant.All()}
}
