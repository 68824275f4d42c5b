package torture_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/mutant"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
)

// scenario leads a deployment to the one place where a rule of the protocol matters. Without the rule, one of its attempts
// makes the check fail.
type scenario struct {
	name string
	// rule is the mutant that breaks the rule; empty where there is none.
	rule  string
	lease time.Duration
	// environ is of every process.
	environ map[string]string
	// attempts is how often to try with the rule broken; with the rule in force once must do.
	attempts int
	attempt  func(ctx context.Context, s *stage)
}

func scenarios() []scenario {
	return []scenario{
		{
			name: "a change waits for verifiers whose watch is slow",
			rule: mutant.NoBarrier, lease: time.Second, attempts: 5, attempt: slowWatch,
		},
		{
			name: "the revocation of a token waits for verifiers whose watch is slow",
			rule: mutant.NoBarrier, lease: time.Second, attempts: 5, attempt: slowWatchOfAToken,
		},
		{
			name: "so does an edit of the identities that tokens may claim",
			rule: mutant.NoBarrier, lease: time.Second, attempts: 5, attempt: slowWatchOfAnAccount,
		},
		{
			name: "an answer about a token that is older than a revision applied is not remembered",
			rule: mutant.NoFillCheck, lease: time.Second, attempts: 5, attempt: slowAnswerAboutAToken,
		},
		{
			name: "a process that was paused does not trust what it remembers",
			rule: mutant.TimerFlag, lease: 500 * time.Millisecond, attempts: 30, attempt: pausedVerifier,
			// Go's scheduler looks at the network before it looks at the timers of its other, idle processors. The more of these,
			// the likelier a request comes before the timer.
			environ: map[string]string{"GOMAXPROCS": "8"},
		},
		{
			name: "a request does not join a question that was asked before it came",
			rule: mutant.JoinOnWire, lease: 500 * time.Millisecond, attempts: 5, attempt: questionOnTheWire,
		},
		{
			name: "an answer that is older than a revision applied is not remembered",
			rule: mutant.NoFillCheck, lease: time.Second, attempts: 5, attempt: slowAnswer,
		},
		{
			name: "who comes back catches up before it trusts what it remembers",
			rule: mutant.NoCatchUp, lease: 1500 * time.Millisecond, attempts: 8, attempt: backFromIsolation,
		},
		{
			name: "who comes back catches up although it was told so in an answer that was lost",
			rule: mutant.NoCatchUp, lease: 1500 * time.Millisecond, attempts: 8, attempt: lostGrant,
		},
		{
			name: "leases that a crash has wiped out are waited for",
			rule: mutant.TrustYoungTable, lease: 3 * time.Second, attempts: 4, attempt: wipedLeases,
		},
		{
			name: "a verifier that renews but does not acknowledge holds nobody up",
			rule: mutant.NeverRefuse, lease: time.Second, attempts: 3, attempt: deafVerifier,
		},
	}
}

// stage is where a scenario is played: a deployment, and a data plane that things happen to.
type stage struct {
	*deployment
	victim int
	tries  int
}

// TestScenarios plays each scenario with all rules in force: the promise is kept.
func TestScenarios(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	cluster := dbtest.StartCluster(t)
	for _, s := range scenarios() { //nolint:paralleltest // each is timed
		t.Run(s.name, func(t *testing.T) {
			stage := open(t, cluster, s, "")
			s.attempt(t.Context(), stage)
			if err := stage.check(); err != nil {
				stage.report(err)
			}
		})
	}
}

// open deploys what a scenario needs, with one rule broken unless that is empty.
func open(t *testing.T, cluster *dbtest.Cluster, s scenario, rule string) *stage {
	t.Helper()
	stage := &stage{deployment: deploy(t, setup{
		cluster: cluster, lease: s.lease, environ: with(s.environ, map[string]string{mutantVariable: rule}),
	})}
	if o := stage.change(t.Context(), 0, "POST", "stage", nil); o.kind != done {
		t.Fatalf("making a context: status %d", o.status)
	}
	return stage
}

// fresh mints a key, which no data plane has heard of.
func (s *stage) fresh(ctx context.Context) *key {
	s.t.Helper()
	s.tries++
	k := &key{d: s.deployment, context: "stage", name: fmt.Sprintf("key-%d", s.tries)}
	if o := k.mint(ctx, 0, ""); o.kind != done {
		s.t.Fatalf("minting a key: status %d", o.status)
	}
	return k
}

// remembered mints a key and returns when the victim answers for it from memory.
func (s *stage) remembered(ctx context.Context) (*key, secret) {
	s.t.Helper()
	k := s.fresh(ctx)
	current, _ := k.secrets()
	s.until(ctx, func() bool { return s.verify(ctx, s.victim, *current).source == "cache" })
	return k, *current
}

// until waits for a condition.
func (s *stage) until(ctx context.Context, met func() bool) {
	s.t.Helper()
	for limit := time.Now().Add(recovery); !met(); sleep(ctx, 10*time.Millisecond) {
		if time.Now().After(limit) {
			s.t.Fatal("the scene could not be set")
		}
	}
}

