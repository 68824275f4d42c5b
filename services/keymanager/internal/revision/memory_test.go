package revision_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

var errDown = errors.New("the database is down")

// memory is a store in memory.
type memory struct {
	mu        sync.Mutex // guards the following fields
	authority string
	history   []revision.Numbered // without gaps
	newest    int64
	leases    map[string]*held
	longest   time.Duration // of leases
	since     time.Time     // of the table of leases
	down      bool
	looks     int // at the leases
	reads     int // of the history
	heard     func(int64)
}

type held struct {
	acknowledged, catchUpTo int64
	until                   time.Time
}

// newMemory returns a store whose leases are old enough to be trusted.
func newMemory() *memory {
	return &memory{authority: "a1", leases: make(map[string]*held), since: time.Now().Add(-time.Hour)}
}

// set changes the store under its lock.
func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *memory) look(ctx context.Context, fn func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	return errors.Join(ctx.Err(), fn())
}

// add makes n revisions and tells who listens.
func (m *memory) add(n int) {
	m.mu.Lock()
	for range n {
		m.newest++
		m.history = append(m.history, revision.Numbered{
			Revision: m.newest, Change: revision.Change{Kind: revision.KeyRotated, Subject: "k", ContextID: "acme"},
		})
	}
	heard, newest := m.heard, m.newest
	m.mu.Unlock()
	if heard != nil {
		heard(newest)
	}
}

func (m *memory) Authority(ctx context.Context) (identity string, err error) {
	err = m.look(ctx, func() error { identity = m.authority; return nil })
	return identity, err
}

func (m *memory) AllowLeases(ctx context.Context, ttl time.Duration) (longest time.Duration, err error) {
	err = m.look(ctx, func() error { m.longest = max(m.longest, ttl); longest = m.longest; return nil })
	return longest, err
}

func (m *memory) RenewLease(
	ctx context.Context, verifier string, acknowledged int64, ttl, _ time.Duration,
) (grant revision.Grant, err error) {
	err = m.look(ctx, func() error {
		row := m.leases[verifier]
		if row == nil {
			row = &held{catchUpTo: m.newest}
			m.leases[verifier] = row
		}
		row.acknowledged, row.until = max(row.acknowledged, acknowledged), time.Now().Add(ttl)
		grant = revision.Grant{Extended: true, CatchUpTo: row.catchUpTo}
		return nil
	})
	return grant, err
}

func (m *memory) ExtendLease(
	ctx context.Context, authority, verifier string, acknowledged int64, ttl, patience time.Duration,
) (grant revision.Grant, known bool, err error) {
	err = m.look(ctx, func() error { known = authority == m.authority && m.leases[verifier] != nil; return nil })
	if err == nil && known {
		grant, err = m.RenewLease(ctx, verifier, acknowledged, ttl, patience)
	}
	return grant, known, err
}

func (m *memory) ReleaseLease(ctx context.Context, verifier string) error {
	return m.look(ctx, func() error { delete(m.leases, verifier); return nil })
}

func (m *memory) Standing(ctx context.Context) (s revision.Standing, err error) {
	err = m.look(ctx, func() error {
		m.looks++
		s.Age, s.Longest, s.Acknowledged = time.Since(m.since), m.longest, map[string]int64{}
		for name, row := range m.leases {
			if row.until.After(time.Now()) {
				s.Acknowledged[name] = row.acknowledged
				continue
			}
			s.Lapsed = append(s.Lapsed, row.acknowledged)
			delete(m.leases, name)
		}
		return nil
	})
	return s, err
}

func (m *memory) Revisions(ctx context.Context, after int64, limit int) (out []revision.Numbered, whole bool, err error) {
	err = m.look(ctx, func() error {
		m.reads++
		for _, n := range m.history {
			if n.Revision > after && len(out) < limit {
				out = append(out, n)
			}
		}
		whole = len(out) == 0 || out[0].Revision == after+1
		return nil
	})
	return out, whole, err
}

func (*memory) Imported(context.Context) (bool, error) { return false, nil }

func (m *memory) Newest(ctx context.Context) (newest int64, err error) {
	err = m.look(ctx, func() error { newest = m.newest; return nil })
	return newest, err
}

func (m *memory) Prune(ctx context.Context, _, _ time.Duration) error {
	return m.look(ctx, func() error { m.history = m.history[max(0, len(m.history)-1):]; return nil })
}

func (m *memory) Listen(ctx context.Context, heard func(int64)) error {
	m.set(func() { m.heard = heard })
	heard(0)
	<-ctx.Done()
	return ctx.Err()
}

// bubble runs a test on a clock that moves only when everybody waits.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

// run runs a feed until the test ends.
func run(t *testing.T, m *memory) *revision.Feed {
	t.Helper()
	feed := revision.NewFeed(m)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { feed.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	synctest.Wait()
	return feed
}

// stream is one watcher of a feed.
type stream struct {
	mu      sync.Mutex // guards the following fields
	first   introspection.Event
	numbers []int64 // of the revisions after the first event
	signs   int     // of life
	broken  bool    // by a gap
	stop    context.CancelFunc
	ended   chan error
}

func watch(t *testing.T, feed *revision.Feed, authority string, after int64) *stream {
	t.Helper()
	s := &stream{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	t.Cleanup(cancel)
	begun := false
	go func() {
		s.ended <- feed.Stream(ctx, authority, after, func(events []introspection.Event) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(events) == 0 {
				s.signs++
			}
			for _, e := range events {
				if !begun {
					s.first, begun = e, true
					continue
				}
				s.broken = s.broken || e.Revision != s.first.Revision+int64(len(s.numbers))+1
				s.numbers = append(s.numbers, e.Revision)
			}
			return nil
		})
	}()
	synctest.Wait()
	return s
}

// want checks where the stream began and where it is, and that it left nothing out.
func (s *stream) want(t *testing.T, first introspection.Event, newest int64) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first != first {
		t.Errorf("the stream begins with %+v, want %+v", s.first, first)
	}
	if got := s.first.Revision + int64(len(s.numbers)); got != newest || s.broken {
		t.Errorf("the stream is at %d, want %d; a gap: %t", got, newest, s.broken)
	}
}
