package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

var everything = scope.Region{scope.Everything}

func person(name string) entity.Ref { return entity.Ref{Type: "person", Name: name} }

func valued(ref entity.Ref, key, value string) entity.Triple {
	return entity.Triple{Entity: ref, Key: key, Value: &value, Category: memory.Knowledge}
}

func related(from entity.Ref, label string, to entity.Ref) entity.Triple {
	return entity.Triple{Entity: from, Key: label, Target: &to, Category: memory.Knowledge}
}

// assertion returns triples that nobody said, in one place, by a writer who may read everything.
func assertion(incarnation string, sets scope.Sets, triples ...entity.Triple) entity.Assertion {
	return entity.Assertion{
		Incarnation: incarnation, Sets: sets, Readable: everything, Triples: triples, Principal: "writer",
		Source: entity.Source{Kind: entity.FromTriples, Ref: "turn"}, At: start,
	}
}

func asserted(t testing.TB, s Store, a entity.Assertion) entity.Receipt {
	t.Helper()
	receipt, err := s.Assert(t.Context(), a)
	if err != nil {
		t.Fatalf("asserting: %v", err)
	}
	return receipt
}

func entities(t testing.TB, s Store, r entity.Reading) []entity.Entity {
	t.Helper()
	found, err := s.Entities(t.Context(), r, entity.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func attributes(t testing.TB, s Store, r entity.Reading, filter entity.AttributeFilter) []entity.Attribute {
	t.Helper()
	filter.Limit = 1000
	found, err := s.Attributes(t.Context(), r, filter)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func relations(t testing.TB, s Store, r entity.Reading) []entity.Relation {
	t.Helper()
	found, err := s.Relations(t.Context(), r, entity.RelationFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// place is the model of what is known under one scope set.
type place struct {
	sets             scope.Sets
	created, updated map[string]time.Time // by entity id
	values           map[[2]string]string // by entity id and key
	arrows           map[[3]string]bool
}

// model is a naive reference of a context: places that know nothing of each other.
type model struct {
	incarnation string
	places      map[fingerprint.Sum]*place
}

func (m *model) at(sets scope.Sets) *place {
	id := scopetree.SetID(sets)
	if m.places[id] == nil {
		m.places[id] = &place{sets, map[string]time.Time{}, map[string]time.Time{}, map[[2]string]string{}, map[[3]string]bool{}}
	}
	return m.places[id]
}

// known is when an entity was created and updated, as far as who reads region may know.
func (m *model) known(id string, region scope.Region) (created, updated time.Time) {
	for _, p := range m.places {
		at, there := p.created[id]
		if !there || !readable(p.sets, region) {
			continue
		}
		if created.IsZero() || at.Before(created) {
			created = at
		}
		if p.updated[id].After(updated) {
			updated = p.updated[id]
		}
	}
	return created, updated
}

// write is what the assertion of one triple does, and what its writer is to be told.
func (m *model) write(a entity.Assertion) (isNew map[string]bool, corrected string) {
	p, triple := m.at(a.Sets), a.Triples[0]
	ids := []string{triple.Entity.ID(m.incarnation)}
	if triple.Target != nil {
		ids = append(ids, triple.Target.ID(m.incarnation))
	}
	isNew = map[string]bool{}
	for _, id := range ids {
		created, _ := m.known(id, a.Readable)
		isNew[id] = created.IsZero()
	}
	changed := false
	if triple.Target == nil {
		k := [2]string{ids[0], triple.Key}
		old, there := p.values[k]
		if changed = !there || old != *triple.Value || !readable(p.sets, a.Readable); there && old != *triple.Value && readable(p.sets, a.Readable) {
			corrected = old
		}
		p.values[k] = *triple.Value
	} else {
		k := [3]string{ids[0], triple.Key, ids[1]}
		changed, p.arrows[k] = !p.arrows[k], true
	}
	for _, id := range ids {
		if _, there := p.created[id]; !there {
			p.created[id], p.updated[id] = a.At, a.At
		}
		if changed {
			p.updated[id] = a.At
		}
	}
	return isNew, corrected
}

var fewPaths = rapid.SampledFrom([]string{"a", "a/x", "b", "c"})

// places are few, so that assertions meet.
var places = rapid.Custom(func(t *rapid.T) scope.Sets {
	var out scope.Sets
	for _, clause := range rapid.SliceOfN(rapid.SliceOfN(fewPaths, 1, 2), 1, 2).Draw(t, "place") {
		var nodes []scope.Path
		for _, text := range clause {
			node, err := scope.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, node)
		}
		out = append(out, nodes)
	}
	return scopetree.Normal(out)
})

var fewRegions = rapid.Custom(func(t *rapid.T) scope.Region {
	var out scope.Region
	for _, text := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a/*", "b/*", "c", "/*"}), 0, 2).Draw(t, "region") {
		pattern, err := scope.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pattern)
	}
	return out.Normal()
})

// testEntityVisibility: what a writer is told and a reader sees is what the places that it may read hold, and nothing else.
func testEntityVisibility(t *testing.T, f Fixture) {
	names := rapid.SampledFrom([]string{"alice", "bob"})
	few := rapid.SampledFrom([]string{"k", "l"})
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{incarnation(), map[fingerprint.Sum]*place{}}
		for i := range rapid.IntRange(1, 8).Draw(rt, "assertions") {
			triple := valued(person(names.Draw(rt, "name")), few.Draw(rt, "key"), few.Draw(rt, "value"))
			if rapid.IntRange(0, 3).Draw(rt, "relation") == 0 {
				triple = related(person("alice"), few.Draw(rt, "label"), person("bob"))
			}
			a := assertion(m.incarnation, places.Draw(rt, "place"), triple)
			a.Readable, a.At = fewRegions.Draw(rt, "readable"), start.Add(time.Duration(i)*time.Second)
			isNew, corrected := m.write(a)
			receipt := asserted(t, f.Store, a)
			told := map[string]bool{}
			for _, each := range receipt.Entities {
				told[each.ID] = each.New
			}
			if diff := cmp.Diff(isNew, told); diff != "" {
				rt.Fatalf("new (-want +got):\n%s", diff)
			}
			if (len(receipt.Corrections) == 1) != (corrected != "") || corrected != "" && receipt.Corrections[0].Old != corrected {
				rt.Fatalf("corrected %q, told %+v", corrected, receipt.Corrections)
			}
		}
		for range 5 {
			m.check(t, rt, f.Store, fewRegions.Draw(rt, "reader"))
		}
	})
}

// check compares what who reads region is shown with the model.
func (m *model) check(t *testing.T, rt *rapid.T, s Store, region scope.Region) {
	reading := entity.Reading{Incarnation: m.incarnation, Region: region}
	wantEntities, wantValues, wantArrows := []string{}, []string{}, []string{}
	for _, name := range []string{"alice", "bob"} {
		created, updated := m.known(person(name).ID(m.incarnation), region)
		if !created.IsZero() {
			wantEntities = append(wantEntities, fmt.Sprint(name, created, updated))
		}
	}
	for _, p := range m.places {
		if !readable(p.sets, region) {
			continue
		}
		for k, value := range p.values {
			wantValues = append(wantValues, fmt.Sprint(k, value))
		}
		for k := range p.arrows {
			wantArrows = append(wantArrows, fmt.Sprint(k))
		}
	}
	gotEntities, gotValues, gotArrows := []string{}, []string{}, []string{}
	for _, e := range entities(t, s, reading) {
		gotEntities = append(gotEntities, fmt.Sprint(e.Name, e.CreatedAt, e.UpdatedAt))
	}
	for _, a := range attributes(t, s, reading, entity.AttributeFilter{}) {
		gotValues = append(gotValues, fmt.Sprint([2]string{a.EntityID, a.Key}, a.Value))
	}
	for _, r := range relations(t, s, reading) {
		gotArrows = append(gotArrows, fmt.Sprint([3]string{r.SubjectID, r.Label, r.ObjectID}))
	}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	for what, pair := range map[string][2][]string{
		"entities": {wantEntities, gotEntities}, "attributes": {wantValues, gotValues}, "relations": {wantArrows, gotArrows},
	} {
		if diff := cmp.Diff(pair[0], pair[1], sorted); diff != "" {
			rt.Fatalf("%s for %v (-want +got):\n%s", what, region, diff)
		}
	}
	// What queries find is the same.
	question := search(m.incarnation, "person")
	question.Region, question.Sources = region, []memory.Source{memory.AttributeSource}
	if hits := find(t, s, question); len(hits) != len(wantValues) {
		rt.Fatalf("%v finds %d of %d attributes", region, len(hits), len(wantValues))
	}
}

// testEntityRace: of many who write one key at once, one has the last word, and the others are its history, in a line.
func testEntityRace(t *testing.T, f Fixture) {
	in := incarnation()
	home := sets(t, []string{"org/acme"})
	const writers, each = 8, 5
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				// Clocks that disagree, and entities named in either order.
				a := assertion(in, home, valued(person("alice"), "k", fmt.Sprint(i, j)), valued(person("bob"), "k", fmt.Sprint(i, j)))
				a.At = start.Add(time.Duration(-i) * time.Second)
				if i%2 == 0 {
					slices.Reverse(a.Triples)
				}
				if _, err := f.Store.Assert(t.Context(), a); err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"alice", "bob"} {
		id := person(name).ID(in)
		history := attributes(t, f.Store, entity.Reading{Incarnation: in, Region: everything},
			entity.AttributeFilter{EntityID: id, Key: "k", Ended: true})
		if len(history) != writers*each {
			t.Fatalf("%d values in the history of %s", len(history), name)
		}
		for i, value := range history {
			if current := value.ValidUntil.IsZero(); current != (i == 0) {
				t.Errorf("value %d of %s is current: %t", i, name, current)
			}
			if i > 0 && (value.SupersededBy != history[i-1].ID || history[i-1].Supersedes != value.ID || !history[i-1].CreatedAt.After(value.CreatedAt)) {
				t.Errorf("value %d of %s is not linked with the one after it", i, name)
			}
		}
	}
	if found := entities(t, f.Store, entity.Reading{Incarnation: in, Region: everything}); len(found) != 2 {
		t.Errorf("%d entities", len(found))
	}
}

// testEntityPages: entities come by type and name, a page at a time.
func testEntityPages(t *testing.T, f Fixture) {
	in := incarnation()
	home := sets(t, []string{"org/acme"})
	for _, name := range []string{"b", "a", "B", "é"} {
		asserted(t, f.Store, assertion(in, home, valued(person(name), "k", "v"), valued(entity.Ref{Type: "org", Name: name}, "k", "v")))
	}
	r := entity.Reading{Incarnation: in, Region: region(t, "org/acme")}
	var got []string
	for offset := 0; ; offset += 3 {
		page, err := f.Store.Entities(t.Context(), r, entity.Page{Limit: 3, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			got = append(got, e.Type+"/"+e.Name)
		}
		if len(page) < 3 {
			break
		}
	}
	want := []string{"org/B", "org/a", "org/b", "org/é", "person/B", "person/a", "person/b", "person/é"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	found, err := f.Store.Entities(t.Context(), r, entity.Page{Type: "org", Limit: 100})
	if err != nil || len(found) != 4 {
		t.Errorf("of one type: %d, %v", len(found), err)
	}
	if found = entities(t, f.Store, entity.Reading{Incarnation: in, Region: region(t, "org/beta/*")}); len(found) != 0 {
		t.Errorf("elsewhere: %v", found)
	}
	if found = entities(t, f.Store, entity.Reading{Incarnation: incarnation(), Region: everything}); len(found) != 0 {
		t.Errorf("in another context: %v", found)
	}
}

// said returns a with a turn and a text of its own.
func said(a entity.Assertion, text string) entity.Assertion {
	w := write(a.Incarnation, text, a.Sets)
	a.Said, a.Source.Ref, a.Source.SessionID = &w, w.Turn.ID, w.Session.ID
	return a
}

// testFailedAssertion: an assertion whose session has gone leaves nothing behind.
func testFailedAssertion(t *testing.T, f Fixture) {
	in := incarnation()
	a := said(assertion(in, sets(t, []string{"org/acme"}), valued(person("alice"), "k", "v")), "otter")
	a.Said.NewSession, a.Said.Session.ID = false, session.NewID()
	if _, err := f.Store.Assert(t.Context(), a); err == nil {
		t.Fatal("want a failure")
	}
	if n := f.Rows(t, in); n != 0 {
		t.Errorf("%d rows were left", n)
	}
}
