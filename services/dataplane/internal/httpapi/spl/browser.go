package spl

import (
	"net"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// A browser lends the pages that it shows its place in the network. Where no token is asked for that place is all that it takes, so
// there the page is looked at, and the name by which it has reached this server.

// refuseOtherPages refuses what a page sends that was not told it may.
func (s server) refuseOtherPages(c *gin.Context) {
	check := s.ofKnownPage
	if s.AuthenticationOff {
		check = s.ofThisMachine
	}
	if err := check(c.Request); err != nil {
		refuse(c, err)
	}
}

func (s server) ofKnownPage(r *http.Request) error {
	for _, origin := range r.Header.Values("Origin") {
		if !s.Origins.Allow(origin) {
			return rejected("this page may not call here: SPECTRON_CORS_ALLOWED_ORIGINS lists those that may, or --cors-origins of spl serve")
		}
	}
	return nil
}

// ofThisMachine refuses what comes from another machine's page, be it by a name of its own that leads here.
func (s server) ofThisMachine(r *http.Request) error {
	host := (&url.URL{Host: r.Host}).Hostname()
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return rejected("authentication is off, so this server answers to localhost alone")
	}
	return s.ofKnownPage(r)
}

func rejected(message string) error {
	return &fault.Error{Kind: fault.Forbidden, Code: "ORIGIN_REJECTED", Message: message}
}
