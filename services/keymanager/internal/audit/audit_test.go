package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// memory is a store that keeps what it is given.
type memory struct {
	mu       sync.Mutex // guards what follows
	denials  []audit.Denial
	unsealed int64
	sealed   []int
	broken   bool
	head     auditchain.Head
}

var errBroken = errors.New("broken")

func (m *memory) SealAudit(_ context.Context, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(limit, int(m.unsealed))
	m.unsealed -= int64(n)
	m.sealed = append(m.sealed, n)
	return n, nil
}

func (m *memory) AuditStanding(context.Context) (audit.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return audit.Standing{}, errBroken
	}
	return audit.Standing{Head: 7, Unsealed: m.unsealed, Lag: time.Second}, nil
}

func (m *memory) RecordDenials(_ context.Context, denials []audit.Denial) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	m.denials = append(m.denials, denials...)
	return nil
}

func (m *memory) AuditEntries(context.Context, audit.Query) (audit.Page, error) {
	if m.broken {
		return audit.Page{}, errBroken
	}
	return audit.Page{Head: m.head}, nil
}

// take returns what has been written, and forgets it.
func (m *memory) take() []audit.Denial {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.denials
	m.denials = nil
	return taken
}

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// running runs a sealer until the test ends.
func running(t *testing.T, m *memory, watch audit.Watch) (d *audit.Denials, end func()) {
	t.Helper()
	d = audit.NewDenials(time.Now, func(audit.Reason) {})
	s := audit.NewSealer(m, d, slog.New(slog.DiscardHandler), watch)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { s.Run(ctx) })
	return d, func() { cancel(); wait.Wait() }
}

func quiet() audit.Watch {
	return audit.Watch{Sealed: func(int) {}, Standing: func(audit.Standing) {}, Failed: func() {}}
}

func denial(remote string) audit.Denial {
	return audit.Denial{Reason: audit.BadCredential, Status: 401, Origin: audit.Origin{Actor: audit.Unknown, Remote: remote, TraceID: "t"}, ShownKeyID: "k"}
}

// The first of a sort is written within a second, the rest after a minute, with their number and nothing of the first; then it
// begins anew.
func TestDenialsAreCountedByTheMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		d, end := running(t, m, quiet())
		defer end()
		for range 5 {
			d.Note(denial("192.0.2.1"))
		}
		d.Note(denial("192.0.2.2"))
		time.Sleep(time.Second)
		if got := m.take(); len(got) != 2 || got[0].Count != 1 || got[0].ShownKeyID != "k" || got[0].Origin.TraceID != "t" {
			t.Errorf("at once: %+v", got)
		}
		time.Sleep(time.Minute)
		want := []audit.Denial{{Reason: audit.BadCredential, Status: 401, Origin: audit.Origin{Actor: audit.Unknown, Remote: "192.0.2.1"}, Count: 4}}
		if diff := cmp.Diff(want, m.take()); diff != "" {
			t.Errorf("after a minute (-want +got):\n%s", diff)
		}
		d.Note(denial("192.0.2.2"))
		d.Note(denial("192.0.2.2"))
		end()
		if got := m.take(); len(got) != 2 || got[0].Count != 1 || got[1].Count != 1 {
			t.Errorf("at the end: %+v", got)
		}
	})
}

// However many ask from however many addresses, a replica writes few entries a minute, and counts all.
func TestAFloodCannotFillTheTable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		d, end := running(t, m, quiet())
		const minutes, each = 3, 20_000
		for range minutes {
			for i := range each {
				d.Note(denial(fmt.Sprint("2001:db8::", i)))
			}
			time.Sleep(time.Minute + time.Second)
		}
		end()
		got := m.take()
		var count int64
		for _, denial := range got {
			count += denial.Count
		}
		if len(got) > minutes*202 || count != minutes*each || !slices.ContainsFunc(got, func(d audit.Denial) bool { return d.Others && d.Count > each/2 }) {
			t.Errorf("%d entries, %d refusals of %d", len(got), count, minutes*each)
		}
	})
}

// While the database is away refusals wait, but not without bound, and each outage is told once.
func TestDenialsOutlastAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{broken: true}
		failures := 0
		watch := quiet()
		watch.Failed = func() { failures++ }
		d, end := running(t, m, watch)
		d.Note(denial("192.0.2.1"))
		time.Sleep(10 * time.Second)
		m.set(func() { m.broken = false })
		time.Sleep(time.Second)
		if got := m.take(); len(got) != 1 || failures < 10 {
			t.Errorf("%+v after %d failures", got, failures)
		}
		end()
	})
}

// A backlog is sealed at once, batch by batch; the end of a process does not wait for all of it.
func TestABacklogIsSealedWithoutPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{unsealed: 1200}
		var last audit.Standing
		watch := quiet()
		watch.Standing = func(s audit.Standing) { m.set(func() { last = s }) }
		_, end := running(t, m, watch)
		time.Sleep(600 * time.Millisecond)
		m.set(func() {
			if diff := cmp.Diff([]int{500, 500, 200}, m.sealed); diff != "" || last.Head != 1207 || last.Unsealed != 0 || last.Lag != 0 {
				t.Errorf("%+v (-want +got):\n%s", last, diff)
			}
			m.sealed, m.unsealed = nil, 1200
		})
		end()
		if diff := cmp.Diff([]int{500}, m.sealed); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
	})
}

// The head is posted as JSON; what goes wrong is told without the URL, and redirects are not followed.
func TestTheHeadIsPublished(t *testing.T) {
	t.Parallel()
	m := &memory{head: auditchain.Head{Seq: 42, Hash: auditchain.Hash{1, 2}}}
	var bodies []string
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.URL.Query().Get("token") != "hush" {
			t.Errorf("%s %v %v", r.Method, r.Header, err)
		}
		bodies = append(bodies, string(body))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	publisher := audit.NewPublisher(m, server.URL+"/heads?token=hush", time.Minute, slog.Default(), func(bool) {})
	if err := publisher.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Seq        int64
		Hash, Head string
	}
	if err := json.Unmarshal([]byte(bodies[0]), &body); err != nil || body.Seq != 42 || body.Head != m.head.String() || body.Hash != m.head.Hash.String() {
		t.Errorf("%s, %v", bodies[0], err)
	}
	for _, status = range []int{http.StatusFound, http.StatusInternalServerError} {
		if err := publisher.Push(t.Context()); err == nil {
			t.Errorf("%d is taken for a success", status)
		}
	}
	server.Close()
	if err := publisher.Push(t.Context()); err == nil || strings.Contains(err.Error(), "hush") {
		t.Error("a push to nobody succeeds, or tells the URL")
	}
	if len(bodies) != 3 {
		t.Errorf("%d requests", len(bodies))
	}
}

func TestTheHeadIsPublishedAgainAndAgain(t *testing.T) {
	t.Parallel()
	m := &memory{broken: true}
	ctx, cancel := context.WithCancel(t.Context())
	var results []bool
	publisher := audit.NewPublisher(m, "http://127.0.0.1:1", time.Millisecond, slog.New(slog.DiscardHandler), func(ok bool) {
		if results = append(results, ok); len(results) == 3 {
			cancel()
		}
	})
	publisher.Run(ctx)
	if len(results) < 3 || slices.Contains(results, true) {
		t.Errorf("%v", results)
	}
}
