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
