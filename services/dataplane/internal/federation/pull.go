package federation

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// releaseTime is how long the store may take to let others have this replica's pairs when it stops.
const releaseTime = 2 * time.Second

// puller pulls one pair as it was claimed.
type puller struct {
	version int64
	cancel  context.CancelFunc
	done    chan struct{}
}

// over reports whether it has ended by itself.
func (p *puller) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// pullers are those of this replica, by space and id.
type pullers map[[2]string]*puller

// keepOnly ends all whose key keep does not know, and waits for them.
func (p pullers) keepOnly(keep func(key [2]string, one *puller) bool) {
	var ended sync.WaitGroup
	for key, one := range p {
		if keep(key, one) {
			continue
		}
		delete(p, key)
		one.cancel()
		ended.Go(func() { <-one.done })
	}
	ended.Wait()
}

// Run pulls the pairs that this replica has until ctx ends. It has them by a lease, which it renews; when it cannot, it stops pulling.
func (s *Service) Run(ctx context.Context) {
	running := pullers{}
	defer func() {
		running.keepOnly(func([2]string, *puller) bool { return false })
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		if err := s.Store.ReleasePairs(release, s.Replica); err != nil {
			s.Log.DebugContext(ctx, "pairs could not be released; others will have them when the lease ends", slog.Any("error", err))
		}
	}()
	beat := time.NewTicker(s.Timing.Beat)
	defer beat.Stop()
	leased := s.Now()
	for {
		asked := s.Now()
		claims, err := s.Store.ClaimPairs(ctx, s.Replica, s.Timing.Lease)
		switch {
		case err == nil:
			leased = asked
			s.adopt(ctx, running, claims)
		case ctx.Err() != nil:
		case s.Now().Sub(leased) >= s.Timing.Lease:
			running.keepOnly(func([2]string, *puller) bool { return false })
			s.Log.WarnContext(ctx, "pairs cannot be claimed, so nothing is pulled", slog.Any("error", err))
		}
		select {
		case <-beat.C:
		case <-s.looks:
		case <-ctx.Done():
			return
		}
	}
}

// adopt makes those run that have been claimed, as they are now, and no others.
func (s *Service) adopt(ctx context.Context, running pullers, claims []Claim) {
	claimed := make(map[[2]string]int64, len(claims))
	for _, claim := range claims {
		claimed[[2]string{claim.Space, claim.ID}] = claim.Version
	}
	running.keepOnly(func(key [2]string, one *puller) bool {
		version, ok := claimed[key]
		return ok && version == one.version && !one.over()
	})
	for _, claim := range claims {
		key := [2]string{claim.Space, claim.ID}
		if running[key] != nil {
			continue
		}
		pulling, cancel := context.WithCancel(ctx)
		one := &puller{claim.Version, cancel, make(chan struct{})}
		running[key] = one
		go func() {
			defer close(one.done)
			s.pullOn(pulling, claim)
		}()
	}
}

// pullOn pulls a pair until it is not this replica's any more. After a failure it pauses, longer each time, and never as long as
// another one: peers that came back would be asked by everybody at once.
func (s *Service) pullOn(ctx context.Context, claim Claim) {
	pause := s.Timing.MinBackoff
	for ctx.Err() == nil {
		began := s.Now()
		news, err := s.pull(ctx, &claim)
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrLost):
			return
		case err == nil && news:
			s.Pulled(News)
		case err == nil:
			s.Pulled(NoNews)
		default:
			s.Pulled(Failed)
		}
		switch {
		case err == nil && (news || s.Now().Sub(began) >= s.Timing.MinBackoff):
			pause = s.Timing.MinBackoff
			continue
		case err == nil: // the peer does not wait when it is asked to
			pause = s.Timing.MinBackoff
		default:
			if errors.Is(s.noteFailure(ctx, claim, err), ErrLost) {
				return
			}
		}
		wait(ctx, pause/2+rand.N(pause)) //nolint:gosec // a pause, not a secret
		if err != nil {
			pause = min(2*pause, s.Timing.MaxBackoff)
		}
	}
}

