package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/chassis/web"
)

// clientSeen returns the client's address as a server with trusted proxies sees it, and its log.
func clientSeen(tb testing.TB, trusted []netip.Prefix, peer string, lines ...string) (netip.Addr, string) {
	tb.Helper()
	var log strings.Builder
	engine := web.NewEngine(web.Options{TrustedProxies: trusted, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	var seen netip.Addr
	engine.GET("/", func(c *gin.Context) { seen = web.ClientAddr(c.Request) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	r.Header["X-Forwarded-For"] = lines
	web.Handler(engine).ServeHTTP(httptest.NewRecorder(), r)
	return seen, log.String()
}

func networks(tb testing.TB, texts ...string) []netip.Prefix {
	tb.Helper()
	out, err := network.ParseAll(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	proxies := networks(t, "10.0.0.0/8", "2001:db8::/32")
	for name, tt := range map[string]struct {
		peer  string
		lines []string
		want  string
	}{
		"no proxy":                         {"203.0.113.9:1234", nil, "203.0.113.9"},
		"a stranger's word":                {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"a proxy's word":                   {"10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"a proxy that says nothing":        {"10.0.0.1:1234", nil, "10.0.0.1"},
		"what the client wrote before":     {"10.0.0.1:1234", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"several proxies":                  {"10.0.0.1:1234", []string{"198.51.100.1, 203.0.113.9, 10.0.0.3,10.0.0.2"}, "203.0.113.9"},
		"several lines":                    {"10.0.0.1:1234", []string{"198.51.100.1", "203.0.113.9, 10.0.0.3", "10.0.0.2"}, "203.0.113.9"},
		"a line of the client's in front":  {"10.0.0.1:1234", []string{"10.0.0.9", "203.0.113.9"}, "203.0.113.9"},
		"all are trusted":                  {"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"IPv6":                             {"[2001:db8::1]:443", []string{"2a00::7, 2001:db8::2"}, "2a00::7"},
		"IPv6 in brackets, with a port":    {"[2001:db8::1]:443", []string{"[2a00::7]:5000"}, "2a00::7"},
		"IPv6 in brackets":                 {"10.0.0.1:1234", []string{"[2a00::7]"}, "2a00::7"},
		"with a port":                      {"10.0.0.1:1234", []string{"203.0.113.9:5000"}, "203.0.113.9"},
		"IPv4 as IPv6":                     {"[::ffff:10.0.0.1]:1234", []string{"::ffff:203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9"},
		"with a zone":                      {"[fe80::1%eth0]:1234", []string{"203.0.113.9"}, "fe80::1"},
		"garbage from a proxy":             {"10.0.0.1:1234", []string{"203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		"garbage of the client's in front": {"10.0.0.1:1234", []string{"',;\x00, , 203.0.113.9"}, "203.0.113.9"},
		"an empty element":                 {"10.0.0.1:1234", []string{"203.0.113.9,"}, "10.0.0.1"},
		"an empty line":                    {"10.0.0.1:1234", []string{"203.0.113.9", ""}, "10.0.0.1"},
		"brackets around IPv4":             {"10.0.0.1:1234", []string{"[203.0.113.9]"}, "10.0.0.1"},
		"a Unix socket":                    {"@", []string{"203.0.113.9"}, "invalid IP"},
	} {
		got, log := clientSeen(t, proxies, tt.peer, tt.lines...)
		if got.String() != tt.want {
			t.Errorf("%s: %v, want %s", name, got, tt.want)
		}
		if want := `"remote":"` + tt.want + `"`; got.IsValid() && !strings.Contains(log, want) {
			t.Errorf("%s: the log does not say %s: %s", name, want, log)
		}
	}
}

func TestClientAddrWithoutTrustedProxies(t *testing.T) {
	t.Parallel()
	if got, _ := clientSeen(t, nil, "10.0.0.1:1234", "203.0.113.9"); got.String() != "10.0.0.1" {
		t.Errorf("got %v", got)
	}
	outside := httptest.NewRequest(http.MethodGet, "/", nil)
	if got := web.ClientAddr(outside); got.String() != "192.0.2.1" {
		t.Errorf("outside an engine: %v", got)
	}
}

// Who asks on behalf of a client tells its address, and is believed only where it is trusted.
func TestTheClientsAddressGoesAlong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		trusted []netip.Prefix
		want    string
	}{{networks(t, "127.0.0.1"), "203.0.113.9"}, {nil, "127.0.0.1"}} {
		var seen netip.Addr
		far := web.NewEngine(web.Options{Log: discard(), TrustedProxies: tt.trusted})
		far.GET("/", func(c *gin.Context) { seen = web.ClientAddr(c.Request) })
		server := httptest.NewServer(web.Handler(far))
		t.Cleanup(server.Close)

		near := web.NewEngine(web.Options{Log: discard()})
		near.GET("/", func(c *gin.Context) {
			r, err := http.NewRequestWithContext(c.Request.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := web.Propagate(http.DefaultTransport).RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = answer.Body.Close()
		})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "203.0.113.9:1234"
		web.Handler(near).ServeHTTP(httptest.NewRecorder(), r)
		if seen.String() != tt.want {
			t.Errorf("the other side saw %v, want %s", seen, tt.want)
		}
	}
}

// Whatever stands left of what the nearest trusted proxy saw changes nothing, and whoever is no trusted proxy cannot speak for others.
func FuzzClientAddr(f *testing.F) {
	f.Add("203.0.113.9", "198.51.100.1")
	f.Add("10.0.0.3", "[::1]:80, ,")
	f.Add("2a00::7", "\",10.0.0.1,\r\n")
	trusted := networks(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, client, written string) {
		address, err := netip.ParseAddr(client)
		if err != nil || network.Contains(trusted, address) {
			t.Skip()
		}
		want := network.Plain(address)
		if got, _ := clientSeen(t, trusted, netip.AddrPortFrom(address, 1).String(), written); got != want {
			t.Errorf("%s, who wrote %q, is taken for %v", client, written, got)
		}
		for _, lines := range [][]string{
			{written + "," + client}, {written, client}, {written, client + " , 10.0.0.2", "10.0.0.3:80"},
		} {
			if got, _ := clientSeen(t, trusted, "10.0.0.1:1", lines...); got != want {
				t.Errorf("%s, who wrote %q, is taken for %v", client, written, got)
			}
		}
		// Alone, it is read as anything or nothing, but it is read.
		if got, _ := clientSeen(t, trusted, "10.0.0.1:1", written); !got.IsValid() {
			t.Errorf("%q leaves nobody", written)
		}
	})
}
