package revision_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// looks is a store of which only the leases are asked for: each look waits to be told what it finds.
type looks struct {
	revision.Store
	begun chan struct{}
	found chan revision.Standing
}

func (l looks) Standing(context.Context) (revision.Standing, error) {
	l.begun <- struct{}{}
	return <-l.found, nil
}

// A look that began before a revision was made must not let it pass: the only verifier may have got its lease in between, and
// then neither that look nor its grant knows of the revision.
func TestALookSaysNothingAboutLaterRevisions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ttl = time.Minute
		store := looks{begun: make(chan struct{}), found: make(chan revision.Standing)}
		barrier := revision.NewBarrier(store, ttl, time.Now, revision.NewFeed(store), func(revision.Propagation) {})
		passed := make(chan int64, 2)
		await := func(number int64) {
			if _, err := barrier.Await(t.Context(), number); err != nil {
				t.Error(err)
			}
			passed <- number
		}
		go await(1)
		<-store.begun
		go await(2)
		synctest.Wait()
		nobody := revision.Standing{Age: time.Hour}
		store.found <- nobody
		if first := <-passed; first != 1 {
			t.Fatalf("revision %d passed first", first)
		}
		<-store.begun
		select {
		case <-passed:
			t.Fatal("revision 2 passed by a look that began before it was made")
		default:
		}
		store.found <- revision.Standing{Age: time.Hour, Acknowledged: map[string]int64{"v": 1}}
		<-store.begun
		store.found <- revision.Standing{Age: time.Hour, Acknowledged: map[string]int64{"v": 2}}
		if second := <-passed; second != 2 {
			t.Fatalf("revision %d passed", second)
		}
	})
}

const ttl = 2 * time.Second

func newBarrier(m *memory, feed *revision.Feed) *revision.Barrier {
	return revision.NewBarrier(m, ttl, time.Now, feed, func(revision.Propagation) {})
}

// passage is what a wait in the background came to.
type passage struct {
	revision.Propagation
	err error
}

func await(ctx context.Context, b *revision.Barrier, number int64) <-chan passage {
	out := make(chan passage, 1)
	go func() {
		p, err := b.Await(ctx, number)
		out <- passage{p, err}
	}()
	synctest.Wait()
	return out
}

// pending checks that a wait goes on.
func pending(t *testing.T, waits <-chan passage, why string) {
	t.Helper()
	synctest.Wait()
	select {
	case p := <-waits:
		t.Errorf("passed, but %s: %+v", why, p)
	default:
	}
}

