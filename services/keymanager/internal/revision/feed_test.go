package revision_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

func at(after int64) introspection.Event {
	return introspection.Event{Authority: "a1", Revision: after}
}

func reset() introspection.Event {
	return introspection.Event{Authority: "a1", Revision: 5, Reset: true}
}

func TestAStreamGoesOnWhereItsVerifierIs(t *testing.T) {
	t.Parallel()
	bubble(t, "from memory", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		feed := run(t, m)
		m.add(10)
		synctest.Wait()
		s := watch(t, feed, "a1", 5)
		s.want(t, at(5), 11)
		m.mu.Lock()
		reads := m.reads
		m.mu.Unlock()
		again := watch(t, feed, "a1", 11) // nothing to read, not even by [Feed.Stream] when it begins
		again.want(t, at(11), 11)
		m.mu.Lock()
		if m.reads != reads {
			t.Errorf("%d reads of the database for what is in memory", m.reads-reads)
		}
		m.mu.Unlock()
		m.add(3)
		s.want(t, at(5), 14)
		again.want(t, at(11), 14)
	})
	bubble(t, "from the database", func(t *testing.T) {
		m := newMemory()
		m.add(5000)
		feed := run(t, m)
		s := watch(t, feed, "a1", 1)
		m.add(3000) // more than a feed keeps in memory
		s.want(t, at(1), 8000)
		watch(t, feed, "a1", 6000).want(t, at(6000), 8000)
	})
	bubble(t, "before the feed has looked", func(t *testing.T) {
		m := newMemory()
		m.add(7)
		m.set(func() { m.down = true })
		feed := run(t, m)
		m.set(func() { m.down = false })
		s := watch(t, feed, "a1", 3)
		s.want(t, at(3), 3)
		time.Sleep(300 * time.Millisecond) // the feed's poll
		s.want(t, at(3), 7)
	})
	bubble(t, "though nobody told the feed", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		s := watch(t, run(t, m), "a1", 1)
		m.set(func() { m.heard = nil })
		m.add(2)
		s.want(t, at(1), 1)
		time.Sleep(300 * time.Millisecond)
		s.want(t, at(1), 3)
	})
}

func TestAStreamResetsWhatItCannotGoOnFrom(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		authority string
		after     int64
		pruned    bool
		first     introspection.Event
	}{
		{"a new verifier", "", 0, false, reset()},
		{"another authority's", "a0", 5, false, reset()},
		{"ahead of the history", "a1", 6, false, reset()},
		{"negative", "a1", -1, false, reset()},
		{"pruned", "a1", 2, true, reset()},
		{"pruned, but nothing missed", "a1", 5, true, at(5)},
		{"pruned, but the next is there", "a1", 4, true, at(4)},
		{"from the beginning", "a1", 0, false, at(0)},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			m := newMemory()
			m.add(5)
			if tt.pruned {
				if err := m.Prune(t.Context(), 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			s := watch(t, run(t, m), tt.authority, tt.after)
			s.want(t, tt.first, 5)
			m.add(1)
			s.want(t, tt.first, 6)
		})
	}
}

// A database that lost its last revisions gives their numbers to others. What the feed has in memory is not true any more.
func TestAFeedGoesBackWithItsDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add(1)
		feed := run(t, m)
		m.add(9)
		synctest.Wait()
		m.set(func() { m.history, m.newest = m.history[:5], 5 })
		time.Sleep(300 * time.Millisecond)
		s := watch(t, feed, "a1", 10)
		s.want(t, reset(), 5)
		m.add(2)
		s.want(t, reset(), 7)
	})
}

func TestAStreamEnds(t *testing.T) {
	t.Parallel()
	bubble(t, "with its context, and shows that it lives till then", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		s := watch(t, run(t, m), "a1", 1)
		time.Sleep(5*time.Second + time.Millisecond)
		s.mu.Lock()
		if s.signs != 10 {
			t.Errorf("%d signs of life in five seconds", s.signs)
		}
		s.mu.Unlock()
		s.stop()
		if err := <-s.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	bubble(t, "with its receiver", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		gone := errors.New("gone")
		feed := run(t, m)
		err := feed.Stream(t.Context(), "a1", 1, func(events []introspection.Event) error {
			if len(events) == 0 {
				return gone
			}
			return nil
		})
		if !errors.Is(err, gone) {
			t.Errorf("it ended with %v", err)
		}
	})
	bubble(t, "when what it has to say is gone", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		feed := run(t, m)
		sent := 0
		// The database is pruned after the first event has been sent, and the feed's memory begins later than that.
		err := feed.Stream(t.Context(), "a1", 0, func(events []introspection.Event) error {
			sent += len(events)
			m.add(2)
			return m.Prune(t.Context(), 0, 0)
		})
		if err != nil || sent != 1 {
			t.Errorf("%d events, %v", sent, err)
		}
	})
	bubble(t, "with the database, when it needs that", func(t *testing.T) {
		m := newMemory()
		m.add(1)
		feed := run(t, m)
		m.set(func() { m.down = true })
		if err := feed.Stream(t.Context(), "a1", 0, func([]introspection.Event) error { return nil }); !errors.Is(err, errDown) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAFeedPrunes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add(3)
		run(t, m)
		time.Sleep(6 * time.Minute)
		if _, whole, err := m.Revisions(t.Context(), 0, 1); whole || err != nil {
			t.Errorf("after six minutes everything is there still, %v", err)
		}
	})
}

func TestLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add(4)
		leases := revision.NewLeases(m, ttl, newBarrier(m, run(t, m)))
		granted := introspection.Lease{Authority: "a1", TTLMicros: ttl.Microseconds(), CatchUpTo: 4}
		refused := introspection.Lease{Authority: "a1"}
		tests := []struct {
			name    string
			renewal introspection.Renewal
			want    introspection.Lease
			held    bool
		}{
			{"new", introspection.Renewal{Verifier: "v", Authority: "a1", Acknowledged: 2}, granted, true},
			{"again", introspection.Renewal{Verifier: "v", Authority: "a1", Acknowledged: 4}, granted, true},
			{"of another authority", introspection.Renewal{Verifier: "w", Authority: "a2"}, refused, false},
			{"of none", introspection.Renewal{Verifier: "w"}, refused, false},
			{"negative", introspection.Renewal{Verifier: "w", Authority: "a1", Acknowledged: -1}, refused, false},
			{"released", introspection.Renewal{Verifier: "v", Release: true}, introspection.Lease{}, false},
		}
		for _, tt := range tests {
			got, err := leases.Renew(t.Context(), tt.renewal)
			m.mu.Lock()
			_, held := m.leases[tt.renewal.Verifier]
			m.mu.Unlock()
			if err != nil || got != tt.want || held != tt.held {
				t.Errorf("%s: %+v, %v, stored: %t; want %+v, %t", tt.name, got, err, held, tt.want, tt.held)
			}
		}
		for _, name := range []string{"", string(make([]byte, 65)), "v\x00"} {
			if _, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: name, Authority: "a1"}); err == nil {
				t.Errorf("a verifier called %q got an answer", name)
			}
		}
	})
}
