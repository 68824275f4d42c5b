package storetest

import (
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/lifecycle"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// assert says of ann, at a time, that key is value, in a category, in the places of sets.
func assert(t *testing.T, s Store, incarnation string, at time.Time, key, value string, category memory.Category, sets scope.Sets) {
	t.Helper()
	now := func() time.Time { return at }
	who := &caller.Caller{Incarnation: incarnation, Principal: &caller.Principal{ID: "writer"}, Effective: grant.All()}
	for _, clause := range sets {
		for _, node := range clause {
			if _, err := s.Register(t.Context(), incarnation, scopetree.Node{Path: node, CreatedAt: start}); err != nil {
				t.Fatal(err)
			}
		}
	}
	entities := entity.New(s, memory.New(s, scopetree.New(s, now), now), now)
	_, err := entities.Assert(t.Context(), who, memory.Fact{Sets: sets, Role: session.User},
		[]entity.Triple{{Entity: entity.Ref{Type: "person", Name: "ann"}, Key: key, Value: &value, Category: category}})
	if err != nil {
		t.Fatal(err)
	}
}

func importances(t *testing.T, s Store, incarnation string) (ann float64, values map[string]float64) {
	t.Helper()
	everything := entity.Reading{Incarnation: incarnation, Region: scope.Region{scope.Everything}}
	entities, err := s.Entities(t.Context(), everything, entity.Page{Limit: 10})
	if err != nil || len(entities) != 1 {
		t.Fatalf("%d entities, %v", len(entities), err)
	}
	attributes, err := s.Attributes(t.Context(), everything, entity.AttributeFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	values = map[string]float64{}
	for _, each := range attributes {
		values[each.Key] = each.Importance
	}
	return entities[0].Importance, values
}

func testDecay(t *testing.T, f Fixture) {
	in := incarnation()
	here, there := sets(t, []string{"org/here"}), sets(t, []string{"org/here", "org/there"})
	later := start.Add(lifecycle.HalfLife)
	assert(t, f.Store, in, start, "old", "1", memory.Knowledge, here)
	assert(t, f.Store, in, later, "new", "1", memory.Knowledge, here)
	assert(t, f.Store, in, start, "shared", "1", memory.Knowledge, there)
	decay := func(region scope.Region, at time.Time) int {
		t.Helper()
		n, err := f.Store.Decay(t.Context(), in, region, at)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	everything := scope.Region{scope.Everything}
	if n := decay(everything, start.Add(lifecycle.HalfLife-time.Second)); n != 0 {
		t.Errorf("before the time %d rows lost importance", n)
	}
	// The entity was written later here, and is not all of this caller's there.
	if n := decay(region(t, "org/here/*"), later); n != 1 {
		t.Errorf("in a part of the region %d rows changed", n)
	}
	if n := decay(everything, later); n != 2 {
		t.Errorf("of the rest %d rows changed", n)
	}
	if n := decay(everything, later); n != 0 {
		t.Errorf("the second time %d rows changed", n)
	}
	ann, values := importances(t, f.Store, in)
	if ann != entity.Importance || values["old"] != entity.Importance/2 || values["new"] != entity.Importance || values["shared"] != entity.Importance/2 {
		t.Errorf("importance of ann %v, of %v", ann, values)
	}
	decay(everything, start.Add(3*lifecycle.HalfLife+time.Hour))
	if ann, values = importances(t, f.Store, in); ann != entity.Importance/4 || values["old"] != entity.Importance/8 || values["new"] != entity.Importance/4 {
		t.Errorf("later: ann %v, %v", ann, values)
	}
	assert(t, f.Store, in, start.Add(4*lifecycle.HalfLife), "newest", "1", memory.Knowledge, here)
	if ann, _ = importances(t, f.Store, in); ann != entity.Importance {
		t.Errorf("a write leaves ann at %v", ann)
	}
	decay(everything, start.Add(1000*lifecycle.HalfLife))
	if ann, _ = importances(t, f.Store, in); ann <= 0 || ann > 1e-6 {
		t.Errorf("after a century ann has %v", ann)
	}
	if n := decay(region(t, "elsewhere/*"), start.Add(2000*lifecycle.HalfLife)); n != 0 {
		t.Errorf("elsewhere %d rows changed", n)
	}
}

func testExpire(t *testing.T, f Fixture) {
	in := incarnation()
	here := sets(t, []string{"org/here"})
	for i, value := range []string{"otter", "badger"} {
		at := start.Add(time.Duration(i) * time.Hour)
		assert(t, f.Store, in, at, "mood", value, memory.Context, here)
		assert(t, f.Store, in, at, "name", value, memory.Identity, here)
	}
	then := search(in, "otter")
	then.AsOf = start
	if n := len(find(t, f.Store, then)); n != 2 {
		t.Fatalf("of what was then, %d are found", n)
	}
	at := start.Add(2 * time.Hour)
	if n, err := f.Store.Expire(t.Context(), in, region(t, "org/there/*"), at); err != nil || n != 0 {
		t.Errorf("elsewhere: %d, %v", n, err)
	}
	if n, err := f.Store.Expire(t.Context(), in, region(t, "org/here"), at); err != nil || n != 1 {
		t.Errorf("expired %d, %v", n, err)
	}
	if n, err := f.Store.Expire(t.Context(), in, region(t, "org/here"), at); err != nil || n != 0 {
		t.Errorf("again %d, %v", n, err)
	}
	if n := len(find(t, f.Store, then)); n != 1 {
		t.Errorf("afterwards %d are found", n)
	}
	if n := len(find(t, f.Store, search(in, "badger"))); n != 2 {
		t.Errorf("of what is current, %d are found", n)
	}
}

func testTombstone(t *testing.T, f Fixture) {
	in := incarnation()
	register(t, f.Store, in, "a")
	for _, text := range []string{"a", "a", "never/registered"} {
		tombstone(t, f.Store, in, text)
	}
	if err := f.Store.Tombstone(t.Context(), in, path(t, "a"), start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	nodes, err := f.Store.Nodes(t.Context(), in, region(t, "/*"), wholePage)
	if err != nil || len(nodes) != 2 {
		t.Fatalf("%v, %v", nodes, err)
	}
	for _, node := range nodes {
		if !node.TombstonedAt.Equal(start.Add(time.Minute)) {
			t.Errorf("%s ended at %v", node.Path, node.TombstonedAt)
		}
	}
	if node := register(t, f.Store, in, "a"); !node.TombstonedAt.IsZero() {
		t.Error("registering did not end the tombstone")
	}
}

func testForgetUnder(t *testing.T, f Fixture) {
	in, other := incarnation(), incarnation()
	gone := [][]string{{"org/acme"}, {"org/acme/user"}, {"org/acme/user", "org/beta"}}
	stays := [][]string{{"org/acmex"}, {"org"}, {"org/beta"}}
	fill := func(in string, clauses [][]string) {
		for _, clause := range clauses {
			w := batch(in, sets(t, clause), "otter", "another otter")
			w.Session.Principal = "p"
			if _, err := f.Store.RememberAll(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			assert(t, f.Store, in, start, "key", "otter", memory.Identity, sets(t, clause))
		}
	}
	fill(in, stays)
	fill(in, gone)
	fill(other, gone)
	ofOther := f.Rows(t, other)
	// A text of the place in a conversation that is held elsewhere.
	home := batch(in, sets(t, []string{"org/beta"}), "stays")
	if _, err := f.Store.RememberAll(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	inside := batch(in, sets(t, []string{"org/acme"}), "otter inside")
	inside.Session, inside.NewSession = home.Session, false
	if _, err := f.Store.RememberAll(t.Context(), inside); err != nil {
		t.Fatal(err)
	}
	n, err := f.Store.ForgetUnder(t.Context(), in, path(t, "org/acme"))
	if err != nil || n != 3*(2+2)+1 { // two texts, an entity and its attribute each
		t.Errorf("forgot %d, %v", n, err)
	}
	if left := count(t, f.Store, in, "otter"); left != 3*3 {
		t.Errorf("%d are found", left)
	}
	turns, err := f.Store.Turns(t.Context(), session.Conversation{Incarnation: in, Region: region(t, "/*"), ID: home.Session.ID}, session.Page{Limit: 9})
	if err != nil || len(turns) != 1 || turns[0].Content != "stays" {
		t.Errorf("turns: %v, %v", turns, err)
	}
	if again, err := f.Store.ForgetUnder(t.Context(), in, path(t, "org/acme")); err != nil || again != 0 {
		t.Errorf("again: %d, %v", again, err)
	}
	if f.Rows(t, other) != ofOther || ofOther == 0 {
		t.Error("another context lost rows")
	}
	if all, err := f.Store.ForgetUnder(t.Context(), in, scope.Root); err != nil || all == 0 || count(t, f.Store, in, "otter stays") != 0 {
		t.Errorf("everything: %d, %v", all, err)
	}
}
