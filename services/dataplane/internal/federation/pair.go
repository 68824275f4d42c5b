package federation

import (
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// State is how a pair is.
type State string

// The states.
const (
	Active  State = "active"
	Paused  State = "paused"
	Failing State = "failing"
)

// MaxPairs is the most pairs of a context: each holds a connection while it waits for news.
const MaxPairs = 256

// Pair is a thread that is pulled from a peer.
type Pair struct {
	// ID is the same for the same peer, address and thread.
	ID                       string
	PeerDID, PeerURL, Thread string
	// PeerActor is the identity that is claimed at the peer; empty for none.
	PeerActor string
	State     State
	HasToken  bool
	CreatedAt time.Time
	// LastPulledAt is when the peer last answered well; zero if it never has.
	LastPulledAt time.Time
	// LastError says why it fails; empty while it does not.
	LastError string
	// Cursor is what the peer calls its newest record that is here; empty if none is.
	Cursor string
	Stats  Stats
}

// Stats counts what a pair has pulled.
type Stats struct {
	// Pulled counts the records that were new, Known those that were here before, Refused those that were no good.
	Pulled, Known, Refused int64
	// Pulls counts the answers that were good, Failures the rest.
	Pulls, Failures int64
}

// Kept is a pair as it is to be kept. A nil Sealed leaves a token as it is.
type Kept struct {
	ID, PeerDID, PeerURL, Thread, PeerActor string
	// Sealed is the peer's token.
	Sealed []byte
}

// Claim is a pair that this replica has, and what it is pulled with.
type Claim struct {
	Space string
	Pair
	// Version changes with whatever people do to the pair. Who has an older one has nothing to say any more.
	Version int64
	Sealed  []byte
}

// Progress is what came of a good answer.
type Progress struct {
	Cursor        string
	Pulled, Known int
}

// Failure is what came of any other.
type Failure struct {
	// Reason tells people why; it holds no secret.
	Reason string
	// Refused counts the records that were no good.
	Refused int
}

// ErrLost says that a pair is not this replica's any more, or not what it was.
var ErrLost = errors.New("the pair is not this replica's any more")

// Store keeps pairs.
type Store interface {
	// KeepPair makes a pair, or gives the one that is there the new actor and, if there is one, token. It returns fault.Conflict if
	// there would be more than MaxPairs.
	KeepPair(ctx context.Context, space string, kept Kept) (Pair, error)
	// Pairs returns the pairs of a space, the oldest first.
	Pairs(ctx context.Context, space string) ([]Pair, error)
	// Pair returns one; fault.NotFound if it is not there.
	Pair(ctx context.Context, space, id string) (Pair, error)
	// ForgetPair deletes one with its token; fault.NotFound if it is not there.
	ForgetPair(ctx context.Context, space, id string) error
	// TouchPair makes whoever pulls one begin anew, and pauses it or not, unless paused is nil; fault.NotFound if it is not there.
	TouchPair(ctx context.Context, space, id string, paused *bool) (Pair, error)

	// ClaimPairs returns, of all spaces, the pairs that are the replica's: those that it has and those that nobody has, none of them
	// paused. They are its own for the length of the lease, on the database's clock.
	ClaimPairs(ctx context.Context, replica string, lease time.Duration) ([]Claim, error)
	// ReleasePairs lets others have the replica's pairs.
	ReleasePairs(ctx context.Context, replica string) error
	// PairPulled notes what came of a claim; ErrLost if that is not the replica's any more.
	PairPulled(ctx context.Context, replica string, claim Claim, progress Progress) error
	// PairFailed does so as well.
	PairFailed(ctx context.Context, replica string, claim Claim, failure Failure) error
}

// NoPair is the answer to who asks for a pair that is not there.
func NoPair() error { return fault.New(fault.NotFound, "there is no such pair") }

// TooManyPairs is the answer to who wants one more than there may be.
func TooManyPairs() error {
	return fault.New(fault.Conflict, "there are %d pairs already, which is the most", MaxPairs)
}
