package revision

import (
	"context"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

const (
	// poll is how often a feed looks although nobody has told it to.
	poll = 250 * time.Millisecond
	// kept is how many revisions a feed holds in memory for its streams; a stream that lags further reads the database.
	kept = 1024
	// retention is how long the database keeps revisions for verifiers that come back.
	retention = time.Hour
	// useRetention is how long the database keeps more than the last use of each key: uses may be reported as late as this.
	useRetention = 24 * time.Hour
	// pruneEvery is how often what is older is removed.
	pruneEvery = 5 * time.Minute
	// reconnect is the pause before listening again after the connection to the database was lost.
	reconnect = 200 * time.Millisecond
)

// Feed follows the revisions of all replicas and hands them to streams.
type Feed struct {
	store Store
	looks chan struct{}

	mu     sync.Mutex // guards the following fields
	recent []Numbered // in order, without gaps
	newest int64      // 0 until the first look
	more   chan struct{}
}

// NewFeed returns a feed of store's revisions. It stands still until [Feed.Run].
func NewFeed(store Store) *Feed {
	return &Feed{store: store, looks: make(chan struct{}, 1), more: make(chan struct{})}
}

// Reach makes the feed look for revisions at once, unless it has the given one already; 0 is one that it never has.
func (f *Feed) Reach(revision int64) {
	f.mu.Lock()
	has := 0 < revision && revision <= f.newest
	f.mu.Unlock()
	if has {
		return
	}
	select {
	case f.looks <- struct{}{}:
	default:
	}
}

// Run keeps the feed current until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	var listener sync.WaitGroup
	defer listener.Wait()
	listener.Go(func() {
		for ctx.Err() == nil {
			_ = f.store.Listen(ctx, f.Reach) // the poll stands in while the connection is lost
			rest(ctx, reconnect)
		}
	})
	tick := time.NewTicker(poll)
	defer tick.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		limited(ctx, f.load)
		select {
		case <-ctx.Done():
			return
		case <-f.looks:
		case <-tick.C:
		case <-prune.C:
			limited(ctx, func(ctx context.Context) {
				_ = f.store.Prune(ctx, retention, useRetention) // tried again at the next tick
			})
		}
	}
}

// limited does work for no longer than patience.
func limited(ctx context.Context, work func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	work(ctx)
}

func rest(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// load reads the revisions that are new and wakes the streams. What cannot be read now is read at the next look.
func (f *Feed) load(ctx context.Context) {
	for {
		f.mu.Lock()
		newest := f.newest
		f.mu.Unlock()
		if newest == 0 {
			first, err := f.store.Newest(ctx)
			if err != nil || first == 0 {
				return
			}
			f.publish(nil, first)
			continue
		}
		// The newest one again: where it is gone, the database went back in time, or this feed has slept for too long.
		read, whole, err := f.store.Revisions(ctx, newest-1, kept+1)
		if err != nil {
			return
		}
		if len(read) == 0 || !whole {
			f.publish(nil, 0)
			continue
		}
		if len(read) == 1 {
			return
		}
		f.publish(read[1:], read[len(read)-1].Revision)
		if len(read) <= kept {
			return // that was all
		}
	}
}

func (f *Feed) publish(fresh []Numbered, newest int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh == nil {
		f.recent = nil
	}
	f.recent = append(f.recent, fresh...)
	if extra := len(f.recent) - kept; extra > 0 {
		f.recent = append([]Numbered(nil), f.recent[extra:]...)
	}
	f.newest = newest
	close(f.more)
	f.more = make(chan struct{})
}

// since returns revisions after after, if they are in memory, and a channel that is closed when there are more.
func (f *Feed) since(after int64) (fresh []Numbered, ok bool, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if after >= f.newest {
		return nil, true, f.more
	}
	first := f.newest - int64(len(f.recent)) + 1
	if after+1 < first {
		return nil, false, f.more
	}
	return append([]Numbered(nil), f.recent[after+1-first:]...), true, f.more
}

// keepAlive is how often a stream that has nothing to say says that it lives.
const keepAlive = 500 * time.Millisecond

// Stream sends the revisions after after to send, in order, until ctx ends or send fails. The first event tells the
// authority and where the stream begins: at after, or, when authority is another one or the history between is gone, with
// a reset. An empty batch is a sign of life.
func (f *Feed) Stream(ctx context.Context, authority string, after int64, send func([]introspection.Event) error) error {
	first, err := f.begin(ctx, authority, after)
	if err != nil {
		return err
	}
	if err := send([]introspection.Event{first}); err != nil {
		return err
	}
	cursor := first.Revision
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		fresh, ok, more := f.since(cursor)
		if !ok {
			var whole bool
			if fresh, whole, err = f.store.Revisions(ctx, cursor, kept); err != nil || !whole {
				return err // the verifier comes back and is told to reset
			}
		}
		if len(fresh) > 0 {
			events := make([]introspection.Event, len(fresh))
			for i, n := range fresh {
				events[i] = n.Event()
			}
			if err := send(events); err != nil {
				return err
			}
			cursor = fresh[len(fresh)-1].Revision
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case <-tick.C:
			if err := send(nil); err != nil {
				return err
			}
		}
	}
}

func (f *Feed) begin(ctx context.Context, authority string, after int64) (introspection.Event, error) {
	identity, err := f.store.Authority(ctx)
	if err != nil {
		return introspection.Event{}, err
	}
	newest, err := f.store.Newest(ctx)
	if err != nil {
		return introspection.Event{}, err
	}
	first := introspection.Event{Authority: identity, Revision: after}
	whole := authority == identity && after >= 0 && after <= newest
	if whole && after < newest {
		if _, whole, err = f.store.Revisions(ctx, after, 1); err != nil {
			return introspection.Event{}, err
		}
	}
	if !whole {
		first.Reset, first.Revision = true, newest
	}
	// After the revision: what is imported later the verifier hears of on the stream.
	first.Imported, err = f.store.Imported(ctx)
	return first, err
}
