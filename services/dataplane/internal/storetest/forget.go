package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

// forgetting returns what forgets everything that query finds.
func forgetting(incarnation, query string) memory.Forgetting {
	return memory.Forgetting{
		Incarnation: incarnation, Terms: memory.Terms(query), Region: everything, At: start.Add(time.Hour), Limit: 100,
	}
}

func forget(t testing.TB, s Store, what memory.Forgetting) int {
	t.Helper()
	counted, err := s.CountForgettable(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Forget(t.Context(), what)
	if err != nil {
		t.Fatalf("forgetting: %v", err)
	}
	if counted != n {
		t.Errorf("counted %d, forgot %d", counted, n)
	}
	return n
}

// seedAlice makes a place know of alice: an old and a new address, a friend, and a text.
func seedAlice(t testing.TB, s Store, in string, home scope.Sets) {
	t.Helper()
	asserted(t, s, assertion(in, home, valued(person("alice"), "email", "otter@old"), related(person("alice"), "knows", person("bob"))))
	asserted(t, s, said(assertion(in, home, valued(person("alice"), "email", "badger@new")), "alice has moved"))
}

// testPurgeTakesAnswers: of an entity without attributes, the answers that name it go, too.
func testPurgeTakesAnswers(t *testing.T, f Fixture) {
	for name, purge := range map[string]func(in string) error{
		"by query": func(in string) error {
			what := forgetting(in, "alice bob")
			what.Purge = true
			_, err := f.Store.Forget(t.Context(), what)
			return err
		},
		"by scope": func(in string) error {
			_, err := f.Store.ForgetUnder(t.Context(), in, path(t, "org/acme"))
			return err
		},
	} {
		in := incarnation()
		known := assertion(in, sets(t, []string{"org/acme"}), related(person("alice"), "knows", person("bob")))
		asserted(t, f.Store, known)
		before := f.Rows(t, in)
		known.Once = &idempotency.Key{Incarnation: in, Principal: "p", Route: "r", Key: "k"}
		asserted(t, f.Store, known)
		if f.Rows(t, in) != before+1 {
			t.Fatal("the answer was not kept")
		}
		if err := purge(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Left is where it lived.
		if left := f.Rows(t, in); left != 1 {
			t.Errorf("%s: %d rows are left", name, left)
		}
	}
}

func testForgetSoftly(t *testing.T, f Fixture) {
	in := incarnation()
	home, r := sets(t, []string{"org/acme"}), entity.Reading{Incarnation: in, Region: everything}
	seedAlice(t, f.Store, in, home)
	if n := forget(t, f.Store, forgetting(in, "badger")); n != 1 {
		t.Errorf("forgot %d", n)
	}
	id := person("alice").ID(in)
	if found := attributes(t, f.Store, r, entity.AttributeFilter{EntityID: id}); len(found) != 0 {
		t.Errorf("still current: %+v", found)
	}
	history := attributes(t, f.Store, r, entity.AttributeFilter{EntityID: id, Key: "email", Ended: true})
	if len(history) != 2 || !history[0].ValidUntil.Equal(start.Add(time.Hour)) || history[0].SupersededBy != "" {
		t.Errorf("history: %+v", history)
	}
	// Not at any time: neither the value that was forgotten nor the one before it.
	for _, at := range []time.Time{{}, start, start.Add(time.Second)} {
		question := search(in, "badger otter")
		question.AsOf = at
		if hits := find(t, f.Store, question); len(hits) != 0 {
			t.Errorf("found as of %v: %v", at, texts(hits))
		}
	}
	if n := forget(t, f.Store, forgetting(in, "alice")); n != 2 { // the entity and the text
		t.Errorf("forgot %d", n)
	}
	if found := entities(t, f.Store, r); len(found) != 1 || found[0].Name != "bob" {
		t.Errorf("entities: %+v", found)
	}
	if found := relations(t, f.Store, r); len(found) != 0 {
		t.Errorf("relations: %+v", found)
	}
	if n := forget(t, f.Store, forgetting(in, "alice")); n != 0 {
		t.Errorf("forgot %d again", n)
	}
	// What is asserted later is new, and its history goes on.
	receipt := asserted(t, f.Store, assertion(in, home, valued(person("alice"), "email", "heron@newest")))
	if !receipt.Entities[0].New || len(receipt.Corrections) != 0 {
		t.Errorf("afterwards: %+v", receipt)
	}
	history = attributes(t, f.Store, r, entity.AttributeFilter{EntityID: id, Key: "email", Ended: true})
	if len(history) != 3 || len(entities(t, f.Store, r)) != 2 {
		t.Errorf("afterwards: %+v", history)
	}
}

func testForgetForGood(t *testing.T, f Fixture) {
	in := incarnation()
	home := sets(t, []string{"org/acme"})
	before := f.Rows(t, in)
	seedAlice(t, f.Store, in, home)
	softly := forgetting(in, "badger")
	forget(t, f.Store, softly)
	for _, query := range []string{"otter badger alice", "bob", "moved"} {
		purge := forgetting(in, query)
		purge.Purge = true
		forget(t, f.Store, purge)
	}
	r := entity.Reading{Incarnation: in, Region: everything}
	if found := attributes(t, f.Store, r, entity.AttributeFilter{Ended: true}); len(found) != 0 {
		t.Errorf("history is left: %+v", found)
	}
	// Left are the session and where it lives.
	if left := f.Rows(t, in) - before; left != 2 {
		t.Errorf("%d rows are left", left)
	}
}

// testPurgeTakesHistory: the history of a value goes with it, although the words do not find it.
func testPurgeTakesHistory(t *testing.T, f Fixture) {
	in := incarnation()
	seedAlice(t, f.Store, in, sets(t, []string{"org/acme"}))
	seedAlice(t, f.Store, in, sets(t, []string{"org/beta"}))
	purge := forgetting(in, "badger")
	purge.Purge, purge.Region = true, region(t, "org/acme/*")
	if n := forget(t, f.Store, purge); n != 1 {
		t.Errorf("forgot %d", n)
	}
	for place, want := range map[string]int{"org/acme": 0, "org/beta": 2} {
		r := entity.Reading{Incarnation: in, Region: region(t, place)}
		if found := attributes(t, f.Store, r, entity.AttributeFilter{Ended: true}); len(found) != want {
			t.Errorf("%s: %+v", place, found)
		}
	}
}

// testForgettable: a row is forgotten by whoever holds all of its nodes, and by nobody else.
func testForgettable(t *testing.T, f Fixture) {
	rapid.Check(t, func(rt *rapid.T) {
		in := incarnation()
		mine := fewRegions.Filter(func(r scope.Region) bool { return len(r) > 0 }).Draw(rt, "region")
		var kept []string
		for i, where := range rapid.SliceOfNDistinct(places, 1, 5, func(s scope.Sets) string { return string(scopetreeKey(s)) }).Draw(rt, "places") {
			name := "otter" + strings.Repeat("x", i)
			asserted(t, f.Store, assertion(in, where, valued(person(name), "k", "v")))
			owned := !slices.ContainsFunc(slices.Concat(where...), func(node scope.Path) bool { return !mine.Matches(node) })
			if !owned {
				kept = append(kept, name)
			}
		}
		what := forgetting(in, "person")
		what.Region = mine
		forget(t, f.Store, what)
		var got []string
		for _, e := range entities(t, f.Store, entity.Reading{Incarnation: in, Region: everything}) {
			got = append(got, e.Name)
		}
		if diff := cmp.Diff(kept, got); diff != "" {
			rt.Fatalf("%v leaves (-want +got):\n%s", mine, diff)
		}
	})
}

func scopetreeKey(s scope.Sets) []byte {
	sum := scopetree.SetID(s)
	return sum[:]
}

// testForgetInParts: what one transaction leaves the next one takes.
func testForgetInParts(t *testing.T, f Fixture) {
	in := incarnation()
	for _, text := range numbered("otter ", 5) {
		remember(t, f.Store, write(in, text, sets(t, []string{"org/acme"})))
	}
	remember(t, f.Store, write(in, "heron", sets(t, []string{"org/acme"})))
	what := forgetting(in, "otter")
	what.Limit = 2
	var counts []int
	for range 4 {
		n, err := f.Store.Forget(t.Context(), what)
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if diff := cmp.Diff([]int{2, 2, 1, 0}, counts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if count(t, f.Store, in, "heron") != 1 {
		t.Error("something else was forgotten too")
	}
}

func testForgetEntity(t *testing.T, f Fixture) {
	in := incarnation()
	seedAlice(t, f.Store, in, sets(t, []string{"org/acme"}))
	seedAlice(t, f.Store, in, sets(t, []string{"org/beta"}))
	id := person("alice").ID(in)
	n, err := f.Store.ForgetEntity(t.Context(), in, id, region(t, "org/acme/*", "org/gamma"), start.Add(time.Hour))
	if err != nil || n != 1 {
		t.Fatalf("forgot it in %d places, %v", n, err)
	}
	acme, beta := entity.Reading{Incarnation: in, Region: region(t, "org/acme")}, entity.Reading{Incarnation: in, Region: region(t, "org/beta")}
	if found := entities(t, f.Store, acme); len(found) != 1 || found[0].Name != "bob" {
		t.Errorf("acme knows %+v", found)
	}
	if len(attributes(t, f.Store, acme, entity.AttributeFilter{}))+len(relations(t, f.Store, acme)) != 0 {
		t.Error("acme knows something of it")
	}
	if len(entities(t, f.Store, beta)) != 2 || len(attributes(t, f.Store, beta, entity.AttributeFilter{})) != 1 ||
		len(relations(t, f.Store, beta)) != 1 {
		t.Error("beta lost something")
	}
	question := search(in, "person")
	question.Region = acme.Region
	if diff := cmp.Diff([]string{"bob (person)"}, texts(find(t, f.Store, question))); diff != "" {
		t.Errorf("found in acme (-want +got):\n%s", diff)
	}
}
