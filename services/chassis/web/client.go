package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/chassis/network"
)

// forwardedHeader is where proxies tell for whom they ask, the nearest one last.
const forwardedHeader = "X-Forwarded-For"

// ClientAddr returns the address of the client that sent r. It is the peer of the connection, unless that is one of
// Options.TrustedProxies: then it is who that one says has asked it in X-Forwarded-For, and so on from right to left, up to the
// first that is no trusted proxy. What stands further left anybody may have written. Where a trusted proxy tells nothing that can be
// read, the address is the proxy's own. It is invalid where the peer has none, as on a Unix socket.
func ClientAddr(r *http.Request) netip.Addr {
	if s, ok := r.Context().Value(serverKey{}).(*server); ok {
		return s.client
	}
	return peerOf(r)
}

// clientIn returns the address of the client of the request in ctx; an invalid one outside a request.
func clientIn(ctx context.Context) netip.Addr {
	if s, ok := ctx.Value(serverKey{}).(*server); ok {
		return s.client
	}
	return netip.Addr{}
}

// clientOf works the address of ClientAddr out.
func clientOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := peerOf(r)
	if len(trusted) == 0 {
		return client
	}
	for _, line := range slices.Backward(r.Header.Values(forwardedHeader)) {
		for rest, more := line, true; more; {
			if !network.Contains(trusted, client) {
				return client
			}
			var hop string
			rest, hop, more = cutLast(rest)
			before := addressOf(hop)
			if !before.IsValid() {
				return client
			}
			client = before
		}
	}
	return client
}

// cutLast takes the last element off a list by commas.
func cutLast(list string) (rest, last string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

// addressOf reads an address as proxies write it: with a port or without, one of IPv6 in brackets or, without a port, as it is.
func addressOf(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if address, err := netip.ParseAddr(text); err == nil {
		return network.Plain(address)
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return network.Plain(address.Addr())
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if address, err := netip.ParseAddr(inner); err == nil && address.Is6() {
				return network.Plain(address)
			}
		}
	}
	return netip.Addr{}
}

func peerOf(r *http.Request) netip.Addr {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return network.Plain(peer.Addr())
	}
	return addressOf(r.RemoteAddr)
}
