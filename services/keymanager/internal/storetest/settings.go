package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

func someLimits() *caller.Limits {
	return &caller.Limits{
		RateLimit:    &caller.RateLimit{Requests: 100, Per: time.Minute, Burst: 7},
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
	}
}

var compareNetworks = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func settings(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	set := func(to key.Settings) (key.Listed, int64) {
		t.Helper()
		edited, revised, err := s.EditKey(t.Context(), "acme", "k", func(before key.Key) (key.Settings, error) {
			if before.ID != k.ID {
				t.Errorf("it is asked about %s", before.ID)
			}
			return to, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return edited, revised
	}
	want := key.Settings{Disabled: true, Limits: someLimits()}
	for i, revision := range []int64{1, 1} { // the second finds nothing left to change
		edited, revised := set(want)
		if diff := cmp.Diff(want, edited.Settings, compareNetworks); diff != "" || revised != revision || edited.PrincipalKind != "agent" {
			t.Errorf("%d: revision %d, of %q: %s", i, revised, edited.PrincipalKind, diff)
		}
	}
	found, snapshot := find(t, s, k.Seal)
	if diff := cmp.Diff(want, found.Settings, compareNetworks); diff != "" || snapshot.AsOf != 1 || found.Caller(snapshot.At) != nil {
		t.Errorf("as of %d, opens %v: %s", snapshot.AsOf, found.Caller(snapshot.At), diff)
	}
	fresh := sealed(t, "acme", "", "").Seal
	rotated, _, err := s.RotateKey(t.Context(), "acme", "k", reseal(fresh))
	if err != nil {
		t.Fatal(err)
	}
	found, _ = find(t, s, fresh)
	for what, got := range map[string]key.Settings{"told": rotated.Settings, "kept": found.Settings} {
		if diff := cmp.Diff(want, got, compareNetworks); diff != "" {
			t.Errorf("what a rotation has %s: %s", what, diff)
		}
	}
	if _, revised := set(key.Settings{}); revised != 3 {
		t.Errorf("revision %d, want 3", revised)
	}
	found, snapshot = find(t, s, fresh)
	if found.Limits != nil || found.Caller(snapshot.At) == nil {
		t.Errorf("it is not enabled again, or has limits: %+v", found.Settings)
	}
	for action, n := range map[string]int64{"key.disabled": 1, "key.enabled": 1, "key.edited": 2} {
		if got := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = '"+action+"'"); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
	refused := errors.New("refused")
	for where, wanted := range map[[2]string]error{{"acme", "other"}: fault.NotFound, {"nobody", "k"}: fault.NotFound, {"acme", "k"}: refused} {
		_, _, err := s.EditKey(t.Context(), where[0], where[1], func(key.Key) (key.Settings, error) { return key.Settings{}, refused })
		if !errors.Is(err, wanted) {
			t.Errorf("%v: %v", where, err)
		}
	}
}

func expiring(t *testing.T, subject Subject) {
	s := subject.Store
	ends := map[string]time.Duration{"k1": 3 * time.Hour, "k2": time.Hour, "k3": 30 * time.Hour, "k4": 0, "k5": time.Hour, "gone": -time.Hour}
	for _, id := range []string{"acme", "beta"} {
		create(t, s, id)
		for name, left := range ends {
			if _, _, err := mintUntil(t, s, id, name, left); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all []string
	var after key.Place
	for range 10 {
		page, err := s.ExpiringKeys(t.Context(), 24*time.Hour, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, k := range page {
			all = append(all, k.Name)
			if k.ExpiresAt.Before(after.EndsAt) {
				t.Errorf("%s ends before the one before", k.Name)
			}
			after = key.Place{EndsAt: k.ExpiresAt, ID: k.ID}
		}
	}
	counts := map[string]int{}
	for _, name := range all {
		counts[name]++
	}
	if diff := cmp.Diff(map[string]int{"k1": 2, "k2": 2, "k5": 2}, counts); diff != "" {
		t.Error(diff)
	}
	listed, err := s.Keys(t.Context(), key.Query{ContextID: "beta", Limit: 10, Within: 2 * time.Hour, After: "k2"})
	if err != nil || len(listed) != 1 || listed[0].Name != "k5" {
		t.Errorf("in one context: %v, %v", listed, err)
	}
}

func mintUntil(t *testing.T, s Store, contextID, name string, left time.Duration) (key.Key, int64, error) {
	t.Helper()
	k := sealed(t, contextID, "", name)
	p := ownerOf(&k)
	return s.MintKey(t.Context(), contextID, p, func(at time.Time, _ tenant.Config) key.Key {
		if left != 0 {
			k.ExpiresAt = at.Add(left)
		}
		return k
	})
}

func countUses(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	k, idle := mintKey(t, s, "acme", "k"), mintKey(t, s, "acme", "idle")
	race(racers, func(i int) {
		err := s.RecordUses(t.Context(), []introspection.Use{
			{KeyID: k.ID, AgoMicros: 0}, {KeyID: k.ID, Count: 10}, {KeyID: fmt.Sprint("gone", i), Count: 1}, {KeyID: k.ID, Count: 1},
		})
		if err != nil {
			t.Error(err)
		}
	})
	listed, err := s.Keys(t.Context(), key.Query{ContextID: "acme", Limit: 10})
	if err != nil || len(listed) != 2 {
		t.Fatal(listed, err)
	}
	if listed[0].ID != idle.ID || listed[0].Uses != 0 || !listed[0].LastUsedAt.IsZero() {
		t.Errorf("a key that was never used: %+v", listed[0])
	}
	if listed[1].Uses != 11*racers || listed[1].LastUsedAt.IsZero() {
		t.Errorf("%d uses, the last at %v", listed[1].Uses, listed[1].LastUsedAt)
	}
	if err := s.Prune(t.Context(), time.Hour, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM key_counts"); n != 1 {
		t.Errorf("%d keys are counted, of which one is there", n)
	}
}
