package httpapi_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

func TestBootstrapHasOneWinner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := empty(t, url)
		const racers = 50
		token := serviceToken(t)
		type attempt struct {
			name                string
			management, context apikey.Key
		}
		attempts := make([]attempt, racers)
		for i := range attempts {
			attempts[i] = attempt{apikey.NewID(), newKey(t), newKey(t)}
		}
		enrol := func(i int) answer {
			return s.send("POST", introspection.BootstrapPath, token, introspection.Enrolment{
				Attempt:    attempts[i].name,
				ContextID:  fmt.Sprintf("c%d", i%2),
				Management: introspection.Enrol(attempts[i].management), Context: introspection.Enrol(attempts[i].context),
			})
		}
		var winner atomic.Int64
		var winners atomic.Int64
		var wait sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			wait.Go(func() {
				<-start
				a := enrol(i)
				if a.status == http.StatusNoContent {
					winners.Add(1)
					winner.Store(int64(i))
					return
				}
				refused(t, a, fault.AlreadyDone, "")
			})
		}
		close(start)
		wait.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d bootstraps succeeded, want 1", winners.Load())
		}
		won := int(winner.Load())
		for i, a := range attempts {
			if active := s.active(t, a.context.Reveal()); active != (i == won) {
				t.Errorf("key %d is active: %v; the winner is %d", i, active, won)
			}
		}
		s.management = attempts[won].management.Reveal()
		into[[]httpapi.Verb](t, s.operate("GET", "/api/v1/verbs", nil), http.StatusOK)

		// The winner may ask again, because the answer may have been lost. With the same keys, another attempt is another.
		into[struct{}](t, enrol(won), http.StatusNoContent)
		attempts[won].name = apikey.NewID()
		refused(t, enrol(won), fault.AlreadyDone, "")
	})
}
