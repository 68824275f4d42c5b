package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
)

const (
	readers    = 6 // of keys, and half as many of tokens
	mutators   = 3
	accounts   = 2
	keysEach   = 2 // of a mutator
	shortLived = 1 // seconds that keys with an end have
)

// workload is what clients do in one round, in contexts of its own.
type workload struct {
	d     *deployment
	round string
	keys  []*key
	// accounts are the service accounts, each of which somebody administers.
	accounts []*account
	madeUp   sync.Map // secrets that nobody ever made, by key
	running  sync.WaitGroup
}

// newWorkload makes the contexts, keys and service accounts of a round.
func newWorkload(ctx context.Context, d *deployment, round string) *workload {
	d.t.Helper()
	w := &workload{d: d, round: round}
	if o := d.change(ctx, 0, http.MethodPost, w.steady(), nil); o.kind != done {
		d.t.Fatalf("making a context: status %d", o.status)
	}
	for i := range mutators * keysEach {
		k := &key{d: d, context: w.steady(), name: fmt.Sprintf("key-%d", i)}
		if o := k.mint(ctx, i%keymanagers, ""); o.kind != done {
			d.t.Fatalf("minting a key: status %d", o.status)
		}
		w.keys = append(w.keys, k)
	}
	for i := range 2 {
		w.keys = append(w.keys, &key{d: d, context: w.fleeting(), name: fmt.Sprintf("key-%d", i)})
	}
	w.keys = append(w.keys, &key{d: d, context: w.steady(), name: "short-lived"})
	for i := range accounts {
		a := &account{d: d, name: fmt.Sprintf("%s-account-%d", round, i)}
		if o := a.create(ctx, i%keymanagers); o.kind != done {
			d.t.Fatalf("making a service account: status %d", o.status)
		}
		w.accounts = append(w.accounts, a)
	}
	return w
}

// steady names the context that stays for the whole round, fleeting the one that comes and goes.
func (w *workload) steady() string   { return w.round + "-steady" }
func (w *workload) fleeting() string { return w.round + "-fleeting" }

// run starts the clients. They go on until ctx ends; wait for them with w.running.
func (w *workload) run(ctx context.Context, seed uint64) {
	stream := uint64(0)
	source := func() *rand.Rand {
		stream++
		return rand.New(rand.NewPCG(seed, stream))
	}
	for i := range mutators {
		random, keys := source(), w.keys[i*keysEach:(i+1)*keysEach]
		w.running.Go(func() { w.mutate(ctx, random, keys) })
	}
	others := w.keys[mutators*keysEach:]
	random := source()
	w.running.Go(func() { w.comeAndGo(ctx, random, others[:2]) })
	again := source()
	w.running.Go(func() { w.expire(ctx, again, others[2]) })
	for range readers {
		random := source()
		w.running.Go(func() { w.read(ctx, random) })
	}
	for _, a := range w.accounts {
		random := source()
		w.running.Go(func() { w.administer(ctx, random, a) })
	}
	for range readers / 2 {
		random := source()
		w.running.Go(func() { w.readTokens(ctx, random) })
	}
}

// rest waits a little, and reports whether to go on.
func rest(ctx context.Context, random *rand.Rand, most time.Duration) bool {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(most))))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// mutate rotates keys, and sometimes deletes and mints them, or touches their whole context.
func (w *workload) mutate(ctx context.Context, random *rand.Rand, keys []*key) {
	for rest(ctx, random, 250*time.Millisecond) {
		k, keymanager := keys[random.IntN(len(keys))], random.IntN(keymanagers)
		switch n := random.IntN(20); {
		case n < 3:
			o, struck := k.remove(ctx, keymanager)
			w.doubt(ctx, o, struck)
			k.mint(ctx, random.IntN(keymanagers), "")
		case n < 5:
			// No key ends by it, but verifiers must look at all of them again.
			w.d.change(ctx, keymanager, http.MethodPatch, w.steady(),
				map[string]any{"config": map[string]any{"max_token_ttl_seconds": 100_000 + random.IntN(1000)}})
		default:
			o, struck := k.rotate(ctx, keymanager)
			if o.status == http.StatusNotFound {
				k.mint(ctx, keymanager, "") // an earlier mint, or a deletion, was lost
			}
			w.doubt(ctx, o, struck)
		}
	}
}

