package admission_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier/admission"
)

var here = netip.MustParseAddr("192.0.2.7")

// clock is a clock that tests move.
type clock struct{ offset atomic.Int64 }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }
func (c *clock) elapsed() time.Duration  { return time.Duration(c.offset.Load()) }
func limited(id string, requests int, per time.Duration, burst int) *caller.Caller {
	return &caller.Caller{KeyID: id, Limits: &caller.Limits{RateLimit: &caller.RateLimit{Requests: requests, Per: per, Burst: burst}}}
}

// In every stretch of time a key is admitted its burst and what the rate lets pass then, at most; and whoever is told to wait and
// does is admitted.
func TestNeverMoreThanBurstAndRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		gate := admission.New(c.now)
		requests := rapid.IntRange(1, 1000).Draw(t, "requests")
		per := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Hour)).Draw(t, "per"))
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		who := limited("k", requests, per, burst)
		interval := who.Limits.RateLimit.Interval()
		var admitted []time.Duration
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				d, err := gate.Admit(who, here)
				var refused *fault.Error
				switch {
				case err == nil:
					admitted = append(admitted, c.elapsed())
				case !errors.As(err, &refused) || refused.Kind != fault.RateLimited || refused.RetryAfter <= 0:
					t.Fatalf("refused with %v", err)
				case d.Remaining != 0:
					t.Fatalf("refused, and %d remain", d.Remaining)
				case rapid.Bool().Draw(t, "patient"):
					c.advance(refused.RetryAfter)
					if _, err := gate.Admit(who, here); err != nil {
						t.Fatalf("after waiting for %v: %v", refused.RetryAfter, err)
					}
					admitted = append(admitted, c.elapsed())
				}
				if d.Reset < 0 || d.Remaining < 0 || d.Remaining > burst {
					t.Fatalf("%+v", d)
				}
			},
			"as many as are said to remain": func(t *rapid.T) {
				d, err := gate.Admit(who, here)
				if err != nil {
					return
				}
				admitted = append(admitted, c.elapsed())
				for range d.Remaining {
					if _, err := gate.Admit(who, here); err != nil {
						t.Fatal(err)
					}
					admitted = append(admitted, c.elapsed())
				}
				if _, err := gate.Admit(who, here); err == nil {
					t.Fatal("more than remained")
				}
			},
			"time": func(t *rapid.T) {
				c.advance(time.Duration(rapid.Int64Range(0, 3*int64(interval)*int64(burst)).Draw(t, "passes")))
			},
			"": func(t *rapid.T) {
				for i := range admitted {
					n, length := len(admitted)-i, admitted[len(admitted)-1]-admitted[i]
					if n > burst+int(length/interval) {
						t.Fatalf("%d in %v, with a burst of %d and one in %v", n, length, burst, interval)
					}
				}
			},
		})
	})
}

// A clock that goes back gives nobody more, and keeps nobody waiting for longer than one interval.
func TestAClockThatGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		c.advance(time.Hour)
		gate := admission.New(c.now)
		burst := rapid.IntRange(1, 10).Draw(t, "burst")
		who := limited("k", 1, time.Second, burst)
		admitted, forward := 0, time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			step := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(10*time.Second)).Draw(t, "step"))
			c.advance(step)
			forward += max(0, step)
			if _, err := gate.Admit(who, here); err == nil {
				admitted++
			} else if e := (*fault.Error)(nil); errors.As(err, &e) && e.RetryAfter > time.Second {
				t.Fatalf("it is to wait for %v", e.RetryAfter)
			}
		}
		if most := burst + int(forward/time.Second); admitted > most {
			t.Fatalf("%d were admitted in %v, with a burst of %d", admitted, forward, burst)
		}
	})
}

func TestAChangedLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	slow, fast := limited("k", 1, time.Hour, 1), limited("k", 10, time.Second, 5)
	if _, err := gate.Admit(slow, here); err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Admit(slow, here); err == nil {
		t.Fatal("the second in an hour")
	}
	c.advance(100 * time.Millisecond)
	if _, err := gate.Admit(fast, here); !errors.Is(err, fault.RateLimited) { // what was taken up is full here, too
		t.Fatalf("got %v", err)
	}
	c.advance(100 * time.Millisecond)
	_, _ = gate.Admit(fast, here)
	c.advance(time.Second)
	for i := range 5 {
		if _, err := gate.Admit(fast, here); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := gate.Admit(slow, here); err == nil {
		t.Fatal("slow again, and admitted")
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	var admitted atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				if _, err := gate.Admit(limited("k", 1, time.Minute, 77), here); err == nil {
					admitted.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := admitted.Load(); n != 77 {
		t.Errorf("%d of a burst of 77 were admitted", n)
	}
	if s := gate.Stats(); s.Admitted != 77 || s.RateLimited != 1600-77 || s.Keys != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	gate := admission.New(nil)
	who := &caller.Caller{KeyID: "k", Limits: &caller.Limits{
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10")},
		RateLimit:    &caller.RateLimit{Requests: 1, Per: time.Hour, Burst: 4},
	}}
	for _, text := range []string{"11.0.0.1", "2001:db9::1", "::10.0.0.1", ""} {
		from, _ := netip.ParseAddr(text)
		want := "this key may not be used from an unknown address"
		if text != "" {
			want = "this key may not be used from " + from.String()
		}
		_, err := gate.Admit(who, from)
		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Kind != fault.Forbidden || refused.Message != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "fe80::1%eth0"} { // what was refused used nothing up
		if _, err := gate.Admit(who, netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := gate.Admit(&caller.Caller{KeyID: "k", Limits: &caller.Limits{Blocked: true}}, netip.Addr{}); err != nil {
		t.Errorf("without a list: %v", err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	header := http.Header{}
	free, err := gate.Admit(&caller.Caller{KeyID: "free"}, here)
	if err != nil {
		t.Fatal(err)
	}
	if free.SetHeaders(header); len(header) != 0 {
		t.Errorf("a key without limits: %v", header)
	}
	d, err := gate.Admit(limited("k", 100, time.Minute, 20), here)
	if err != nil {
		t.Fatal(err)
	}
	d.SetHeaders(header)
	for name, want := range map[string]string{
		"RateLimit-Policy": `"key";q=100;w=60`, "RateLimit": `"key";r=19;t=1`,
		"RateLimit-Limit": "100", "RateLimit-Remaining": "19", "RateLimit-Reset": "1",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for err == nil {
		d, err = gate.Admit(limited("k", 100, time.Minute, 20), here)
	}
	if want := "rate-limited: this key may make 100 requests in 60 s; try again in 1 s"; err.Error() != want {
		t.Errorf("%q, want %q", err.Error(), want)
	}
	if d.Remaining != 0 || d.Reset != 12*time.Second {
		t.Errorf("%+v", d)
	}
}

// Absurd limits overflow nothing.
func TestAbsurdLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range []caller.RateLimit{
		{}, {Requests: 1, Per: 1 << 62, Burst: 1 << 30}, {Requests: 1 << 40, Per: 1, Burst: 1}, {Requests: -1, Per: -1, Burst: -1},
	} {
		var c clock
		gate := admission.New(c.now)
		who := &caller.Caller{KeyID: "k", Limits: &caller.Limits{RateLimit: &limit}}
		for i := range 3 {
			d, err := gate.Admit(who, here)
			if i == 0 && err != nil || d.Remaining < 0 || d.Reset < 0 {
				t.Errorf("%+v: %+v, %v", limit, d, err)
			}
			c.advance(time.Second)
		}
	}
}

// What was not used for a while is forgotten, so that memory is bounded by the keys in use.
func TestIdleKeysAreForgotten(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	for i := range 100_000 {
		if _, err := gate.Admit(limited(fmt.Sprint("key", i), 1, time.Second, 2), here); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Millisecond) // a thousand are in use at any time
	}
	if n := gate.Stats().Keys; n > 10_000 {
		t.Errorf("%d keys are remembered, of which about a thousand are in use", n)
	}
}

func TestKeysInUseAreBounded(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	for i := range 300_000 {
		if _, err := gate.Admit(limited(fmt.Sprint("key", i), 1, time.Hour, 2), here); err != nil {
			t.Fatal(err)
		}
	}
	if n := gate.Stats().Keys; n > 1<<18 {
		t.Errorf("%d keys are remembered", n)
	}
}

// A key whose meter is forgotten as idle between its look-up and its use is not counted in two places.
func TestAMeterThatIsForgottenMeanwhile(t *testing.T) {
	t.Parallel()
	var c clock
	var meanwhile func() // at the next look at the clock
	gate := admission.New(func() time.Time {
		if run := meanwhile; run != nil {
			meanwhile = nil
			run()
		}
		return c.now()
	})
	who, admitted := limited("k", 1, time.Hour, 1), 0
	ask := func() {
		if _, err := gate.Admit(who, here); err == nil {
			admitted++
		}
	}
	ask()
	c.advance(2 * time.Hour) // it is idle
	meanwhile = func() {
		for i := range 50_000 { // enough that every shard is swept
			if _, err := gate.Admit(limited(fmt.Sprint("other", i), 1, time.Hour, 1), here); err != nil {
				t.Fatal(err)
			}
		}
		ask()
	}
	ask()
	if admitted != 2 {
		t.Errorf("%d of a burst of 1 were admitted in two hours, of which the second one was idle; want one in each", admitted)
	}
}

// However many other keys come, one that has used its rate up stays refused: only what is idle is forgotten while there is room.
func TestAKeyInUseIsNotForgotten(t *testing.T) {
	t.Parallel()
	var c clock
	gate := admission.New(c.now)
	who := limited("k", 1, time.Hour, 1)
	if _, err := gate.Admit(who, here); err != nil {
		t.Fatal(err)
	}
	for i := range 50_000 { // enough that every shard is swept
		if _, err := gate.Admit(limited(fmt.Sprint("other", i), 1, time.Hour, 1), here); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gate.Admit(who, here); !errors.Is(err, fault.RateLimited) {
		t.Errorf("the second in an hour: %v", err)
	}
}
