package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// A key manager that stands still within a change, as one that is stopped does, must not hold up the others for long.
func TestAFrozenReplicaHoldsTheOthersUpForSecondsOnly(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	frozen, other := store.New(open(t, url), time.Now), store.New(open(t, url), time.Now)
	if _, err := frozen.CreateContext(t.Context(), tenant.Context{ID: "acme", Incarnation: "acme.1"}, nil); err != nil {
		t.Fatal(err)
	}
	within, thaw, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, _, err := frozen.ChangeContext(t.Context(), "acme", func(c tenant.Context) (tenant.Context, error) {
			close(within)
			<-thaw
			return c, nil
		})
		ended <- err
	}()
	<-within
	start := time.Now()
	if _, err := other.DeleteContext(t.Context(), "acme"); err != nil {
		t.Errorf("another replica: %v", err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("another replica waited for %v", took)
	}
	close(thaw)
	if err := <-ended; !errors.Is(err, fault.Unavailable) {
		t.Errorf("the change of the frozen one: %v", err)
	}
}