// doubt asks every data plane at once about secrets that a change has just ended, which is when one would still accept them.
func (w *workload) doubt(ctx context.Context, o outcome, struck []secret) {
	if o.kind != done {
		return
	}
	var asking sync.WaitGroup
	for _, s := range struck {
		for i := range w.d.dataplanes {
			asking.Go(func() { w.d.verify(ctx, i, s) })
		}
	}
	asking.Wait()
}

// comeAndGo makes a context with keys and deletes it, over and over, under the same id.
func (w *workload) comeAndGo(ctx context.Context, random *rand.Rand, keys []*key) {
	for rest(ctx, random, 300*time.Millisecond) {
		w.d.change(ctx, random.IntN(keymanagers), http.MethodPost, w.fleeting(), nil)
		for _, k := range keys {
			k.mint(ctx, random.IntN(keymanagers), "")
		}
		if !rest(ctx, random, 1500*time.Millisecond) {
			return
		}
		o := w.d.change(ctx, random.IntN(keymanagers), http.MethodDelete, w.fleeting(), nil)
		for _, k := range keys {
			w.doubt(ctx, o, k.ended(o))
		}
	}
}

// expire mints keys that end by themselves.
func (w *workload) expire(ctx context.Context, random *rand.Rand, k *key) {
	for rest(ctx, random, 500*time.Millisecond) {
		k.remove(ctx, random.IntN(keymanagers))
		o := k.mint(ctx, random.IntN(keymanagers), fmt.Sprintf("?ttl_seconds=%d", shortLived))
		if o.kind != done {
			continue
		}
		current, _ := k.secrets()
		const life = shortLived * time.Second
		w.d.recorder.Add(history.Operation{
			Kind: history.Kill, Secret: current.label, From: o.from + life, To: o.to + life, Where: "its end", Detail: k.name,
		})
		rest(ctx, random, 2*life)
		w.d.verify(ctx, random.IntN(dataplanes), *current)
	}
}

// read verifies secrets, the current ones more often than those that are gone or were never made.
func (w *workload) read(ctx context.Context, random *rand.Rand) {
	for rest(ctx, random, 20*time.Millisecond) {
		k, dataplane := w.keys[random.IntN(len(w.keys))], random.IntN(dataplanes)
		current, others := k.secrets()
		switch n := random.IntN(100); {
		case n < 2 && current != nil:
			w.d.verify(ctx, dataplane, w.makeUp(current))
		case n < 30 && len(others) > 0:
			w.d.verify(ctx, dataplane, others[random.IntN(len(others))])
		case current != nil:
			w.d.verify(ctx, dataplane, *current)
		}
	}
}

// makeUp returns a well-formed secret, with the id of a key that exists, that was never any key's.
func (w *workload) makeUp(like *secret) secret {
	text, err := apikey.Mint(like.text.ID())
	if err != nil {
		w.d.t.Error(err)
		return *like
	}
	s := secret{label: like.text.ID() + " made up", context: like.context, text: text}
	found, known := w.madeUp.LoadOrStore(s.label, s)
	if known {
		if earlier, ok := found.(secret); ok {
			return earlier
		}
	}
	// Dead before anybody asked.
	w.d.recorder.Add(history.Operation{Kind: history.Kill, Secret: s.label, Where: "nowhere"})
	return s
}

// settle waits until every data plane knows again what every key is worth.
func (w *workload) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	for _, k := range w.keys {
		current, others := k.secrets()
		if current != nil {
			others = append(others, *current)
		}
		for _, s := range others {
			for i := range w.d.dataplanes {
				if err := w.answered(ctx, i, s); err != nil {
					return err
				}
			}
		}
	}
	return w.settleTokens(ctx)
}

func (w *workload) answered(ctx context.Context, dataplane int, s secret) error {
	for w.d.verify(ctx, dataplane, s).kind == "" {
		if ctx.Err() != nil {
			return fmt.Errorf("%s has not recovered %s after everything was healed", w.d.dataplanes[dataplane].name, recovery)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