// breaks makes something wrong between the victim and the key managers.
func (s *stage) breaks(kind faultproxy.Kind, direction faultproxy.Direction, path string) (heal func()) {
	return s.links[s.victim].Break(faultproxy.Fault{Kind: kind, Direction: direction, Path: path, Delay: 300 * time.Millisecond})
}

// ask verifies a secret with the victim, again and again for a while.
func (s *stage) ask(ctx context.Context, what secret, length time.Duration) {
	for limit := time.Now().Add(length); time.Now().Before(limit); sleep(ctx, 5*time.Millisecond) {
		s.verify(ctx, s.victim, what)
	}
}

// arrive is how long a question takes to arrive and to be answered, by far.
const arrive = 200 * time.Millisecond

func slowWatch(ctx context.Context, s *stage) {
	k, old := s.remembered(ctx)
	defer s.breaks(faultproxy.Delay, faultproxy.ToClient, introspection.WatchPath)()
	k.rotate(ctx, 0)
	s.ask(ctx, old, arrive)
}

func pausedVerifier(ctx context.Context, s *stage) {
	k, old := s.remembered(ctx)
	const requests = 12
	ask := func() *sync.WaitGroup {
		var asking sync.WaitGroup
		for range requests {
			asking.Go(func() { s.verify(ctx, s.victim, old) })
		}
		return &asking
	}
	ask().Wait() // so that there are connections for all of them
	s.dataplanes[s.victim].pause()
	k.rotate(ctx, 0)
	asking := ask()
	sleep(ctx, arrive) // now they wait in the socket
	s.dataplanes[s.victim].resume()
	asking.Wait()
}

func questionOnTheWire(ctx context.Context, s *stage) {
	k := s.fresh(ctx)
	old, _ := k.secrets()
	heal := s.breaks(faultproxy.Stall, faultproxy.Both, introspection.LeasesPath)
	defer heal()
	sleep(ctx, s.lease) // the lease ends, so that every request asks
	answer := s.breaks(faultproxy.Stall, faultproxy.ToClient, introspection.Path)
	defer answer()
	var asking sync.WaitGroup
	asking.Go(func() { s.verify(ctx, s.victim, *old) })
	sleep(ctx, arrive) // now its answer is on the way
	k.rotate(ctx, 0)
	asking.Go(func() { s.verify(ctx, s.victim, *old) })
	sleep(ctx, arrive)
	answer()
	asking.Wait()
}

func slowAnswer(ctx context.Context, s *stage) {
	s.remembered(ctx) // so there is a lease
	k := s.fresh(ctx)
	old, _ := k.secrets()
	answer := s.breaks(faultproxy.Stall, faultproxy.ToClient, introspection.Path)
	defer answer()
	var asking sync.WaitGroup
	asking.Go(func() { s.verify(ctx, s.victim, *old) })
	sleep(ctx, arrive)
	k.rotate(ctx, 0)
	answer()
	asking.Wait()
	s.ask(ctx, *old, arrive)
}

// isolated rotates a key that the victim remembers, while the victim is cut off and its lease has ended. The victim's watch
// is stuck for longer than that.
func (s *stage) isolated(ctx context.Context) (old secret, heal, watch func()) {
	k, old := s.remembered(ctx)
	heal = s.breaks(faultproxy.Stall, faultproxy.Both, "")
	sleep(ctx, s.lease+arrive)
	watch = s.breaks(faultproxy.Stall, faultproxy.ToClient, introspection.WatchPath)
	k.rotate(ctx, 0)
	return old, heal, watch
}

func backFromIsolation(ctx context.Context, s *stage) {
	old, heal, watch := s.isolated(ctx)
	defer watch()
	heal()
	s.ask(ctx, old, s.lease/2)
}

func lostGrant(ctx context.Context, s *stage) {
	old, heal, watch := s.isolated(ctx)
	defer watch()
	answers := s.breaks(faultproxy.Cut, faultproxy.ToClient, introspection.LeasesPath)
	heal()
	s.ask(ctx, old, 50*time.Millisecond) // a renewal that was held back arrives, and is granted; nobody learns of it
	answers()
	s.ask(ctx, old, s.lease/2)
}

func wipedLeases(ctx context.Context, s *stage) {
	k, old := s.remembered(ctx)
	defer s.breaks(faultproxy.Stall, faultproxy.Both, "")()
	well := s.unwell()
	s.crash(ctx, nil, 0)
	for o, _ := k.rotate(ctx, 0); o.kind != done; o, _ = k.rotate(ctx, 0) {
		sleep(ctx, 20*time.Millisecond)
	}
	well()
	s.ask(ctx, old, arrive)
}

func deafVerifier(ctx context.Context, s *stage) {
	k, _ := s.remembered(ctx)
	defer s.breaks(faultproxy.Stall, faultproxy.ToClient, introspection.WatchPath)()
	k.rotate(ctx, 0)
}
