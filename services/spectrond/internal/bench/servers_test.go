package bench_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

const contextID = "bench"

var serviceSecret = strings.Repeat("s", 40)

// generous is an authority in memory that accepts every key: it costs a verifier nothing but the asking.
type generous struct {
	// asked is the verdict on the key that is being asked about, which a digest does not tell.
	asked atomic.Pointer[introspection.Verdict]
}

func (g *generous) Introspect(_ context.Context, request introspection.Request) (introspection.Response, error) {
	answer := introspection.Response{Verdicts: make([]introspection.Verdict, len(request.Digests))}
	for i := range request.Digests {
		answer.Verdicts[i] = *g.asked.Load()
	}
	return answer, nil
}

// verdictOn accepts a key. A hundred keys share a principal, and ten principals a context. Nothing else is shared, as when it was
// read from the wire.
func verdictOn(id string, number int) introspection.Verdict {
	tenant := contextID + strconv.Itoa(number/1000)
	return introspection.Verdict{
		Active: true, Context: tenant, Incarnation: tenant + ".1", KeyID: strings.Clone(id), KeyName: fmt.Sprintf("key %d", number),
		Principal: &caller.Principal{ID: "p" + strconv.Itoa(number/100), Kind: caller.Service, Grants: grant.All()},
	}
}

func (*generous) Renew(context.Context, introspection.Renewal) (introspection.Lease, error) {
	return introspection.Lease{Authority: "a", TTLMicros: time.Hour.Microseconds()}, nil
}

