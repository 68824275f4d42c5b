package revision_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
		store.found <- revision.Standing{Age: time.Hour, Acknowledged: []int64{1}}
		<-store.begun
		store.found <- revision.Standing{Age: time.Hour, Acknowledged: []int64{2}}
		if second := <-passed; second != 2 {
			t.Fatalf("revision %d passed", second)
		}
	})
}

// dead is a store whose first look never ends by itself.
type dead struct {
	revision.Store
	looks atomic.Int32
}

func (d *dead) Standing(ctx context.Context) (revision.Standing, error) {
	if d.looks.Add(1) == 1 {
		<-ctx.Done()
		return revision.Standing{}, ctx.Err()
	}
	return revision.Standing{Age: time.Hour}, nil
}

func TestADeadConnectionHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &dead{}
		barrier := revision.NewBarrier(store, time.Second, time.Now, revision.NewFeed(store), func(revision.Propagation) {})
		p, err := barrier.Await(t.Context(), 1)
		if err != nil || p.Waited > 10*time.Second {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
