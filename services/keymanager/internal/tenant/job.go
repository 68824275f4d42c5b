package tenant

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const (
	// jobIDLen is the length of a job's id: 80 bits.
	jobIDLen = 16
	// jobsAtOnce is the most jobs that a data plane is given at once.
	jobsAtOnce = 8
	// jobPatience is how long a data plane has for a job before it is given to another one.
	jobPatience = 10 * time.Minute
)

// JobStore keeps jobs.
type JobStore interface {
	// QueueJob stores a job for a context, or returns the id of one of that kind which nobody has taken yet. Errors: [NotFound].
	QueueJob(ctx context.Context, contextID string, kind introspection.JobKind, id string) (string, error)
	// TakeJobs returns at most limit jobs, oldest first, that nobody has taken within patience, and notes that they are taken.
	TakeJobs(ctx context.Context, limit int, patience time.Duration) ([]introspection.Job, error)
	// RemoveJob forgets a job. One that is not known is no error.
	RemoveJob(ctx context.Context, id string) error
}

// Jobs is what the data planes are asked to do to whole contexts.
type Jobs struct{ store JobStore }

// NewJobs returns the jobs in store.
func NewJobs(store JobStore) *Jobs { return &Jobs{store} }

// Queue asks for a job and returns its id. Errors: NotFound.
func (j *Jobs) Queue(ctx context.Context, contextID string, kind introspection.JobKind) (string, error) {
	return j.store.QueueJob(ctx, contextID, kind, secret.NewID(jobIDLen))
}

// Take hands jobs to a data plane.
func (j *Jobs) Take(ctx context.Context) ([]introspection.Job, error) {
	return j.store.TakeJobs(ctx, jobsAtOnce, jobPatience)
}

// Done forgets a job; doing it again is no error.
func (j *Jobs) Done(ctx context.Context, id string) error { return j.store.RemoveJob(ctx, id) }