func (*generous) Watch(ctx context.Context, _ string, _ int64, fn func(introspection.Event) error) error {
	if err := fn(introspection.Event{Authority: "a", Reset: true}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (*generous) Report(context.Context, introspection.Uses) error { return nil }

// credential makes one of a number, with the verdict on it.
type credential func(tb testing.TB, number int) (text string, _ introspection.Verdict)

func aKey(tb testing.TB, number int) (text string, _ introspection.Verdict) {
	tb.Helper()
	key := mint(tb)
	return key.Reveal(), verdictOn(key.ID(), number)
}

// aToken makes a token. A hundred share an account, as so many keys share a principal.
func aToken(tb testing.TB, number int) (text string, _ introspection.Verdict) {
	tb.Helper()
	account := "sa_" + strings.NewReplacer("0", "a", "1", "b", "8", "c", "9", "d").Replace(fmt.Sprintf("%016d", number/100))
	token, err := apikey.MintToken("prod", account)
	if err != nil {
		tb.Fatal(err)
	}
	verdict := verdictOn(token.ID(), number)
	verdict.KeyName, verdict.KeyGrants = verdict.KeyID, grant.OfScopes(grant.RecordsRead, grant.RecordsWrite)
	verdict.Principal = &caller.Principal{
		ID: account, Kind: caller.Service, Grants: grant.Map{}, ServiceAccount: &caller.ServiceAccount{Actors: []string{"did:sync:svc:bench"}},
	}
	return token.Reveal(), verdict
}

// filled returns a verifier that remembers n keys, and these.
func filled(tb testing.TB, n int, issue credential) (*verifier.Verifier, []string) {
	tb.Helper()
	g := new(generous)
	v, err := verifier.New(verifier.Config{Authority: g, MaxKeys: n, Reread: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	await(tb, func() bool { return v.Stats().LeaseValid })
	keys := make([]string, n)
	for i := range keys {
		text, verdict := issue(tb, i)
		keys[i] = text
		g.asked.Store(&verdict)
		if _, err := v.Verify(tb.Context(), text); err != nil {
			tb.Fatal(err)
		}
	}
	return v, keys
}

func await(tb testing.TB, done func() bool) {
	tb.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			tb.Fatal("it does not begin")
		}
	}
}

// keyManager is a real one, bootstrapped, on HTTP.
type keyManager struct {
	url        string
	management *client.Management
}

func startKeyManager(t *testing.T, connection string) keyManager {
	t.Helper()
	ctx := t.Context()
	db, err := database.Open(ctx, connection, "control")
	if err != nil {
		t.Fatal(err)
	}
	migrations, err := keymanager.Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(ctx, db, migrations); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := telemetry.NewLogger(t.Output(), "error", "text", apikey.Redact)
	if err != nil {
		t.Fatal(err)
	}
	service, err := keymanager.Open(ctx, keymanager.Config{
		ConnectionString: settings.Secret(connection), Pepper: settings.Secret(serviceSecret),
		ServiceSecret: settings.Secret(serviceSecret), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	management, first := mint(t), mint(t)
	err = service.Bootstrap(ctx, introspection.Enrolment{
		Attempt: apikey.NewID(), ContextID: contextID,
		Management: introspection.Enrol(management), Context: introspection.Enrol(first),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	operator, err := client.NewManagement(client.Config{URL: server.URL, APIKey: client.APIKey(management.Reveal())})
	if err != nil {
		t.Fatal(err)
	}
	return keyManager{server.URL, operator}
}

func mint(tb testing.TB) apikey.Key {
	tb.Helper()
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// asker returns a client of the key manager's internal API.
func (k keyManager) asker(t *testing.T) *authority.Client {
	t.Helper()
	asker, err := authority.New(authority.Config{URL: k.url, ServiceSecret: []byte(serviceSecret), Subject: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	return asker
}

// cut is an authority behind a link that can be cut. With noLease it only answers questions.
type cut struct {
	*authority.Client
	noLease bool
	gone    atomic.Bool
}

var errCut = errors.New("cut")

func (c *cut) Renew(ctx context.Context, renewal introspection.Renewal) (introspection.Lease, error) {
	if c.noLease || c.gone.Load() {
		return introspection.Lease{}, errCut
	}
	return c.Client.Renew(ctx, renewal)
}

func (c *cut) Watch(ctx context.Context, identity string, after int64, fn func(introspection.Event) error) error {
	if c.noLease || c.gone.Load() {
		return errCut
	}
	return c.Client.Watch(ctx, identity, after, func(e introspection.Event) error {
		if c.gone.Load() {
			return errCut
		}
		return fn(e)
	})
}

// redis is a Redis server and connections to it. Its protocol is simple enough for one command.
type redis struct{ idle chan *redisConn }

type redisConn struct {
	net.Conn
	in *bufio.Reader
}

// startRedis returns nil where there is no server to start.
func startRedis(t *testing.T) *redis {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	r := &redis{idle: make(chan *redisConn, clients)}
	for len(r.idle) < cap(r.idle) {
		var conn net.Conn
		await(t, func() bool {
			conn, err = net.Dial("tcp", address)
			return err == nil
		})
		r.idle <- &redisConn{conn, bufio.NewReader(conn)}
	}
	return r
}

func (r *redis) set(t *testing.T, digest string, verdict []byte) {
	t.Helper()
	if answer, err := r.do("SET", "key:"+digest, string(verdict)); err != nil || string(answer) != "OK" {
		t.Fatalf("SET answered %q: %v", answer, err)
	}
}

func (r *redis) get(digest string) ([]byte, error) { return r.do("GET", "key:"+digest) }

// do sends a command that is answered with one string.
func (r *redis) do(words ...string) ([]byte, error) {
	command := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		command = fmt.Appendf(command, "$%d\r\n%s\r\n", len(word), word)
	}
	conn := <-r.idle
	defer func() { r.idle <- conn }()
	if _, err := conn.Write(command); err != nil {
		return nil, err
	}
	line, err := conn.in.ReadString('\n')
	if err != nil || len(line) < 3 {
		return nil, err
	}
	switch text := line[1 : len(line)-2]; line[0] {
	case '+':
		return []byte(text), nil
	case '$':
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, errors.New("there is no such key")
		}
		value := make([]byte, n+2)
		_, err = io.ReadFull(conn.in, value)
		return value[:n], err
	default:
		return nil, errors.New(text)
	}
}
