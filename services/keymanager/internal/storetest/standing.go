package storetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// laggard: who lags gets no longer lease, but what it has applied counts, or no barrier could let it catch up.
func laggard(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	first := revise(t, s, "k")
	renew(t, s, "v", first, ttl)
	second, third := revise(t, s, "k"), revise(t, s, "k")
	subject.Age(t, "revisions", "at", ttl)
	subject.Age(t, "leases", "expires_at", ttl/2)
	if g := renew(t, s, "v", second, ttl); g.Extended {
		t.Errorf("with %d to apply since an hour: %+v", third, g)
	}
	if found := standing(t, s); !maps.Equal(found.Acknowledged, map[string]int64{"v": second}) {
		t.Errorf("%+v, want an acknowledgement of %d", found, second)
	}
	subject.Age(t, "leases", "expires_at", ttl/2)
	if found := standing(t, s); !slices.Equal(found.Lapsed, []int64{second}) {
		t.Errorf("%+v, want the laggard's lease to have ended when it would have", found)
	}
	if g := renew(t, s, "v", second, ttl); g.Extended {
		t.Errorf("without a lease, and lagging: %+v", g)
	}
	if found := standing(t, s); len(found.Acknowledged) != 0 {
		t.Errorf("a refused renewal left a lease: %+v", found)
	}
}

// aheadOfHistory: a verifier that has applied what was never made has seen a history that is gone. If its acknowledgement
// counted, barriers of the revisions that come next would not wait for it.
func aheadOfHistory(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	newest := revise(t, s, "k")
	if g := renew(t, s, "new", newest+1, ttl); g.Extended {
		t.Errorf("a new verifier ahead of the history: %+v", g)
	}
	renew(t, s, "old", newest, ttl)
	if g := renew(t, s, "old", newest+1, ttl); g.Extended {
		t.Errorf("a known verifier ahead of the history: %+v", g)
	}
	if found := standing(t, s); !maps.Equal(found.Acknowledged, map[string]int64{"old": newest}) {
		t.Errorf("%+v, want one lease that has acknowledged %d", found, newest)
	}
}

func standings(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	first, second := revise(t, s, "k"), revise(t, s, "k")
	renew(t, s, "lapsed behind", 0, 0)
	renew(t, s, "lapsed", second, 0)
	renew(t, s, "behind", first, ttl)
	renew(t, s, "up to date", second, ttl)
	found := standing(t, s)
	slices.Sort(found.Lapsed)
	live := map[string]int64{"behind": first, "up to date": second}
	if !maps.Equal(found.Acknowledged, live) || !slices.Equal(found.Lapsed, []int64{0, second}) {
		t.Errorf("%+v, want %d and %d acknowledged, 0 and %d lapsed", found, first, second, second)
	}
	if found.Age < ttl {
		t.Errorf("the table that the migration made is %v old", found.Age)
	}
	if again := standing(t, s); len(again.Lapsed) != 0 || len(again.Acknowledged) != 2 {
		t.Errorf("the second time: %+v, want no lapsed lease twice", again)
	}
}

// youngTable does what a crash does to tables that are not logged.
func youngTable(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	renew(t, s, "v", 0, ttl)
	for _, table := range []string{"leases", "lease_table"} {
		subject.Exec(t, "DELETE FROM "+table)
	}
	if found := standing(t, s); found.Age != 0 {
		t.Errorf("an emptied table is %v old when first seen", found.Age)
	}
	subject.Age(t, "lease_table", "since", ttl)
	if found := standing(t, s); found.Age < ttl {
		t.Errorf("an hour later it is %v old", found.Age)
	}
	// Whoever comes first begins the count, be it a renewal.
	subject.Exec(t, "DELETE FROM lease_table")
	renew(t, s, "w", 0, ttl)
	if n := subject.Count(t, "SELECT count(*) FROM lease_table"); n != 1 {
		t.Errorf("a renewal that found the table empty left %d notes of it", n)
	}
	if found := standing(t, s); found.Age >= ttl {
		t.Errorf("the table that a renewal began is %v old", found.Age)
	}
}

// renewalRace: a lease whose time is over is either counted as lapsed, and then whoever renews it is told what to catch up
// to, or it goes on, and is counted as live. There is no third.
func renewalRace(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	const rounds = 40
	lapses := 0
	for range rounds {
		if err := s.ReleaseLease(t.Context(), "v"); err != nil {
			t.Fatal(err)
		}
		before := renew(t, s, "v", 0, 0).CatchUpTo
		newest := revise(t, s, "k")
		var (
			found  revision.Standing
			grant  revision.Grant
			failed [2]error
		)
		race(2, func(i int) {
			if i == 0 {
				found, failed[0] = s.Standing(t.Context())
			} else {
				grant, failed[1] = tryRenew(t, s, "v", 0, ttl)
			}
		})
		switch {
		case failed != [2]error{} || !grant.Extended:
			t.Fatalf("renewing: %+v, %v", grant, failed)
		case len(found.Lapsed) == 1:
			lapses++
			if grant.CatchUpTo < newest {
				t.Fatalf("counted as lapsed, but told to catch up to %d where %d was newest", grant.CatchUpTo, newest)
			}
		case len(found.Lapsed) != 0 || len(found.Acknowledged) != 1:
			t.Fatalf("neither lapsed nor live: %+v", found)
		case grant.CatchUpTo != before:
			t.Fatalf("not counted as lapsed, but told to catch up to %d", grant.CatchUpTo)
		}
	}
	t.Logf("%d of %d had lapsed", lapses, rounds)
}
