package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
)

// lease is longer than any test takes.
const lease = time.Hour

// longAgo is when a lease ended that the tests end.
var longAgo = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

func kept(id string, sealed []byte) federation.Kept {
	return federation.Kept{ID: id, PeerDID: "did:x", PeerURL: "http://" + id, Thread: "th_a", PeerActor: "did:me", Sealed: sealed}
}

func keepPair(t *testing.T, s Store, space string, k federation.Kept) federation.Pair {
	t.Helper()
	pair, err := s.KeepPair(t.Context(), space, k)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// claimed returns the claims of the replica in one space: the other tests have theirs in the same table.
func claimed(t *testing.T, s Store, replica, space string) (out []federation.Claim) {
	t.Helper()
	claims, err := s.ClaimPairs(t.Context(), replica, lease)
	if err != nil {
		t.Fatal(err)
	}
	for _, claim := range claims {
		if claim.Space == space {
			out = append(out, claim)
		}
	}
	return out
}

func testPairs(t *testing.T, f Fixture) {
	in, other := incarnation(), incarnation()
	first := keepPair(t, f.Store, in, kept("a", []byte("sealed")))
	want := federation.Pair{
		ID: "a", PeerDID: "did:x", PeerURL: "http://a", Thread: "th_a", PeerActor: "did:me", State: federation.Active, HasToken: true,
	}
	if diff := cmp.Diff(want, first, cmpopts.IgnoreFields(federation.Pair{}, "CreatedAt")); diff != "" || first.CreatedAt.IsZero() {
		t.Errorf("made (-want +got): %s", diff)
	}
	again := kept("a", nil)
	again.PeerActor = "did:other"
	if got := keepPair(t, f.Store, in, again); got.PeerActor != "did:other" || !got.HasToken || !got.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("made again: %+v", got)
	}
	if got := keepPair(t, f.Store, in, kept("b", nil)); got.HasToken {
		t.Error("has a token that nobody gave")
	}
	keepPair(t, f.Store, other, kept("a", nil))
	pairs, err := f.Store.Pairs(t.Context(), in)
	if err != nil || len(pairs) != 2 || pairs[0].ID != "a" || pairs[1].ID != "b" {
		t.Errorf("listed: %+v, %v", pairs, err)
	}
	paused, err := f.Store.TouchPair(t.Context(), in, "a", new(true))
	if err != nil || paused.State != federation.Paused {
		t.Errorf("paused: %+v, %v", paused, err)
	}
	if got, err := f.Store.TouchPair(t.Context(), in, "a", nil); err != nil || got.State != federation.Paused {
		t.Errorf("touched: %+v, %v", got, err)
	}
	if got, err := f.Store.Pair(t.Context(), other, "a"); err != nil || got.State != federation.Active {
		t.Errorf("the other context's: %+v, %v", got, err)
	}
	if err := f.Store.ForgetPair(t.Context(), in, "a"); err != nil {
		t.Error(err)
	}
	_, getErr := f.Store.Pair(t.Context(), in, "a")
	_, touchErr := f.Store.TouchPair(t.Context(), in, "a", nil)
	for _, err := range []error{f.Store.ForgetPair(t.Context(), in, "a"), getErr, touchErr} {
		if !errors.Is(err, fault.NotFound) {
			t.Errorf("of what is gone: %v", err)
		}
	}
	if _, err := f.Store.Pair(t.Context(), other, "a"); err != nil {
		t.Errorf("the other context's is gone, too: %v", err)
	}
}

func testPairsAreBounded(t *testing.T, f Fixture) {
	in := incarnation()
	for _, id := range numbered("p", federation.MaxPairs) {
		keepPair(t, f.Store, in, kept(id, nil))
	}
	if _, err := f.Store.KeepPair(t.Context(), in, kept("more", nil)); !errors.Is(err, fault.Conflict) {
		t.Errorf("one more: %v", err)
	}
	keepPair(t, f.Store, in, kept("p0", nil))
	keepPair(t, f.Store, incarnation(), kept("more", nil))
}

// testClaims runs its parts one after the other: a replica claims the pairs of all contexts.
func testClaims(t *testing.T, f Fixture) {
	for _, each := range []struct {
		name string
		test func(*testing.T, Fixture)
	}{{"one replica has a pair", testOneReplicaHasAPair}, {"replicas race", testReplicasRaceForPairs}, {"pulling", testPulling}} {
		t.Run(each.name, func(t *testing.T) { each.test(t, f) })
	}
}

