package dataplane_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
)

func TestJobsOfOperatorsAreDone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter"}`)
		got := p.call(t, admin, http.MethodPost, "/api/v1/acme/facts",
			`{"infer":"triples","triples":[{"entity":{"type":"person","name":"Alice"},"key":"likes","value":"tea"}]}`)
		if got.status != http.StatusOK {
			t.Fatalf("status %d", got.status)
		}
		loseIndex(t, url)
		if got := p.recall(t, admin, `{"query":"otter person"}`); len(got.Hits) != 0 {
			t.Fatalf("without an index: %v", got.texts())
		}
		p.authority.Ask(introspection.Job{ID: "j1", Kind: introspection.JobReindex, Incarnation: "acme-1"})
		p.authority.Ask(introspection.Job{ID: "j2", Kind: introspection.JobDecay, Incarnation: "acme-1"})
		// A data plane looks for jobs as soon as it starts.
		next, err := dataplane.Open(t.Context(), config(url, p.authority))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }()
		for deadline := time.Now().Add(time.Minute); !p.authority.JobDone("j1") || !p.authority.JobDone("j2"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the key manager was never told")
			}
		}
		// An attribute is found by the type of its entity, too.
		for query, want := range map[string]int{"otter": 1, "person": 2, "tea": 1} {
			if got := p.recall(t, p.admin(t), `{"query":"`+query+`"}`); len(got.Hits) != want {
				t.Errorf("%s finds %v, want %d", query, got.texts(), want)
			}
		}
	})
}

// loseIndex empties the search index.
func loseIndex(t *testing.T, url string) {
	t.Helper()
	db, err := database.Open(t.Context(), url, "data")
	if err != nil {
		t.Fatal(err)
	}
	statement := "UPDATE memory_chunks SET search = ''"
	if db.Engine == database.SQLite {
		statement = "DELETE FROM memory_search"
	}
	if err := errors.Join(db.WithContext(t.Context()).Exec(statement).Error, db.Close()); err != nil {
		t.Fatal(err)
	}
}
