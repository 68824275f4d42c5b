// Package admission holds verified callers to the limits of their keys: how often a key may be used, and from where.
//
// It promises that a key is never admitted more often, in any stretch of time, than its burst and what its rate lets pass in that
// time; that a key which keeps to its rate is admitted always; and that a limit holds from the first request that knows of it, in
// whichever direction it was changed. It counts in the memory of its process: n processes admit up to n times as much, and one in which
// more than 262,144 keys with a rate have used some of it up forgets what one of them used for each that comes on top. A key without limits
// costs one comparison.
package admission

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Gate admits callers. It is safe for concurrent use.
type Gate struct {
	now   func() time.Time
	epoch time.Time
	keys  *meters

	admitted, rateLimited, addressRefused *xsync.Counter
}

// Stats counts callers whose keys have limits; nobody counts the others.
type Stats struct {
	// Admitted were let in, RateLimited came too often, AddressRefused from an address that their key may not be used from.
	Admitted, RateLimited, AddressRefused int64
	// Keys are those whose use is remembered now.
	Keys int
}

// New returns a gate by the clock now; time.Now if nil.
func New(now func() time.Time) *Gate {
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the injected clock
	}
	return &Gate{
		now: now, epoch: now(), keys: newMeters(maxKeys),
		admitted: xsync.NewCounter(), rateLimited: xsync.NewCounter(), addressRefused: xsync.NewCounter(),
	}
}

// Admit lets c in, which asks from an address, or says why not: fault.Forbidden when its key may not be used from there, and
// fault.RateLimited, which says when to try again, when it was used too often. A refusal uses nothing up.
func (g *Gate) Admit(c *caller.Caller, from netip.Addr) (Decision, error) {
	if c.Limits == nil {
		return Decision{}, nil
	}
	return g.admit(c.KeyID, c.Limits, from)
}

func (g *Gate) admit(id string, limits *caller.Limits, from netip.Addr) (Decision, error) {
	if err := allowed(limits.AllowedCIDRs, from); err != nil {
		g.addressRefused.Inc()
		return Decision{}, err
	}
	if limits.RateLimit == nil {
		if len(limits.AllowedCIDRs) > 0 {
			g.admitted.Inc()
		}
		return Decision{}, nil
	}
	decision, wait := g.take(id, limits.RateLimit)
	if wait > 0 {
		g.rateLimited.Inc()
		return decision, tooMany(limits.RateLimit, wait)
	}
	g.admitted.Inc()
	return decision, nil
}

// Stats returns the counts so far.
func (g *Gate) Stats() Stats {
	return Stats{Admitted: g.admitted.Value(), RateLimited: g.rateLimited.Value(), AddressRefused: g.addressRefused.Value(), Keys: g.keys.len()}
}

// allowed returns a Forbidden fault for an address that is in none of the networks, when there are some.
func allowed(networks []netip.Prefix, from netip.Addr) error {
	if len(networks) == 0 {
		return nil
	}
	plain := from.Unmap().WithZone("")
	for _, network := range networks {
		if network.Contains(plain) {
			return nil
		}
	}
	seen := "an unknown address"
	if plain.IsValid() {
		seen = plain.String()
	}
	// Its holder has shown the key, and may know; whoever stole it learns that it is of no use here.
	return fault.New(fault.Forbidden, "this key may not be used from %s", seen)
}

func tooMany(limit *caller.RateLimit, wait time.Duration) error {
	err := fault.New(fault.RateLimited, "this key may make %d requests in %s; try again in %s",
		limit.Requests, span(limit.Per), span(time.Duration(ceilSeconds(wait))*time.Second))
	err.RetryAfter = wait
	return err
}

func span(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	}
	return d.String()
}

// Decision is how a key stands after a request. That of a key without a rate limit is zero.
type Decision struct {
	// Limit is nil where there is none.
	Limit *caller.RateLimit
	// Remaining requests could be made at once.
	Remaining int
	// Reset is how long it takes until all could that the limit lets pass at once, if none are made.
	Reset time.Duration
}

// SetHeaders tells of d in the headers of an answer, if there is something to tell: as the draft of the IETF has it
// (draft-ietf-httpapi-ratelimit-headers), and under the three names that were usual before. Remaining counts what the burst leaves,
// so it may be more, or less, than the requests of the policy. Times are whole seconds, rounded up.
func (d Decision) SetHeaders(header http.Header) {
	if d.Limit == nil {
		return
	}
	reset := ceilSeconds(d.Reset)
	header.Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, d.Limit.Requests, ceilSeconds(d.Limit.Per)))
	header.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, d.Remaining, reset))
	header.Set("RateLimit-Limit", strconv.Itoa(d.Limit.Requests))
	header.Set("RateLimit-Remaining", strconv.Itoa(d.Remaining))
	header.Set("RateLimit-Reset", strconv.FormatInt(reset, 10))
}

func ceilSeconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
