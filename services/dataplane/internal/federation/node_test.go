package federation_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/verifier"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

const (
	space  = "default-1"
	thread = "th_shared"
	// soon is longer than anything here takes, on a machine that has other work.
	soon = 60 * time.Second
)

// hasty is a timing with which a test does not wait for anything.
var hasty = federation.Timing{
	Beat: 20 * time.Millisecond, Lease: 2 * time.Second, Wait: 300 * time.Millisecond,
	MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
}

// tokens are those of a server, and whom they stand for.
type tokens struct {
	mu   sync.Mutex // guards the following field
	live map[string]bool
}

func (t *tokens) Check(_ context.Context, token string) (verifier.Verdict, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live[token] {
		return verifier.Verdict{}, fault.BadCredential()
	}
	return verifier.Verdict{Caller: &caller.Caller{
		Context: "default", Incarnation: space, KeyID: "k", Effective: grant.OfScopes(grant.FederationManage),
		Principal: &caller.Principal{ID: "sa", ServiceAccount: &caller.ServiceAccount{Actors: []string{"did:peer"}}},
	}}, nil
}

func (t *tokens) Recheck(ctx context.Context, token, _ string) (verifier.Verdict, error) {
	return t.Check(ctx, token)
}

func (t *tokens) set(token string, live bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live[token] = live
}

func newToken(t *testing.T) string {
	t.Helper()
	token, err := apikey.MintToken(apikey.DefaultEnv, apikey.NewAccountID())
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// node is a server with a store and an address of its own, which it keeps while it is stopped and started.
type node struct {
	t        *testing.T
	url      string // of the store
	identity *identity.Identity
	tokens   *tokens
	timing   federation.Timing
	network  http.RoundTripper // nil: as outside tests
	refuse   *atomic.Int64     // not nil: how many imports are still to fail
	log      *syncBuffer
	server   *httptest.Server

	mu   sync.RWMutex                                                    // guards the fields below
	live *life                                                           // nil while it is stopped
	link func(w http.ResponseWriter, r *http.Request, next http.Handler) // what comes between it and others; nil: nothing
}

// life is a node between a start and a stop.
type life struct {
	http.Handler
	records *record.Service
	shared  *federation.Service
	db      *database.DB
	rows    *store.Store
	end     context.CancelFunc
	running sync.WaitGroup
}

type syncBuffer struct {
	mu   sync.Mutex // guards the following field
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newNode(t *testing.T, url string) *node {
	t.Helper()
	id, err := identity.Open(filepath.Join(t.TempDir(), "id.pem"))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, url: url, identity: id, tokens: &tokens{live: map[string]bool{}}, timing: hasty, log: &syncBuffer{}}
	n.server = httptest.NewServer(n)
	t.Cleanup(n.server.Close)
	n.start()
	t.Cleanup(n.stop)
	return n
}

// ServeHTTP serves while the node is started, and breaks off connections while it is not.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.RLock()
	live, link := n.live, n.link
	n.mu.RUnlock()
	switch {
	case live == nil:
		panic(http.ErrAbortHandler)
	case link != nil:
		link(w, r, live)
	default:
		live.ServeHTTP(w, r)
	}
}

func (n *node) setLink(link func(http.ResponseWriter, *http.Request, http.Handler)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = link
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	// Not the test's context: that ends before what is cleaned up.
	db, err := database.Open(context.Background(), url, store.Schema)
	if err != nil {
		t.Fatal(err)
	}
	migrations, err := store.Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(context.Background(), db, migrations); err != nil {
		t.Fatal(err)
	}
	return db
}

// unlucky are records of which some cannot be stored.
type unlucky struct {
	*record.Service
	refuse *atomic.Int64
}

func (u unlucky) Import(ctx context.Context, space string, records []record.Foreign) ([]record.Outcome, error) {
	if u.refuse != nil && u.refuse.Add(-1) >= 0 {
		return nil, fault.New(fault.Unavailable, "the database does not answer")
	}
	return u.Service.Import(ctx, space, records)
}

type accounts struct{ spl.Accounts }

func (accounts) Standing(context.Context, string) (introspection.Standing, error) {
	return introspection.Standing{Context: "default", Incarnation: space, Accounts: 1, Active: 1}, nil
}

func (n *node) start() {
	n.t.Helper()
	db := open(n.t, n.url)
	rows := store.New(db)
	records := record.New(rows, time.Now, "default")
	sealer, err := seal.New(settings.Secret(strings.Repeat("s", seal.MinSecret)), "test")
	if err != nil {
		n.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	shared := federation.New(federation.Config{
		Store: rows, Records: unlucky{records, n.refuse}, Namespace: "default", Identity: n.identity, Sealer: sealer,
		Replica: fmt.Sprint(rand.Uint64()), Timing: n.timing, Transport: n.network, Now: time.Now, Log: log,
	})
	engine := web.NewEngine(web.Options{Log: slog.New(slog.DiscardHandler)})
	err = spl.Mount(engine, spl.Parts{
		Context: "default", Verifier: n.tokens, Accounts: accounts{}, Federation: shared, Identity: n.identity, Log: log,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	live := &life{Handler: web.Handler(engine), records: records, shared: shared, db: db, rows: rows, end: end}
	live.running.Go(func() { shared.Run(ctx) })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.live = live
}

// stop ends what runs, and takes no more requests; those in flight lose their database.
func (n *node) stop() {
	n.t.Helper()
	n.mu.Lock()
	live := n.live
	n.live = nil
	n.mu.Unlock()
	if live == nil {
		return
	}
	n.server.CloseClientConnections()
	live.end()
	live.running.Wait()
	if err := live.db.Close(); err != nil {
		n.t.Errorf("closing: %v", err)
	}
}

// now returns what runs; nil while the node is stopped.
func (n *node) now() *life {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.live
}

// pull makes the node pull the shared thread from another one.
func (n *node) pull(from *node) federation.Pair {
	n.t.Helper()
	token := newToken(n.t)
	from.tokens.set(token, true)
	pair, _, err := n.now().shared.Pair(n.t.Context(), space, federation.Draft{
		PeerDID: from.identity.DID(), PeerURL: from.server.URL, Thread: thread, PeerToken: settings.Secret(token),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return pair
}

// pair returns a pair as it is now.
func (n *node) pair(id string) federation.Pair {
	n.t.Helper()
	pair, err := n.now().shared.Get(n.t.Context(), space, id)
	if err != nil {
		n.t.Fatal(err)
	}
	return pair
}

// say appends a record and returns its id.
func (n *node) say(text string) string {
	n.t.Helper()
	id, err := n.now().say(n.t.Context(), thread, text)
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

func (l *life) say(ctx context.Context, in, text string) (id string, err error) {
	stored, _, err := l.records.Append(ctx, space, record.Draft{
		Content:   record.Content{Thread: in, Actor: "did:sync:user:alice", Act: record.Know, Body: fmt.Appendf(nil, `{"text":%q}`, text)},
		NextClock: true,
	})
	return stored.ID, err
}

// ids returns the ids of the shared thread in the order of (clock, id), which is the same on all servers that have the same records.
func (n *node) ids() (out []string) {
	n.t.Helper()
	err := n.now().records.Fold(n.t.Context(), space, thread, record.ByClock, func(r record.Record) error {
		out = append(out, r.ID)
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

func (n *node) has(ids ...string) func() bool {
	return func() bool {
		there := n.ids()
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(there, id) })
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
