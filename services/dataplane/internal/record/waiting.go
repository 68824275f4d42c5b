package record

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// lookout is how often other replicas are looked out for: what they store wakes who waits here within about this time.
const lookout = time.Second

// waiting wakes those who wait for records.
type waiting struct {
	mu     sync.Mutex // guards the fields below
	spaces map[string]*change
}

// change is the next change of a space.
type change struct {
	// happened is closed by it; nil while nobody waits.
	happened chan struct{}
	// seen is the number of the last record that has woken somebody; negative before the first look.
	seen int64
}

func newWaiting() *waiting { return &waiting{spaces: map[string]*change{}} }

// Changed returns a channel that is closed when there may be records in space that were not there before the call. Whoever
// waits asks for the channel first, then reads, then waits.
func (s *Service) Changed(space string) <-chan struct{} {
	w := s.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.spaces[space]
	if c == nil {
		c = &change{seen: -1}
		w.spaces[space] = c
	}
	if c.happened == nil {
		c.happened = make(chan struct{})
	}
	return c.happened
}

// wake tells those who wait for records of space. seq is the number of the last one that is known to be there, or 0.
func (w *waiting) wake(space string, seq int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.spaces[space]; c != nil {
		c.wakeLocked(seq)
	}
}

func (c *change) wakeLocked(seq int64) {
	// Numbers become visible in their order, so those before this one have been there as well.
	c.seen = max(c.seen, seq)
	if c.happened != nil {
		close(c.happened)
		c.happened = nil
	}
}

// waitedFor returns the spaces that somebody waits for.
func (w *waiting) waitedFor() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for space, c := range w.spaces {
		if c.happened != nil {
			out = append(out, space)
		}
	}
	return out
}

// look wakes those who wait for records of space if it has others than when it was last looked at.
func (w *waiting) look(space string, last int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.spaces[space]; c != nil && c.seen != last {
		c.seen = last
		c.wakeLocked(last)
	}
}

// Watch looks, until ctx ends, for records that other replicas have stored, and wakes those who wait for them. While the
// database does not answer, nobody is woken.
func (s *Service) Watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(lookout)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			log.DebugContext(ctx, "looking for new records failed, will be tried again", slog.String("error", err.Error()))
		}
	}
}

// Look looks once for what [Service.Watch] looks for.
func (s *Service) Look(ctx context.Context) error {
	for _, space := range s.waiting.waitedFor() {
		last, err := s.store.LastSeq(ctx, space)
		if err != nil {
			return err
		}
		s.waiting.look(space, last)
	}
	return nil
}
