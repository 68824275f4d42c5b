package key

import (
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// Reseal is a key that was seen, with its digest, while it is sealed under an old pepper.
type Reseal struct {
	ID      string
	Old     secret.Seal
	New     secret.Seal
	Version uint16
}

// ResealStore keeps seals.
type ResealStore interface {
	// ResealKeys replaces the seals of keys, of each only if it is still the old one. Nothing else of a key changes, so no verifier need hear
	// of it.
	ResealKeys(ctx context.Context, keys []Reseal) error
}

const (
	// resealsWaiting bounds the keys that wait to be sealed anew. What does not fit is seen again: every verifier asks again within minutes.
	resealsWaiting = 1024
	// resealsAtOnce bounds one transaction.
	resealsAtOnce = 100
)

// note has a key that was found by an old pepper's seal sealed under the current one. Nobody waits for that.
func (j *Judge) note(id string, old, current secret.Seal) {
	select {
	case j.reseals <- Reseal{ID: id, Old: old, New: current, Version: j.ring.Current()}:
	default:
	}
}

// SealAnew seals keys that are seen under the current pepper until ctx ends. So an old pepper falls out of use by itself, but for keys that
// nobody uses. What fails is tried when the key is seen again.
func (j *Judge) SealAnew(ctx context.Context, store ResealStore, failed func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-j.reseals:
			if err := store.ResealKeys(ctx, j.gather(first)); err != nil && !errors.Is(err, context.Canceled) {
				failed(err)
				pause(ctx, time.Second) // the database may be gone
			}
		}
	}
}

// gather returns first and what waits behind it, each key once.
func (j *Judge) gather(first Reseal) []Reseal {
	batch, seen := []Reseal{first}, map[string]bool{first.ID: true}
	for len(batch) < resealsAtOnce {
		select {
		case next := <-j.reseals:
			if !seen[next.ID] {
				batch, seen[next.ID] = append(batch, next), true
			}
		default:
			return batch
		}
	}
	return batch
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// StillSealed is the refusal to serve without a pepper that keys need.
func StillSealed(version uint16, keys int64) error {
	return fault.New(fault.Conflict, "%d keys are sealed under version %d of the pepper, which is not configured, and would all be refused: "+
		"configure it again, behind the current one (SPECTRON_PEPPER=NEW,%d:OLD), until `spectrond pepper status` shows none; "+
		"or give these keys up with SPECTRON_RETIRED_PEPPERS=%d (--retired-peppers)", keys, version, version, version)
}
