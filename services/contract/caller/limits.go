package caller

import (
	"net/netip"
	"time"
)

// Limits are what holds a caller back beside its grants. They may be shared between callers: nothing in them may be changed.
type Limits struct {
	// RateLimit bounds how often the key may be used; nil for as often as one likes.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`
	// AllowedCIDRs are the networks that the key may be used from; none for everywhere. One of IPv4 is written as such.
	AllowedCIDRs []netip.Prefix `json:"allowed_cidrs,omitempty"`
	// Blocked says that the context's operator has stopped its calls to language models; everything else goes on.
	Blocked bool `json:"-"` // a verdict says it of the context
}

// RateLimit lets Requests pass in each Per, evenly spread, and Burst at once. All three are positive.
type RateLimit struct {
	Requests int           `json:"requests"`
	Per      time.Duration `json:"per_ns"`
	Burst    int           `json:"burst"`
}

// Interval is the time that one request takes up.
func (r *RateLimit) Interval() time.Duration { return max(1, r.Per/time.Duration(max(1, r.Requests))) }

// blocked are the limits of most callers in a context whose calls are stopped.
var blocked = &Limits{Blocked: true}

// Stopped returns l for a context whose calls to language models are stopped.
func (l *Limits) Stopped() *Limits {
	if l == nil {
		return blocked
	}
	stopped := *l
	stopped.Blocked = true
	return &stopped
}

// Blocked reports whether the context's operator has stopped its calls to language models; everything else goes on.
func (c *Caller) Blocked() bool { return c.Limits != nil && c.Limits.Blocked }
