// Package lifecycle lets memories age: what was not written for long loses importance, and what has outlived its validity is
// found no more.
//
// What it promises: a caller changes only rows all of whose nodes lie in its region, because they change for everybody; and
// what is done twice at one time changes nothing the second time.
package lifecycle

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

const (
	// HalfLife is the time without a write in which importance falls by half.
	HalfLife = 30 * 24 * time.Hour
	// Steps is how often it does so at most; then it is as good as nothing.
	Steps = 20
)

// Store ages rows.
type Store interface {
	// Decay sets the importance of the current entities and attributes within region, which is in normal form and not empty,
	// by the time of their last write, and returns how many changed.
	Decay(ctx context.Context, incarnation string, region scope.Region, at time.Time) (int, error)
	// Expire makes what is of category context within region, and whose validity has ended by the given time, unfindable, and
	// returns how many rows that were.
	Expire(ctx context.Context, incarnation string, region scope.Region, at time.Time) (int, error)
}

// Service ages on behalf of callers.
type Service struct {
	store Store
	now   func() time.Time
}

// New returns a Service.
func New(store Store, now func() time.Time) *Service { return &Service{store, now} }

// Decay lowers the importance of what was not written for long, where who may write.
func (s *Service) Decay(ctx context.Context, who *caller.Caller) (int, error) {
	return s.age(ctx, who, grant.MemoryWrite, s.store.Decay)
}

// DecayAll does so in a whole context, for its operator.
func (s *Service) DecayAll(ctx context.Context, incarnation string) error {
	_, err := s.store.Decay(ctx, incarnation, scope.Region{scope.Everything}, s.at())
	return err
}

// Expire ends what has outlived its validity, where who may forget. Histories stay as they are.
func (s *Service) Expire(ctx context.Context, who *caller.Caller) (int, error) {
	return s.age(ctx, who, grant.MemoryForget, s.store.Expire)
}

func (s *Service) age(
	ctx context.Context, who *caller.Caller, verb grant.Verb, do func(context.Context, string, scope.Region, time.Time) (int, error),
) (int, error) {
	region := who.Effective[verb].Normal()
	if len(region) == 0 {
		return 0, grant.Lacking(verb, ", which this key holds nowhere")
	}
	return do(ctx, who.Incarnation, region, s.at())
}

func (s *Service) at() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
