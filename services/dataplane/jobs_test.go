package dataplane_test

import (
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
)

func TestJobsOfOperatorsAreDone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.remember(t, p.admin(t), `{"text":"otter"}`)
		p.authority.Ask(introspection.Job{ID: "j1", Kind: introspection.JobReindex, Incarnation: "acme-1"})
		// A data plane looks for jobs as soon as it starts.
		next, err := dataplane.Open(t.Context(), config(url, p.authority))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }()
		for deadline := time.Now().Add(time.Minute); !p.authority.JobDone("j1"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the key manager was never told")
			}
		}
		if got := p.recall(t, p.admin(t), `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Errorf("found %v", got.texts())
		}
	})
}
