package trace

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// queued is how many rows may wait. More than that means that the database has stopped; then rows are dropped.
	queued = 4096
	// together is how many rows one statement stores: what has come while the one before was busy.
	together = 256
	// patience is how long a request waits for its row, and writeTime how long the database may take for one.
	patience  = 250 * time.Millisecond
	writeTime = 5 * time.Second
	// maxQuery is the most bytes of a query that are kept.
	maxQuery = 32 << 10
)

// writer stores rows, many at once: one goroutine writes what all requests bring. A request waits until its row is there, so
// that it finds its own trace, but not for longer than a database that works would take.
type writer struct {
	store Store
	log   *slog.Logger
	rows  chan pending
	ended chan struct{}
	lost  atomic.Int64
}

// pending is a row that waits, or nil for a reader; done is closed when it has been stored or given up, and all before it.
type pending struct {
	row  *Row
	done chan struct{}
}

func newWriter(store Store, log *slog.Logger) *writer {
	w := &writer{store: store, log: log, rows: make(chan pending, queued), ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) write(ctx context.Context, row Row) {
	if !w.await(ctx, &row, patience) {
		w.lost.Add(1)
		w.log.WarnContext(ctx, "a trace was dropped: too many wait to be stored")
	}
}

// settle waits for the rows that were brought before, for who is about to read: a request whose row the busy database took longer for
// than patience has been answered, and its caller may look for it.
func (w *writer) settle(ctx context.Context) { w.await(ctx, nil, writeTime) }

// await waits until row, or all that is before a reader, is stored or given up, and no longer than that. It reports false when too many wait.
func (w *writer) await(ctx context.Context, row *Row, atMost time.Duration) bool {
	p := pending{row, make(chan struct{})}
	select {
	case w.rows <- p:
	default:
		return false
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

func (w *writer) run() {
	defer close(w.ended)
	for first := range w.rows {
		batch := []pending{first}
		for len(batch) < together && len(w.rows) > 0 { // nobody else takes from it
			batch = append(batch, <-w.rows)
		}
		w.flush(batch)
	}
}

func (w *writer) flush(batch []pending) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	rows := make([]Row, 0, len(batch))
	for _, p := range batch {
		if p.row != nil {
			rows = append(rows, *p.row)
		}
	}
	if len(rows) > 0 {
		if err := w.store.AddTraces(ctx, rows); err != nil {
			w.lost.Add(int64(len(rows)))
			w.log.WarnContext(ctx, "traces could not be stored", slog.Int("rows", len(rows)), slog.Any("error", err))
		}
	}
	for _, p := range batch {
		close(p.done)
	}
}

func (w *writer) close() {
	close(w.rows)
	<-w.ended
}

// newID returns an id for a row. Later ids sort behind earlier ones.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// storable returns text without what no database holds, and not too long.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text[:min(len(text), maxQuery)], ""), "\x00", "")
}
