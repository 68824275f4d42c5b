package tenant

import (
	"context"
	"time"
)

// Usage is how much of its tokens a context has used in a calendar month (UTC).
type Usage struct {
	// Limit is nil where there is none.
	Limit *int64
	// Used is 0: this deployment has no language model to spend tokens on.
	Used     int64
	From, To time.Time
}

// Percent returns how much of the limit is used, nil where there is none.
func (u Usage) Percent() *float64 {
	if u.Limit == nil {
		return nil
	}
	percent := 0.0
	if *u.Limit > 0 {
		percent = 100 * float64(u.Used) / float64(*u.Limit)
	}
	return &percent
}

// Usage returns the usage of the current month. Errors: NotFound.
func (r *Registry) Usage(ctx context.Context, id string) (Usage, error) {
	found, err := r.store.Context(ctx, id)
	if err != nil {
		return Usage{}, err
	}
	config, err := found.Config.Config()
	if err != nil {
		return Usage{}, err
	}
	now := r.now().UTC()
	from := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return Usage{Limit: config.TokenLimit, From: from, To: from.AddDate(0, 1, 0)}, nil
}

// Migrated is on which version of the schema how many contexts are: all on one, because they share it.
type Migrated struct{ Version, Contexts int64 }

// Migrated returns the state of the schema.
func (r *Registry) Migrated(ctx context.Context) (Migrated, error) { return r.store.Migrated(ctx) }