func passed(t *testing.T, waits <-chan passage, want revision.Propagation) {
	t.Helper()
	p := <-waits
	// The look that lets it pass may be a little later than what it sees.
	if over := p.Waited - want.Waited; over < 0 || over > 20*time.Millisecond {
		t.Errorf("it waited %v, want %v", p.Waited, want.Waited)
	}
	if p.Waited = want.Waited; p.err != nil || p.Propagation != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

func renew(t *testing.T, l *revision.Leases, verifier string, acknowledged int64) {
	t.Helper()
	_, err := l.Renew(t.Context(), introspection.Renewal{Verifier: verifier, Authority: "a1", Acknowledged: acknowledged})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABarrierWaitsForEveryVerifier(t *testing.T) {
	t.Parallel()
	type parts struct {
		m       *memory
		barrier *revision.Barrier
		leases  *revision.Leases
		feed    *revision.Feed
	}
	open := func(t *testing.T) parts {
		t.Helper()
		m := newMemory()
		m.add(1)
		feed := revision.NewFeed(m)
		barrier := newBarrier(m, feed)
		return parts{m, barrier, revision.NewLeases(m, ttl, barrier), feed}
	}
	bubble(t, "there is none", func(t *testing.T) {
		p := open(t)
		passed(t, await(t.Context(), p.barrier, 1), revision.Propagation{})
	})
	bubble(t, "the last acknowledgement lets it pass at once", func(t *testing.T) {
		p := open(t)
		renew(t, p.leases, "a", 0)
		renew(t, p.leases, "b", 0)
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(time.Second)
		renew(t, p.leases, "a", 1)
		pending(t, waits, "one lags")
		renew(t, p.leases, "b", 1)
		start := time.Now()
		synctest.Wait()
		passed(t, waits, revision.Propagation{Acknowledged: 2, Waited: time.Second})
		if late := time.Since(start); late != 0 {
			t.Errorf("%v after the acknowledgement", late)
		}
	})
	bubble(t, "one gives its lease back", func(t *testing.T) {
		p := open(t)
		renew(t, p.leases, "a", 0)
		waits := await(t.Context(), p.barrier, 1)
		pending(t, waits, "one lags")
		if _, err := p.leases.Renew(t.Context(), introspection.Renewal{Verifier: "a", Release: true}); err != nil {
			t.Fatal(err)
		}
		passed(t, waits, revision.Propagation{})
	})
	bubble(t, "another replica took the acknowledgement", func(t *testing.T) {
		p := open(t)
		renew(t, p.leases, "a", 0)
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(time.Second)
		p.m.set(func() { p.m.leases["a"].acknowledged = 1 })
		passed(t, waits, revision.Propagation{Acknowledged: 1, Waited: time.Second})
	})
	bubble(t, "a lease ends", func(t *testing.T) {
		p := open(t)
		renew(t, p.leases, "gone", 0)
		time.Sleep(time.Second)
		renew(t, p.leases, "well", 1)
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(time.Second - time.Millisecond)
		renew(t, p.leases, "well", 1)
		pending(t, waits, "a lease runs")
		passed(t, waits, revision.Propagation{Acknowledged: 1, Lapsed: 1, Waited: time.Second})
	})
	bubble(t, "the table is young", func(t *testing.T) {
		p := open(t)
		p.m.set(func() { p.m.since = time.Now() })
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(ttl - time.Millisecond)
		pending(t, waits, "there may be leases that the table has lost")
		passed(t, waits, revision.Propagation{Waited: ttl})
	})
	bubble(t, "the table is young for longer leases of another replica", func(t *testing.T) {
		p := open(t)
		p.m.set(func() { p.m.since, p.m.longest = time.Now(), 20*ttl })
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(20*ttl - time.Millisecond)
		pending(t, waits, "there may be leases that the table has lost")
		passed(t, waits, revision.Propagation{Waited: 20 * ttl})
	})
	bubble(t, "settling waits for the newest", func(t *testing.T) {
		p := open(t)
		p.m.add(2)
		renew(t, p.leases, "a", 2)
		settled := make(chan error, 1)
		go func() { settled <- p.barrier.Settle(t.Context()) }()
		time.Sleep(time.Second)
		renew(t, p.leases, "a", 2)
		synctest.Wait()
		if len(settled) != 0 {
			t.Error("settled, but one lags")
		}
		renew(t, p.leases, "a", 3)
		synctest.Wait()
		if err := <-settled; err != nil {
			t.Error(err)
		}
		if err := newBarrier(newMemory(), p.feed).Settle(t.Context()); err != nil {
			t.Errorf("before the first revision: %v", err)
		}
	})
	bubble(t, "only what may let it pass makes it look", func(t *testing.T) {
		p := open(t)
		for _, name := range []string{"a", "b", "c"} {
			renew(t, p.leases, name, 0)
		}
		waits := await(t.Context(), p.barrier, 1)
		looks := func() int { p.m.mu.Lock(); defer p.m.mu.Unlock(); return p.m.looks }
		before := looks()
		renew(t, p.leases, "a", 1)
		renew(t, p.leases, "b", 1)
		renew(t, p.leases, "c", 0)
		synctest.Wait()
		if n := looks() - before; n != 0 {
			t.Errorf("%d looks for acknowledgements of some", n)
		}
		renew(t, p.leases, "c", 1)
		passed(t, waits, revision.Propagation{Acknowledged: 3})
		if n := looks() - before; n != 1 {
			t.Errorf("%d looks, want one for the last acknowledgement", n)
		}
	})
	bubble(t, "each for its own revision", func(t *testing.T) {
		p := open(t)
		p.m.add(2)
		renew(t, p.leases, "a", 0)
		first, second := await(t.Context(), p.barrier, 2), await(t.Context(), p.barrier, 3)
		renew(t, p.leases, "a", 1)
		pending(t, first, "it waits for 2")
		renew(t, p.leases, "a", 2)
		passed(t, first, revision.Propagation{Acknowledged: 1})
		pending(t, second, "it waits for 3")
		renew(t, p.leases, "a", 3)
		passed(t, second, revision.Propagation{Acknowledged: 1})
	})
	bubble(t, "others keep coming while another replica takes the acknowledgement", func(t *testing.T) {
		p := open(t)
		p.m.add(1)
		renew(t, p.leases, "a", 0)
		waits := await(t.Context(), p.barrier, 1)
		p.m.set(func() { p.m.leases["a"].acknowledged = 1 })
		var others []<-chan passage
		for range 50 {
			others = append(others, await(t.Context(), p.barrier, 2))
			time.Sleep(time.Millisecond)
		}
		passed(t, waits, revision.Propagation{Acknowledged: 1})
		p.m.set(func() { p.m.leases["a"].acknowledged = 2 })
		for _, other := range others {
			<-other
		}
	})
	bubble(t, "the caller leaves", func(t *testing.T) {
		p := open(t)
		renew(t, p.leases, "a", 0)
		ctx, cancel := context.WithCancel(t.Context())
		waits := await(ctx, p.barrier, 1)
		cancel()
		time.Sleep(time.Second)
		pending(t, waits, "one lags")
		renew(t, p.leases, "a", 1)
		passed(t, waits, revision.Propagation{Acknowledged: 1, Waited: time.Second})
	})
	bubble(t, "the database fails and recovers", func(t *testing.T) {
		p := open(t)
		p.m.set(func() { p.m.down = true })
		waits := await(t.Context(), p.barrier, 1)
		time.Sleep(10 * time.Second)
		pending(t, waits, "nothing is known")
		p.m.set(func() { p.m.down = false })
		passed(t, waits, revision.Propagation{Waited: 10 * time.Second})
	})
	bubble(t, "the database fails for good", func(t *testing.T) {
		m := newMemory()
		m.down = true
		told := 0
		barrier := revision.NewBarrier(m, ttl, time.Now, revision.NewFeed(m), func(revision.Propagation) { told++ })
		gone := await(t.Context(), barrier, 1)
		if got := <-gone; !errors.Is(got.err, fault.Unavailable) {
			t.Errorf("got %+v", got)
		}
		m.set(func() { m.down = false })
		passed(t, await(t.Context(), barrier, 1), revision.Propagation{})
		if told != 1 {
			t.Errorf("%d waits are said to have ended well, want the second alone", told)
		}
	})
}
