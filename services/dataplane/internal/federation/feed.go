package federation

import (
	"context"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const (
	// codeNamespace is the code of who asks for the records of another namespace.
	codeNamespace = "NAMESPACE_REJECTED"
	// heartbeat is how long a stream says nothing: less than what stands between two servers waits for.
	heartbeat = 15 * time.Second
	// streamed is how many changes a stream reads at once.
	streamed = 200
	// together is how many records are looked up at once by their ids, and maxFound how large they may be together.
	together, maxFound = 50, 8 << 20
)

// Asked is what a peer wants to know.
type Asked struct {
	// Thread is the one whose records are asked for; empty for all.
	Thread string
	// Since is the Next of the feed before; empty for the beginning.
	Since string
	Limit int
	// Namespace, if given, must be the one of this server.
	Namespace string
}

// Change is a record that has arrived.
type Change struct {
	record.Record
	// Sig is this server's signature over the id, and Signer its did; both empty where it has no identity.
	Sig, Signer string
	// Cursor is what to go on behind.
	Cursor string
}

// Feed is a part of the changes, in the order of their arrival.
type Feed struct {
	Changes []Change
	// Next is what to go on behind.
	Next string
	// More says that there are more now.
	More bool
}

// Changes returns what arrived behind a cursor.
func (s *Service) Changes(ctx context.Context, space string, asked Asked) (Feed, error) {
	if err := s.checkAsked(asked); err != nil {
		return Feed{}, err
	}
	// Without the records of the engine's own, which are for no peer: a page has as many as were asked for, if there are.
	page, err := s.Records.Since(ctx, space, record.Selection{Thread: asked.Thread, Public: true}, asked.Since, asked.Limit)
	if err != nil {
		return Feed{}, err
	}
	return Feed{s.sign(space, page.Records), page.Next, page.More}, nil
}

func (s *Service) checkAsked(asked Asked) error {
	if asked.Namespace != "" && asked.Namespace != s.Namespace && asked.Namespace != record.DefaultNamespace {
		return &fault.Error{
			Kind: fault.Forbidden, Code: codeNamespace, Field: "target_namespace",
			Message: "target_namespace: this server does not keep the records of that namespace",
		}
	}
	if record.Reserved(asked.Thread) {
		return record.ThreadReserved(asked.Thread)
	}
	return nil
}

func (s *Service) sign(space string, records []record.Record) []Change {
	changes := make([]Change, len(records))
	for i, r := range records {
		changes[i] = Change{Record: r, Cursor: record.Cursor(space, r.Seq)}
		if s.Identity != nil {
			changes[i].Sig, changes[i].Signer = s.Identity.Sign(r.ID), s.Identity.DID()
		}
	}
	return changes
}

// Await does what Changes does, and waits for the first change: for the given time at most, and not after stop is closed. A feed
// without changes is no error.
func (s *Service) Await(ctx context.Context, space string, asked Asked, wait time.Duration, stop <-chan struct{}) (Feed, error) {
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		changed := s.Records.Changed(space) // before the look, or else a change right after it would wake nobody
		feed, err := s.Changes(ctx, space, asked)
		if err != nil || len(feed.Changes) > 0 {
			return feed, err
		}
		asked.Since = feed.Next
		if feed.More {
			continue
		}
		select {
		case <-changed:
		case <-late.C:
			return feed, nil
		case <-stop:
			return feed, nil
		case <-ctx.Done():
			return Feed{}, ctx.Err()
		}
	}
}

// Follow hands tell what arrives behind a cursor until stop is closed or ctx ends, which is no error, or tell fails. Now and then it
// hands over nothing, so that tell finds out whether anybody still listens. An error before the first call is about what was asked.
func (s *Service) Follow(ctx context.Context, space string, asked Asked, stop <-chan struct{}, tell func([]Change) error) error {
	asked.Limit = min(asked.Limit, streamed)
	for {
		feed, err := s.Await(ctx, space, asked, heartbeat, stop)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the reader has gone: so ends every stream
		case err != nil:
			return err
		}
		if err := tell(feed.Changes); err != nil {
			return err
		}
		asked.Since = feed.Next
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// Find returns those of the records with the given ids that are here and for peers, and the ids of which there is none. Who asks for
// more than an answer holds is told to ask for fewer.
func (s *Service) Find(ctx context.Context, space string, ids []string) (found []Change, missing []string, err error) {
	var records []record.Record
	size := 0
	for some := range slices.Chunk(ids, together) {
		more, err := s.Records.Find(ctx, space, some)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range more {
			if size += len(r.Body); size > maxFound {
				return nil, nil, fault.New(fault.TooLarge, "these records are larger than %d bytes together: ask for fewer", maxFound)
			}
		}
		records = append(records, more...)
	}
	records = slices.DeleteFunc(records, func(r record.Record) bool { return record.Reserved(r.Thread) })
	known := map[string]bool{}
	for _, r := range records {
		known[r.ID] = true
	}
	for _, id := range ids {
		if !known[id] {
			missing, known[id] = append(missing, id), true
		}
	}
	return s.sign(space, records), missing, nil
}
