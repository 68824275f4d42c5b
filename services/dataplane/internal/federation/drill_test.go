package federation_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// flaky is a link that fails in every way a link does: the question is lost, or the answer, or a part of it, or it is late.
func flaky(seed uint64) func(http.ResponseWriter, *http.Request, http.Handler) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, seed))
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch draw(10) {
		case 0, 1:
			panic(http.ErrAbortHandler)
		case 2, 3:
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			w.WriteHeader(answer.Code)
			body := answer.Body.Bytes()
			_, _ = w.Write(body[:draw(len(body)+1)])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 4:
			w.WriteHeader(http.StatusBadGateway)
		case 5:
			time.Sleep(time.Duration(draw(20)) * time.Millisecond)
			next.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	}
}

// TestTwoServersFederateAThread is the drill: both write, each pulls from the other, the link fails all the time, and both are
// stopped and started. In the end both have all that either has acknowledged, and nothing else.
func TestTwoServersFederateAThread(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		a, b := newNode(t, url), newNode(t, dbtest.SQLite(t))
		ab, ba := a.pull(b), b.pull(a)
		a.setLink(flaky(seed))
		b.setLink(flaky(seed + 1))

		const each = 120
		said, unsure := make([][]string, 2), make([]int, 2)
		var writers sync.WaitGroup
		for i, n := range []*node{a, b} {
			writers.Go(func() { said[i], unsure[i] = n.babble(i, each) })
		}
		for _, n := range []*node{b, b, a, b} {
			time.Sleep(150 * time.Millisecond)
			n.stop()
			time.Sleep(50 * time.Millisecond)
			n.start()
		}
		writers.Wait()
		all := slices.Sorted(slices.Values(slices.Concat(said...)))
		if len(slices.Compact(slices.Clone(all))) != 2*each {
			t.Fatal("two records have the same id")
		}
		eventually(t, "both have all", func() bool { return a.has(all...)() && b.has(all...)() && slices.Equal(a.ids(), b.ids()) })
		if diff := cmp.Diff(a.ids(), b.ids()); diff != "" {
			t.Errorf("they differ: %s", diff)
		}
		if got, most := len(a.ids()), len(all)+unsure[0]+unsure[1]; got > most {
			t.Errorf("%d records are there, of %d that were acknowledged or may have been stored", got, most)
		}
		a.setLink(nil)
		b.setLink(nil)
		t.Logf("a pulled %+v, b pulled %+v", a.pair(ab.ID).Stats, b.pair(ba.ID).Stats)
		calm(t, a, ab.ID)
		calm(t, b, ba.ID)
	})
}

// calm shows that what was pulled does not go round: after the feeds are equal, further pulls bring nothing.
func calm(t *testing.T, n *node, pair string) {
	t.Helper()
	eventually(t, "it is active again", func() bool { return n.pair(pair).State == "active" })
	settled := n.pair(pair).Stats
	eventually(t, "three quiet pulls", func() bool {
		now := n.pair(pair).Stats
		if now.Pulled != settled.Pulled || now.Known != settled.Known {
			settled = now
		}
		return now.Pulls >= settled.Pulls+3
	})
}

// babble appends records, whenever the node runs, until so many are acknowledged.
func (n *node) babble(writer, count int) (acknowledged []string, unsure int) {
	for i := 0; len(acknowledged) < count; i++ {
		live := n.now()
		if live == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		// Each try says something else: of one that was not acknowledged nobody knows whether it was stored.
		id, err := live.say(n.t.Context(), thread, fmt.Sprintf("writer %d, %d", writer, i))
		if err == nil {
			acknowledged = append(acknowledged, id)
		} else {
			unsure++
		}
		time.Sleep(time.Millisecond)
	}
	return acknowledged, unsure
}
