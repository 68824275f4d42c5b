package tenant

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// purgeSettles is how long after a deletion a request that was verified before it may still be writing. Only then is a
// purge final. It must exceed the longest that the other plane lets a request run.
const purgeSettles = time.Minute

// Purge is a deleted context whose rows on the other plane wait to be deleted.
type Purge struct {
	Incarnation string
	// Age is the time since the deletion, on the authority's clock.
	Age time.Duration
}

// NotFinal is the answer to a report that a purge is done while requests may still be writing.
func NotFinal(incarnation string) error {
	return fault.New(fault.Conflict, "the purge of %q is not final yet", incarnation)
}

// PurgeStore keeps purges.
type PurgeStore interface {
	// Purges returns the oldest purges, oldest first.
	Purges(ctx context.Context) ([]Purge, error)
	// RemovePurge forgets a purge of at least age. One that is not known is no error. Errors: [NotFinal].
	RemovePurge(ctx context.Context, incarnation string, age time.Duration) error
}

// Purger is the use of purges.
type Purger struct{ store PurgeStore }

// NewPurger returns a purger of the purges in store.
func NewPurger(store PurgeStore) *Purger { return &Purger{store} }

// List returns the purges that wait.
func (p *Purger) List(ctx context.Context) ([]introspection.Purge, error) {
	waiting, err := p.store.Purges(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]introspection.Purge, len(waiting))
	for i, purge := range waiting {
		out[i] = introspection.Purge{Incarnation: purge.Incarnation, Final: purge.Age >= purgeSettles}
	}
	return out, nil
}

// Done forgets a final purge; doing it again is no error. Errors: Conflict when it is not final.
func (p *Purger) Done(ctx context.Context, incarnation string) error {
	return p.store.RemovePurge(ctx, incarnation, purgeSettles)
}
