package revision_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// deadOnce is a store whose connection is dead at first: nothing comes back until somebody gives up.
type deadOnce struct {
	revision.Store
	asked int
}

func (d *deadOnce) Standing(ctx context.Context) (revision.Standing, error) {
	if d.asked++; d.asked > 1 {
		return revision.Standing{Age: time.Hour}, nil
	}
	<-ctx.Done()
	return revision.Standing{}, ctx.Err()
}

func TestADeadConnectionHoldsNoChangeUpForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &deadOnce{}
		barrier := revision.NewBarrier(store, time.Minute, time.Now, revision.NewFeed(store), func(revision.Propagation) {})
		p, err := barrier.Await(t.Context(), 1)
		if err != nil || p.Waited > 10*time.Second {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// deadFeed is a store whose connection is dead when revisions are first asked for.
type deadFeed struct {
	revision.Store
	asked int
}

func (*deadFeed) Newest(context.Context) (int64, error) { return 1, nil }

func (*deadFeed) Prune(context.Context, time.Duration, time.Duration) error { return nil }

func (*deadFeed) Listen(ctx context.Context, _ func(int64)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (d *deadFeed) Revisions(ctx context.Context, _ int64, _ int) ([]revision.Numbered, bool, error) {
	if d.asked++; d.asked > 1 {
		return []revision.Numbered{{Revision: 1}}, true, nil
	}
	<-ctx.Done()
	return nil, false, ctx.Err()
}

func TestADeadConnectionStopsNoFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &deadFeed{}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			revision.NewFeed(store).Run(ctx)
			close(done)
		}()
		time.Sleep(10 * time.Second)
		stop()
		<-done
		if store.asked < 2 {
			t.Error("it asked once and waits")
		}
	})
}
