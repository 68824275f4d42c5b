package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
)

// misfortune is one thing that goes wrong in a round, at a time and for a time.
type misfortune struct {
	at, length time.Duration
	what       string
	// authority is false when only verifiers suffer.
	authority bool
	begin     func(ctx context.Context, d *deployment, length time.Duration)
}

// String tells when what goes wrong.
func (m misfortune) String() string {
	return fmt.Sprintf("%7s +%-7s %s", m.at.Round(time.Millisecond), m.length.Round(time.Millisecond), m.what)
}

// plan draws the misfortunes of a round, which has been healed when span is over. It depends on nothing but the source.
func plan(random *rand.Rand, span, lease time.Duration) []misfortune {
	var all []misfortune
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	for at := between(0, time.Second); ; at += between(50*time.Millisecond, 1200*time.Millisecond) {
		m := draw(random, lease, between)
		m.at = at
		if at+m.length > span {
			return all
		}
		all = append(all, m)
	}
}

func draw(random *rand.Rand, lease time.Duration, between func(least, most time.Duration) time.Duration) misfortune {
	keymanager, dataplane := random.IntN(keymanagers), random.IntN(dataplanes)
	pause := between(lease*11/10, lease*3)
	short := between(0, time.Second)
	network := drawFault(random, between)
	switch n := random.IntN(100); {
	case n < 8:
		return misfortune{length: short, what: fmt.Sprintf("kill dataplane-%d", dataplane), begin: killed(func(d *deployment) *replica { return d.dataplanes[dataplane] })}
	case n < 15:
		return misfortune{length: short, what: fmt.Sprintf("kill keymanager-%d", keymanager), authority: true, begin: killed(func(d *deployment) *replica { return d.keymanagers[keymanager] })}
	case n < 30:
		return misfortune{length: pause, what: fmt.Sprintf("pause dataplane-%d", dataplane), begin: paused(func(d *deployment) *replica { return d.dataplanes[dataplane] })}
	case n < 37:
		return misfortune{length: pause, what: fmt.Sprintf("pause keymanager-%d", keymanager), authority: true, begin: paused(func(d *deployment) *replica { return d.keymanagers[keymanager] })}
	case n < 80:
		return misfortune{length: pause, what: fmt.Sprintf("link of dataplane-%d: %s", dataplane, network), begin: func(ctx context.Context, d *deployment, length time.Duration) {
			defer d.links[dataplane].Break(network)()
			sleep(ctx, length)
		}}
	case n < 90:
		network.Path = ""
		return misfortune{length: short, what: fmt.Sprintf("database link of keymanager-%d: %s", keymanager, network), authority: true, begin: func(ctx context.Context, d *deployment, length time.Duration) {
			defer d.dbLinks[keymanager].Break(network)()
			sleep(ctx, length)
		}}
	default:
		how := random.IntN(4)
		return misfortune{length: short, what: "database: " + crashes[how].name, authority: true, begin: func(ctx context.Context, d *deployment, length time.Duration) {
			d.crash(ctx, crashes[how].end, length)
		}}
	}
}

// drawFault draws what the network between a data plane and the key managers does wrong.
func drawFault(random *rand.Rand, between func(least, most time.Duration) time.Duration) faultproxy.Fault {
	pick := func(n int) int { return random.IntN(n) }
	return faultproxy.Fault{
		Kind:      []faultproxy.Kind{faultproxy.Stall, faultproxy.Stall, faultproxy.Delay, faultproxy.Delay, faultproxy.Cut}[pick(5)],
		Direction: []faultproxy.Direction{faultproxy.Both, faultproxy.ToServer, faultproxy.ToClient}[pick(3)],
		Path:      []string{"", introspection.WatchPath, introspection.LeasesPath, introspection.Path}[pick(4)],
		Delay:     between(20*time.Millisecond, 400*time.Millisecond),
	}
}

func sleep(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func killed(of func(*deployment) *replica) func(context.Context, *deployment, time.Duration) {
	return func(ctx context.Context, d *deployment, length time.Duration) {
		r := of(d)
		r.change.Lock()
		defer r.change.Unlock()
		r.kill()
		sleep(ctx, length)
		r.start()
	}
}

func paused(of func(*deployment) *replica) func(context.Context, *deployment, time.Duration) {
	return func(ctx context.Context, d *deployment, length time.Duration) {
		r := of(d)
		r.change.Lock()
		defer r.change.Unlock()
		r.pause()
		sleep(ctx, length)
		r.resume()
	}
}

// crashes are the ways to end a database server; nil is one of its sessions that is killed, after which it recovers alone.
var crashes = []struct {
	name string
	end  func(*dbtest.Cluster) error
}{
	{"restart", func(c *dbtest.Cluster) error { return c.Stop(dbtest.Fast) }},
	{"immediate restart", func(c *dbtest.Cluster) error { return c.Stop(dbtest.Immediate) }},
	{"kill", (*dbtest.Cluster).Crash},
	{"kill a session", nil},
}

// crash ends the database server, or one of its sessions, and returns when it serves again.
func (d *deployment) crash(ctx context.Context, end func(*dbtest.Cluster) error, down time.Duration) {
	d.crashing.Lock()
	defer d.crashing.Unlock()
	err := func() error {
		if end == nil {
			if err := d.cluster.CrashBackend(ctx, d.database); err != nil {
				return err
			}
			return d.cluster.Await()
		}
		if err := end(d.cluster); err != nil {
			return err
		}
		sleep(ctx, down)
		return d.cluster.Start()
	}()
	if err != nil {
		d.t.Errorf("crashing the database: %v", err)
	}
}

// suffer lets the misfortunes happen, each at its time, and returns when all are over.
func (d *deployment) suffer(ctx context.Context, all []misfortune) {
	start := time.Now()
	var suffering sync.WaitGroup
	for _, m := range all {
		sleep(ctx, time.Until(start.Add(m.at)))
		suffering.Go(func() {
			if m.authority {
				defer d.unwell()()
			}
			m.begin(ctx, d, m.length)
		})
	}
	suffering.Wait()
}

// The plan of a seed is the same whenever it is drawn, so that a failure can be replayed.
func TestPlanIsRepeatable(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) string {
		return fmt.Sprint(plan(rand.New(rand.NewPCG(seed, 0)), time.Minute, time.Second))
	}
	first, again, other := draw(1), draw(1), draw(2)
	if first != again || first == other {
		t.Error("a plan depends on more than its seed, or not on its seed")
	}
}
