package memory

import (
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// forgetBatch bounds the rows that one transaction forgets, so that none holds its locks for long.
const forgetBatch = 5000

// Oblivion says what to forget: whatever a query for the same text finds.
type Oblivion struct {
	Text string
	// Purge erases for good: what was superseded or softly forgotten before too, the turns that brought the texts, and the
	// whole history of an attribute. Otherwise what is current ends now, and nothing finds or lists it any more.
	Purge bool
	// DryRun only counts.
	DryRun bool
}

// Forgetting is what the store is to forget.
type Forgetting struct {
	Incarnation string
	Terms       []string
	// Region is where the caller may forget, in normal form and not empty. A row is forgotten when all of its nodes lie
	// there: it goes for everybody, so it takes what it takes to write it.
	Region scope.Region
	Purge  bool
	// At is the time of forgetting.
	At    time.Time
	Limit int
}

// Forget forgets on behalf of who and returns how many texts, attributes and entities that were. Relations go with their
// entities and are not counted. Needs memory:forget, and nothing else.
func (s *Service) Forget(ctx context.Context, who *caller.Caller, what Oblivion) (int, error) {
	region := who.Effective[grant.MemoryForget].Normal()
	switch {
	case len(region) == 0:
		return 0, MayForgetNothing()
	case strings.TrimSpace(what.Text) == "":
		return 0, fault.InvalidField("query", "must not be empty")
	}
	f := Forgetting{
		Incarnation: who.Incarnation, Terms: Terms(what.Text), Region: region, Purge: what.Purge,
		At: s.now().UTC().Truncate(time.Microsecond), Limit: forgetBatch,
	}
	switch {
	case len(f.Terms) == 0:
		return 0, nil
	case what.DryRun:
		return s.store.CountForgettable(ctx, f)
	}
	total := 0
	for {
		n, err := s.store.Forget(ctx, f)
		total += n
		if err != nil || n < f.Limit {
			return total, err
		}
	}
}

// MayForgetNothing is the answer to who holds memory:forget nowhere.
func MayForgetNothing() error {
	return grant.Lacking(grant.MemoryForget, ", which this key holds nowhere")
}
