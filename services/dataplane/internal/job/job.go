// Package job does what operators ask the data plane to do to whole contexts: the key manager queues it, and whichever
// replica comes first takes it. A job may be done twice, when a replica takes very long over it or ends before it has said
// that it is done: each must be one that may.
package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// batch bounds the rows that one transaction changes, so that none holds its locks for long.
const batch = 200

// Authority hands jobs out.
type Authority interface {
	// Jobs takes the jobs that wait.
	Jobs(ctx context.Context) ([]introspection.Job, error)
	// JobDone says that one is done.
	JobDone(ctx context.Context, id string) error
}

// Work does one kind of job to a context.
type Work func(ctx context.Context, incarnation string) error

// Runner does jobs.
type Runner struct {
	authority Authority
	work      map[introspection.JobKind]Work
}

// New returns a runner of the kinds of jobs in work. Others it leaves to a replica that knows them.
func New(authority Authority, work map[introspection.JobKind]Work) *Runner {
	return &Runner{authority, work}
}

// Sweep does the jobs that wait. One that fails keeps none of the others from being done; it is handed out again later.
func (r *Runner) Sweep(ctx context.Context) error {
	jobs, err := r.authority.Jobs(ctx)
	if err != nil {
		return fmt.Errorf("asking for jobs: %w", err)
	}
	var errs []error
	for _, each := range jobs {
		work, ok := r.work[each.Kind]
		if !ok {
			continue
		}
		if err := work(ctx, each.Incarnation); err != nil {
			errs = append(errs, fmt.Errorf("doing the job %s, %s: %w", each.ID, each.Kind, err))
			continue
		}
		if err := r.authority.JobDone(ctx, each.ID); err != nil {
			errs = append(errs, fmt.Errorf("reporting a job as done: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Index is the search index of contexts.
type Index interface {
	// Reindex builds the entries of up to limit chunks anew, those after the id after, in the order of their ids. It returns
	// the last id, empty when there was none.
	Reindex(ctx context.Context, incarnation, after string, limit int) (last string, err error)
}

// Reindex builds the search index of a context anew.
func Reindex(index Index) Work {
	return func(ctx context.Context, incarnation string) error {
		after := ""
		for {
			last, err := index.Reindex(ctx, incarnation, after, batch)
			if err != nil || last == "" {
				return err
			}
			after = last
		}
	}
}