func testOneReplicaHasAPair(t *testing.T, f Fixture) {
	in, mine, theirs := incarnation(), incarnation(), incarnation()
	keepPair(t, f.Store, in, kept("a", []byte("sealed")))
	claims := claimed(t, f.Store, mine, in)
	if len(claims) != 1 || string(claims[0].Sealed) != "sealed" || claims[0].PeerURL != "http://a" {
		t.Fatalf("claimed %+v", claims)
	}
	claim := claims[0]
	if again := claimed(t, f.Store, mine, in); len(again) != 1 || again[0].Version != claim.Version {
		t.Errorf("claimed again: %+v", again)
	}
	if got := claimed(t, f.Store, theirs, in); len(got) != 0 {
		t.Errorf("another replica has it as well: %+v", got)
	}
	if err := f.Store.PairPulled(t.Context(), theirs, claim, federation.Progress{Cursor: "theirs"}); !errors.Is(err, federation.ErrLost) {
		t.Errorf("another replica pulls: %v", err)
	}
	f.Exec(t, "UPDATE sync_pairs SET held_until = ? WHERE context_id = ?", longAgo, in)
	if got := claimed(t, f.Store, theirs, in); len(got) != 1 {
		t.Errorf("nobody has it after the lease: %+v", got)
	}
	for what, err := range map[string]error{
		"pulls": f.Store.PairPulled(t.Context(), mine, claim, federation.Progress{Cursor: "late"}),
		"fails": f.Store.PairFailed(t.Context(), mine, claim, federation.Failure{Reason: "late"}),
	} {
		if !errors.Is(err, federation.ErrLost) {
			t.Errorf("whose lease has ended %s: %v", what, err)
		}
	}
	if err := f.Store.ReleasePairs(t.Context(), theirs); err != nil {
		t.Error(err)
	}
	if got := claimed(t, f.Store, mine, in); len(got) != 1 || got[0].Cursor != "" || got[0].LastError != "" {
		t.Errorf("after the other has released it: %+v", got)
	}
}

func testReplicasRaceForPairs(t *testing.T, f Fixture) {
	in := incarnation()
	for _, id := range numbered("p", 20) {
		keepPair(t, f.Store, in, kept(id, nil))
	}
	replicas := []string{incarnation(), incarnation(), incarnation(), incarnation()}
	got := make([]int, len(replicas))
	var group sync.WaitGroup
	for i, replica := range replicas {
		group.Go(func() { got[i] = len(claimed(t, f.Store, replica, in)) })
	}
	group.Wait()
	total := 0
	for _, n := range got {
		total += n
	}
	if total != 20 {
		t.Errorf("of 20 pairs the replicas have %v", got)
	}
}

func testPulling(t *testing.T, f Fixture) {
	in, mine := incarnation(), incarnation()
	keepPair(t, f.Store, in, kept("a", nil))
	claim := claimed(t, f.Store, mine, in)[0]
	if err := f.Store.PairFailed(t.Context(), mine, claim, federation.Failure{Reason: "no luck", Refused: 3}); err != nil {
		t.Fatal(err)
	}
	pair, err := f.Store.Pair(t.Context(), in, "a")
	if err != nil || pair.State != federation.Failing || pair.LastError != "no luck" || !pair.LastPulledAt.IsZero() {
		t.Errorf("after a failure: %+v, %v", pair, err)
	}
	for range 2 {
		if err := f.Store.PairPulled(t.Context(), mine, claim, federation.Progress{Cursor: "c", Pulled: 5, Known: 7}); err != nil {
			t.Fatal(err)
		}
	}
	pair, err = f.Store.Pair(t.Context(), in, "a")
	want := federation.Stats{Pulled: 10, Known: 14, Refused: 3, Pulls: 2, Failures: 1}
	if err != nil || pair.State != federation.Active || pair.LastError != "" || pair.Cursor != "c" || pair.Stats != want || pair.LastPulledAt.IsZero() {
		t.Errorf("after two successes: %+v, %v", pair, err)
	}
	if _, err := f.Store.TouchPair(t.Context(), in, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Store.PairPulled(t.Context(), mine, claim, federation.Progress{Cursor: "d"}); !errors.Is(err, federation.ErrLost) {
		t.Errorf("by an older version: %v", err)
	}
	claim = claimed(t, f.Store, mine, in)[0]
	if claim.Cursor != "c" {
		t.Errorf("goes on behind %q", claim.Cursor)
	}
	if _, err := f.Store.TouchPair(t.Context(), in, "a", new(true)); err != nil {
		t.Fatal(err)
	}
	if got := claimed(t, f.Store, mine, in); len(got) != 0 {
		t.Errorf("claimed while paused: %+v", got)
	}
	if _, err := f.Store.TouchPair(t.Context(), in, "a", new(false)); err != nil {
		t.Fatal(err)
	}
	if got := claimed(t, f.Store, mine, in); len(got) != 1 {
		t.Errorf("claimed after it was resumed: %+v", got)
	}
}
