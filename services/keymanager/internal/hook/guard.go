package hook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// maxURL is the longest URL in bytes.
	maxURL = 2048
	// maxHeader bounds what is read of an answer's header. Of its body no more than [maxBody] is.
	maxHeader = 16 << 10
)

// errAddress says that an address is none that may be called.
var errAddress = errors.New("the address is not public and not allowed (SPECTRON_WEBHOOK_ALLOWED_NETWORKS)")

// Guard decides which addresses may be called. What a name stands for is judged when the connection is made, so that no name
// can be made to stand for another address between the check and the call; private, link-local and loopback networks, where metadata services
// live, are refused unless they are allowed by name.
type Guard struct {
	allowed []netip.Prefix
	public  *ssrf.Guardian // lets the allowed ones pass, too
}

// NewGuard returns a guard that lets public addresses pass, over TLS, and the allowed networks, with or without.
func NewGuard(allowed []netip.Prefix) *Guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range allowed {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	return &Guard{allowed: allowed, public: ssrf.New(
		ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
	)}
}

// CheckURL returns an Invalid fault when text is no URL that could be called. What its host stands for is judged at each call.
func (g *Guard) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return fault.InvalidField("url", "must be an absolute URL of at most %d bytes", maxURL)
	case u.User != nil:
		return fault.InvalidField("url", "must hold no password: messages are signed instead")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return fault.InvalidField("url", "must have no fragment")
	case apikey.Redact(text) != text:
		return fault.InvalidField("url", "must hold no key: it is stored and shown")
	case u.Scheme != "https" && (u.Scheme != "http" || len(g.allowed) == 0):
		return fault.InvalidField("url", "must begin with https:// (http:// only leads to the networks of SPECTRON_WEBHOOK_ALLOWED_NETWORKS)")
	}
	if literal, err := netip.ParseAddr(u.Hostname()); err == nil && g.pass(u.Scheme, network.Plain(literal)) != nil {
		return fault.InvalidField("url", "must not lead to a private address (SPECTRON_WEBHOOK_ALLOWED_NETWORKS allows networks)")
	}
	return nil
}

// pass returns errAddress when an address may not be called.
func (g *Guard) pass(scheme string, addr netip.Addr) error {
	if scheme == "http" {
		if network.Contains(g.allowed, addr) {
			return nil
		}
		return errAddress
	}
	if g.public.SafeAddr(addr) != nil {
		return errAddress
	}
	return nil
}

// client returns an HTTP client for URLs of a scheme. It uses no proxy, follows nothing, and reads little.
func (g *Guard) client(scheme string, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{
		Timeout: timeout,
		// Called with the address itself, for each one that the name has, right before the connection is made.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return errAddress
			}
			return g.pass(scheme, network.Plain(at.Addr()))
		},
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		// A redirect could lead anywhere, and would be signed for somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
