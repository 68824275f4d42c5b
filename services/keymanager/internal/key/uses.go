package key

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// UseStore keeps when keys were used.
type UseStore interface {
	// RecordUses keeps one entry per key and minute at most, and adds counts up.
	RecordUses(ctx context.Context, uses []introspection.Use) error
}

// Uses takes note of which keys were used.
type Uses struct{ store UseStore }

// NewUses returns a register of uses in store.
func NewUses(store UseStore) *Uses { return &Uses{store} }

// maxCount is more than a verifier can count between two reports.
const maxCount = 1 << 40

// maxAgo is the oldest use that is taken: a verifier reports within seconds, or never.
const maxAgo = 24 * time.Hour

// Record keeps a report. Errors: Invalid when it is too long or names what is no key.
func (u *Uses) Record(ctx context.Context, report introspection.Uses) error {
	if len(report.Uses) > introspection.MaxUses {
		return fault.InvalidField("uses", "at most %d", introspection.MaxUses)
	}
	for _, use := range report.Uses {
		named := apikey.ValidID(use.KeyID) || apikey.ValidTokenID(use.KeyID)
		if !named || use.AgoMicros < 0 || use.AgoMicros > maxAgo.Microseconds() || use.Count < 0 || use.Count > maxCount {
			return fault.InvalidField("uses", "name keys, times of the past day, and counts")
		}
	}
	return u.store.RecordUses(ctx, report.Uses)
}
