package faultproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
)

// shortly is long enough to tell that nothing comes.
const shortly = 100 * time.Millisecond

// echo returns a proxy before a server that sends back each line.
func echo(t *testing.T) (*faultproxy.Proxy, func() *conn) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	proxy := listen(t, listener.Addr().String())
	return proxy, func() *conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", proxy.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return &conn{t, c, bufio.NewReader(c)}
	}
}

func listen(t *testing.T, backend string) *faultproxy.Proxy {
	t.Helper()
	proxy, err := faultproxy.Listen(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

type conn struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func (c *conn) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hear expects a line within the time limit, or nothing when line is empty.
func (c *conn) hear(line string, limit time.Duration) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(limit))
	got, err := c.lines.ReadString('\n')
	if strings.TrimSuffix(got, "\n") != line || (line == "") != (err != nil) {
		c.t.Fatalf("heard %q, %v; want %q", got, err, line)
	}
}

func TestStallHoldsBytesBackUntilHealed(t *testing.T) {
	t.Parallel()
	for _, direction := range []faultproxy.Direction{faultproxy.Both, faultproxy.ToServer, faultproxy.ToClient} {
		proxy, dial := echo(t)
		before := dial()
		before.say("a")
		before.hear("a", time.Minute)
		heal := proxy.Break(faultproxy.Fault{Kind: faultproxy.Stall, Direction: direction})
		during := dial()
		before.say("b")
		during.say("c")
		before.hear("", shortly)
		during.hear("", shortly)
		heal()
		before.hear("b", time.Minute)
		during.hear("c", time.Minute)
	}
}

func TestDelayComesLateAndInOrder(t *testing.T) {
	t.Parallel()
	proxy, dial := echo(t)
	c := dial()
	proxy.Break(faultproxy.Fault{Kind: faultproxy.Delay, Delay: shortly, Direction: faultproxy.ToClient})
	start := time.Now()
	c.say("a")
	c.say("b")
	c.hear("a", time.Minute)
	c.hear("b", time.Minute)
	if took := time.Since(start); took < shortly {
		t.Errorf("came after %v, want %v at least", took, shortly)
	}
}

func TestCutResetsOldConnectionsAndNewOnes(t *testing.T) {
	t.Parallel()
	proxy, dial := echo(t)
	before := dial()
	before.say("a")
	before.hear("a", time.Minute)
	heal := proxy.Break(faultproxy.Fault{Kind: faultproxy.Cut})
	before.hear("", time.Minute)
	if during, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", proxy.Address()); err == nil {
		if _, err := during.Read(make([]byte, 1)); err == nil {
			t.Error("a connection was made")
		}
		_ = during.Close()
	}
	heal()
	after := dial()
	after.say("b")
	after.hear("b", time.Minute)
}

func TestCutOfAnswersLetsTheRequestThrough(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.URL.Path }))
	t.Cleanup(server.Close)
	proxy := listen(t, server.Listener.Addr().String())
	heal := proxy.Break(faultproxy.Fault{Kind: faultproxy.Cut, Direction: faultproxy.ToClient})
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	for _, path := range []string{"/lost", "/found"} {
		res, err := client.Post("http://"+proxy.Address()+path, "text/plain", nil)
		if (err == nil) != (path == "/found") {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
		if got := <-arrived; got != path {
			t.Errorf("%s arrived, want %s", got, path)
		}
		heal()
	}
}

func TestFaultConfinedToAPath(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	t.Cleanup(server.Close)
	proxy := listen(t, server.Listener.Addr().String())
	proxy.Break(faultproxy.Fault{Kind: faultproxy.Stall, Direction: faultproxy.ToClient, Path: "/held"})
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	get := func(path string, limit time.Duration) error {
		client := *client
		client.Timeout = limit
		res, err := client.Get("http://" + proxy.Address() + path)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return err
	}
	// Twice, so that the second request finds a connection that was used for another path.
	for range 2 {
		if err := get("/free", time.Minute); err != nil {
			t.Error(err)
		}
		if err := get("/held/back?q", shortly); err == nil {
			t.Error("what is stalled was answered")
		}
	}
}

func TestTheEndOfEitherSideReachesTheOther(t *testing.T) {
	t.Parallel()
	_, dial := echo(t)
	c := dial()
	c.say("a")
	half, ok := c.Conn.(*net.TCPConn)
	if !ok {
		t.Fatal("not a TCP connection")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.hear("a", time.Minute)
	if _, err := c.lines.ReadByte(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}
