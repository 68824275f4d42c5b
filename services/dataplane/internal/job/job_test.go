package job_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/job"
)

// authority hands out what it has.
type authority struct {
	jobs []introspection.Job
	done []string
	err  error
}

func (a *authority) Jobs(context.Context) ([]introspection.Job, error) { return a.jobs, a.err }

func (a *authority) JobDone(_ context.Context, id string) error {
	a.done = append(a.done, id)
	return nil
}

func TestWhatFailsIsNotReportedAndKeepsNothingElse(t *testing.T) {
	t.Parallel()
	a := &authority{jobs: []introspection.Job{
		{ID: "1", Kind: "fails", Incarnation: "a"}, {ID: "2", Kind: "unheard of", Incarnation: "a"}, {ID: "3", Kind: "works", Incarnation: "b"},
	}}
	trouble := errors.New("trouble")
	var did []string
	runner := job.New(a, map[introspection.JobKind]job.Work{
		"fails": func(context.Context, string) error { return trouble },
		"works": func(_ context.Context, incarnation string) error { did = append(did, incarnation); return nil },
	})
	if err := runner.Sweep(t.Context()); !errors.Is(err, trouble) {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(a.done, []string{"3"}) || !slices.Equal(did, []string{"b"}) {
		t.Errorf("did %v, reported %v", did, a.done)
	}
	a.jobs, a.err = nil, trouble
	if err := runner.Sweep(t.Context()); !errors.Is(err, trouble) {
		t.Errorf("without an authority: %v", err)
	}
}
