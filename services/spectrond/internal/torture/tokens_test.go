package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
)

// mostTokens is how many an account has before no more are minted for it.
const mostTokens = 4

// administer mints, revokes and rotates the tokens of an account, changes whom they may claim to be, and now and then revokes it all
// and makes another.
func (w *workload) administer(ctx context.Context, random *rand.Rand, a *account) {
	for rest(ctx, random, 300*time.Millisecond) {
		keymanager, n := random.IntN(keymanagers), random.IntN(20)
		held := a.held()
		switch {
		case a.id == "":
			a.create(ctx, keymanager)
		case a.unsure || n < 2:
			o, struck := a.dissolve(ctx, keymanager)
			w.doubtTokens(ctx, o, struck, append(held.former, actors(held.current)...))
		case n < 7:
			o, struck := a.edit(ctx, keymanager)
			w.doubtTokens(ctx, o, held.undead, struck)
		case n < 12 && len(held.undead) > 0:
			o, struck := a.revoke(ctx, keymanager, held.undead[random.IntN(len(held.undead))].label)
			w.doubtTokens(ctx, o, struck, actors(held.current))
		case n < 15:
			o, struck := a.rotate(ctx, keymanager)
			w.doubtTokens(ctx, o, struck, actors(held.current))
		case len(held.undead) < mostTokens:
			a.mint(ctx, keymanager)
		}
	}
}

func actors(one *actor) []actor {
	if one == nil {
		return nil
	}
	return []actor{*one}
}

// doubtTokens asks every data plane at once about tokens and identities of which a change has just ended one or the other.
func (w *workload) doubtTokens(ctx context.Context, o outcome, tokens []token, as []actor) {
	if o.kind != done || len(as) == 0 {
		return
	}
	var asking sync.WaitGroup
	for _, t := range tokens {
		for i := range w.d.dataplanes {
			asking.Go(func() { w.d.present(ctx, i, t, as[len(as)-1]) })
		}
	}
	asking.Wait()
}

// readTokens shows tokens, those that are good more often than those that are gone or were never made, and claims identities, those
// that may be claimed more often than those that might be once.
func (w *workload) readTokens(ctx context.Context, random *rand.Rand) {
	for rest(ctx, random, 20*time.Millisecond) {
		held := w.accounts[random.IntN(len(w.accounts))].held()
		as := append(held.former, actors(held.current)...)
		if len(as) == 0 {
			continue
		}
		claimed := as[len(as)-1]
		if random.IntN(5) == 0 {
			claimed = as[random.IntN(len(as))]
		}
		dataplane := random.IntN(dataplanes)
		switch n := random.IntN(100); {
		case n < 3:
			w.d.present(ctx, dataplane, held.madeUp, claimed)
		case n < 30 && len(held.past) > 0:
			w.d.present(ctx, dataplane, held.past[random.IntN(len(held.past))], claimed)
		case len(held.undead) > 0:
			w.d.present(ctx, dataplane, held.undead[random.IntN(len(held.undead))], claimed)
		}
	}
}

// settleTokens waits until every data plane knows again what every token is worth.
func (w *workload) settleTokens(ctx context.Context) error {
	for _, a := range w.accounts {
		held := a.held()
		as := append(held.former, actors(held.current)...)
		for _, t := range append(held.undead, held.past...) {
			for i := range w.d.dataplanes {
				for !w.d.present(ctx, i, t, as[len(as)-1]) {
					if ctx.Err() != nil {
						return fmt.Errorf("%s has not recovered %s after everything was healed", w.d.dataplanes[i].name, recovery)
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		}
	}
	return nil
}

// account makes a service account with two tokens, of which the victim has not heard although it has a lease.
func (s *stage) account(ctx context.Context) (*account, held) {
	s.t.Helper()
	s.remembered(ctx)
	a := &account{d: s.deployment, name: fmt.Sprintf("account-%d", s.tries)}
	for _, o := range []outcome{a.create(ctx, 0), a.mint(ctx, 0)} {
		if o.kind != done {
			s.t.Fatalf("making a service account: status %d", o.status)
		}
	}
	return a, a.held()
}

// insist shows tokens to the victim, again and again for a while.
func (s *stage) insist(ctx context.Context, tokens []token, as actor) {
	for limit := time.Now().Add(arrive); time.Now().Before(limit); sleep(ctx, 5*time.Millisecond) {
		for _, t := range tokens {
			s.present(ctx, s.victim, t, as)
		}
	}
}

func slowWatchOfAToken(ctx context.Context, s *stage) {
	a, held := s.account(ctx)
	s.insist(ctx, held.undead, *held.current)
	defer s.breaks(faultproxy.Delay, faultproxy.ToClient, introspection.WatchPath)()
	a.revoke(ctx, 0, held.undead[0].label)
	s.insist(ctx, held.undead, *held.current)
}

func slowWatchOfAnAccount(ctx context.Context, s *stage) {
	a, held := s.account(ctx)
	s.insist(ctx, held.undead, *held.current)
	defer s.breaks(faultproxy.Delay, faultproxy.ToClient, introspection.WatchPath)()
	a.edit(ctx, 0)
	s.insist(ctx, held.undead, *held.current)
}

func slowAnswerAboutAToken(ctx context.Context, s *stage) {
	a, held := s.account(ctx)
	answer := s.breaks(faultproxy.Stall, faultproxy.ToClient, introspection.Path)
	defer answer()
	var asking sync.WaitGroup
	for _, t := range held.undead {
		asking.Go(func() { s.present(ctx, s.victim, t, *held.current) })
	}
	sleep(ctx, arrive)
	a.rotate(ctx, 0)
	answer()
	asking.Wait()
	s.insist(ctx, held.undead, *held.current)
}