func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// noteFailure leaves in the pair's row why it was not pulled.
func (s *Service) noteFailure(ctx context.Context, claim Claim, cause error) error {
	what := Failure{Reason: "this server's store does not answer"}
	if f, ok := errors.AsType[*failure](cause); ok {
		what = Failure{Reason: f.reason, Refused: f.refused}
	} else {
		s.Log.WarnContext(ctx, "what a peer sent could not be stored", slog.String("pair", claim.ID), slog.Any("error", cause))
	}
	const longest = 512
	if len(what.Reason) > longest {
		what.Reason = strings.ToValidUTF8(what.Reason[:longest], "") // a character may have been cut
	}
	return s.Store.PairFailed(ctx, s.Replica, claim, what)
}

// pull asks the peer once, stores what it sends, and then how far that is: what was stored twice is known the second time, but
// what was skipped would be missing. It reports whether there was anything to store.
func (s *Service) pull(ctx context.Context, claim *Claim) (news bool, err error) {
	token, err := s.token(*claim)
	if err != nil {
		return false, err
	}
	feed, err := s.ask(ctx, *claim, token)
	if f, ok := errors.AsType[*failure](err); ok && f.strayed && claim.Cursor != "" {
		// The peer's records are others than those of the cursor, which may all be new: from the beginning.
		s.Log.InfoContext(ctx, "a peer has been set up anew, its thread is pulled from the beginning", slog.String("pair", claim.ID))
		return true, s.advance(ctx, claim, Progress{})
	}
	if err != nil {
		return false, err
	}
	offers, err := s.examine(*claim, feed)
	if err != nil {
		return false, err
	}
	progress := Progress{Cursor: *feed.Next}
	if len(offers) > 0 {
		taken, err := s.take(ctx, claim.Space, offers)
		if err != nil {
			return false, s.ours(err)
		}
		progress.Pulled, progress.Known = taken.Added, taken.Known
	}
	return len(offers) > 0, s.advance(ctx, claim, progress)
}

func (s *Service) advance(ctx context.Context, claim *Claim, progress Progress) error {
	err := s.Store.PairPulled(ctx, s.Replica, *claim, progress)
	if err == nil {
		claim.Cursor = progress.Cursor
	}
	return err
}

// token returns what the peer of a claim asks for.
func (s *Service) token(claim Claim) (settings.Secret, error) {
	switch {
	case claim.Sealed == nil:
		return "", nil
	case s.Sealer == nil:
		return "", failed("the peer's token cannot be opened: this server has no sealing secret (SPECTRON_SPL_SEAL_SECRET)")
	}
	token, err := s.Sealer.Open(claim.Sealed, place(claim.Space, claim.ID))
	if err != nil {
		return "", failed("the peer's token was sealed with another secret: pair again with the token")
	}
	return token, nil
}

// examine returns the records of a feed, if each is one of the pair's thread, has the id that it says, and, where the peer's did is
// a key, the signature of that key.
func (s *Service) examine(claim Claim, feed wireFeed) ([]Offer, error) {
	const longestCursor = 64
	if len(*feed.Next) > longestCursor || len(feed.Records) > record.MaxImport {
		return nil, failed("the peer's answer is not what it should be")
	}
	refuse := func(format string, args ...any) error {
		f := failed(format, args...)
		f.refused = len(feed.Records)
		return f
	}
	signed := identity.IsDID(claim.PeerDID)
	offers := make([]Offer, len(feed.Records))
	for i, change := range feed.Records {
		offers[i].Foreign = record.Foreign{Content: change.Record.Content, ID: change.ID, JudgedBy: change.Record.JudgedBy}
		if change.ID == "" || change.Record.Thread != claim.Thread {
			return nil, refuse("the peer sent a record of another thread or without an id; none of the answer was stored")
		}
		checked, err := s.Records.Check(offers[i].Foreign)
		if err != nil {
			return nil, refuse("the peer sent a record that is not what its id says, or no record; none of the answer was stored")
		}
		if !signed {
			continue
		}
		if change.Signer != claim.PeerDID || identity.Verify(claim.PeerDID, checked.ID, change.Sig) != nil {
			return nil, refuse("the peer sent a record that %s has not signed; none of the answer was stored", claim.PeerDID)
		}
	}
	return offers, nil
}

// ours tells what keeps this server from storing what was good.
func (s *Service) ours(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == record.CodeDeleted {
		return failed("the thread was deleted on this server, and takes nothing more: delete this pair as well")
	}
	return err
}
