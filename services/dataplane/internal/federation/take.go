package federation

import (
	"context"
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// codeSignature is the code of records that are not signed as they must be.
const codeSignature = "SIGNATURE_INVALID"

// Offer is a record of a peer.
type Offer struct {
	record.Foreign
	Sig, Signer string
}

// Taken counts what came of records that were offered.
type Taken struct {
	// Added counts those that are new, Known those that were here before.
	Added, Known int
}

// Push stores records that a peer brings, all or none. Where they must be signed, each needs a good signature by its signer, who
// need not be its author: a signature says who vouches for having had it, and whom to believe is the caller's affair.
func (s *Service) Push(ctx context.Context, space string, offers []Offer, signed bool) (Taken, error) {
	for i, offer := range offers {
		checked, err := s.Records.Check(offer.Foreign)
		if err != nil {
			return Taken{}, err
		}
		if !signed {
			continue
		}
		if err := identity.Verify(offer.Signer, checked.ID, offer.Sig); err != nil {
			return Taken{}, &fault.Error{
				Kind: fault.Unprocessable, Code: codeSignature, Field: fmt.Sprintf("records.%d.sig", i),
				Message: fmt.Sprintf("records.%d.sig: is not a signature over the id of the record by its signer", i), Err: err,
			}
		}
	}
	return s.take(ctx, space, offers)
}

// take stores records that have been checked.
func (s *Service) take(ctx context.Context, space string, offers []Offer) (taken Taken, err error) {
	foreign := make([]record.Foreign, len(offers))
	for i, offer := range offers {
		foreign[i] = offer.Foreign
	}
	outcomes, err := s.Records.Import(ctx, space, foreign)
	if err != nil {
		return Taken{}, err
	}
	for _, outcome := range outcomes {
		switch outcome.State {
		case record.Stored:
			taken.Added++
		case record.Known:
			taken.Known++
		case record.Refused, record.Deleted:
			return taken, outcome.Err
		}
	}
	return taken, nil
}
