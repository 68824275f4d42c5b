package trace_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// database stores rows, once it is let.
type database struct {
	mu      sync.Mutex // guards the following fields
	rows    []trace.Row
	batches int

	open chan struct{} // closed when it works
	err  error
}

func (d *database) AddTraces(ctx context.Context, rows []trace.Row) error {
	select {
	case <-d.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = append(d.rows, rows...)
	d.batches++
	return d.err
}

func (d *database) Traces(context.Context, string, trace.Filter) ([]trace.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []trace.Entry
	for _, row := range d.rows {
		found = append(found, row.Entry)
	}
	return found, nil
}

func (*database) TraceStats(context.Context, string, time.Time) (trace.Stats, error) {
	return trace.Stats{}, nil
}

func open() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

var who = &caller.Caller{
	Incarnation: "c", KeyID: "k", Principal: &caller.Principal{ID: "p"}, OnBehalfOf: &caller.Principal{ID: "o"},
}

func log(db *database, out *bytes.Buffer) *trace.Log {
	return trace.New(trace.Config{
		Store: db, TraceID: func(context.Context) string { return "t" }, Now: time.Now, Log: slog.New(slog.NewTextHandler(out, nil)),
	})
}

func TestARowIsThereWhenItsRequestIsAnswered(t *testing.T) {
	t.Parallel()
	db := &database{open: open()}
	l := log(db, &bytes.Buffer{})
	defer l.Close()
	l.Keep(t.Context(), who, trace.Entry{Kind: trace.Retrieval, Query: "a\x00b" + strings.Repeat("é", 1<<20)})
	db.mu.Lock()
	defer db.mu.Unlock()
	if len(db.rows) != 1 {
		t.Fatalf("%d rows", len(db.rows))
	}
	row := db.rows[0]
	if row.Incarnation != "c" || row.ID == "" || row.TraceID != "t" || row.Principal != "p" || row.OnBehalfOf != "o" || row.Key != "k" || row.At.IsZero() {
		t.Errorf("row %+v", row)
	}
	if !strings.HasPrefix(row.Query, "abé") || len(row.Query) > 32<<10 {
		t.Errorf("a query of %d bytes", len(row.Query))
	}
}

func TestADatabaseThatStandsStillHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, out := &database{open: make(chan struct{})}, &bytes.Buffer{}
		l := log(db, out)
		began := time.Now()
		l.Keep(t.Context(), who, trace.Entry{})
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Errorf("the reader waited %s", took)
		}
		const readers = 5000 // more than may wait
		var all sync.WaitGroup
		for range readers {
			all.Go(func() { l.Keep(t.Context(), who, trace.Entry{}) })
		}
		all.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the readers waited %s", took)
		}
		close(db.open)
		l.Close()
		if n := len(db.rows); n < 4096 || n > readers || db.batches > 20 {
			t.Errorf("%d rows in %d batches", n, db.batches)
		}
		if !strings.Contains(out.String(), "dropped") {
			t.Error("what was dropped is not in the log")
		}
	})
}

func TestAReaderFindsWhatTheDatabaseTookItsTimeFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &database{open: make(chan struct{})}
		l := log(db, &bytes.Buffer{})
		defer l.Close()
		l.Keep(t.Context(), who, trace.Entry{Kind: trace.Retrieval})
		time.AfterFunc(2*time.Second, func() { close(db.open) })
		if found, err := l.Get(t.Context(), who, "t"); err != nil || found.Kind != trace.Retrieval {
			t.Errorf("%+v, %v", found, err)
		}
		began := time.Now()
		if found, err := l.List(t.Context(), who, trace.Filter{}); err != nil || len(found) != 1 || time.Since(began) != 0 {
			t.Errorf("nothing waits, and a reader waited %s: %v", time.Since(began), err)
		}
	})
}

func TestARequestThatIsGoneWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &database{open: make(chan struct{})}
		l := log(db, &bytes.Buffer{})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		l.Keep(gone, who, trace.Entry{})
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited %s", took)
		}
		close(db.open)
		l.Close()
		if len(db.rows) != 1 {
			t.Errorf("%d rows", len(db.rows))
		}
	})
}

func TestTroubleWithTheDatabaseIsLoggedAndPasses(t *testing.T) {
	t.Parallel()
	out := &bytes.Buffer{}
	l := log(&database{open: open(), err: errors.New("broken")}, out)
	l.Keep(t.Context(), who, trace.Entry{})
	l.Keep(t.Context(), who, trace.Entry{})
	l.Close()
	if strings.Count(out.String(), "broken") != 2 {
		t.Errorf("log: %s", out)
	}
}
