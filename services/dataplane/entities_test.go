package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// extraction is what POST /facts says of triples.
type extraction struct {
	Mode, SessionID, TurnID, ChunkID string
	Extraction                       struct {
		TurnID   string
		Entities []struct {
			ID, Name, EntityType, MemoryCategory string
			IsNew                                bool
		}
		Attributes                  []struct{ ID, EntityID, Key, Value, MemoryCategory string }
		Relations                   []struct{ Subject, Label, Object, MemoryCategory string }
		Instructions, Uncertainties []any
		Corrections                 []correction
	}
}

type correction struct{ EntityID, Key, OldValue, NewValue string }

type entityBody struct {
	ID, Name, EntityType, MemoryCategory string
	Importance                           *float64
	CreatedAt, UpdatedAt                 string
}

type attributeBody struct {
	ID, Entity, Key, Value, MemoryCategory string
	Importance                             *float64
	CreatedAt, ValidFrom, ValidUntil       string
	Supersedes, SupersededBy               string
	Source                                 struct{ Kind, Ref, SessionID string }
}

type relationBody struct {
	ID, Subject, Label, Object, MemoryCategory string
	CreatedAt, ValidFrom, ValidUntil           string
	Source                                     struct{ Kind, Ref, SessionID string }
}

type detail struct {
	Entity     entityBody
	Attributes []attributeBody
	Relations  []relationBody
}

type history struct{ History []attributeBody }

func values(attributes []attributeBody) []string {
	out := []string{}
	for _, each := range attributes {
		out = append(out, each.Key+"="+each.Value)
	}
	return out
}

// assert sends POST /facts with infer triples; more is what else the request holds.
func (p *plane) assert(t *testing.T, key, triples, more string, headers ...string) (out extraction) {
	t.Helper()
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/facts", `{"infer":"triples","triples":[`+triples+`]`+more+`}`, headers...)
	return out
}

func attribute(name, key, value string) string {
	return `{"entity":{"type":"person","name":"` + name + `"},"key":"` + key + `","value":"` + value + `"}`
}

func (p *plane) register(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		p.ok(t, new(node), p.admin(t), http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+path+`"}`)
	}
}

func TestANewValueSupersedesTheOldOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		first := p.assert(t, admin, attribute("alice", "email", "a@old.example"), `,"text":"Alice writes from the old address","memory_category":"identity"`)
		if first.Mode != "triples" || first.SessionID == "" || first.TurnID == "" || first.ChunkID == "" || first.Extraction.TurnID != first.TurnID {
			t.Errorf("answer: %+v", first)
		}
		if e := first.Extraction; len(e.Entities) != 1 || !e.Entities[0].IsNew || e.Entities[0].EntityType != "person" || e.Entities[0].Name != "alice" ||
			len(e.Attributes) != 1 || e.Attributes[0].EntityID != e.Entities[0].ID || e.Attributes[0].MemoryCategory != "identity" ||
			e.Relations == nil || e.Corrections == nil || len(e.Corrections) != 0 || e.Instructions == nil || e.Uncertainties == nil {
			t.Errorf("extraction: %+v", e)
		}
		same := p.assert(t, admin, attribute("alice", "email", "a@old.example"), "")
		if e := same.Extraction; e.Entities[0].IsNew || len(e.Corrections) != 0 || e.Attributes[0].ID != first.Extraction.Attributes[0].ID {
			t.Errorf("the same again: %+v", e)
		}
		if same.TurnID == "" || same.ChunkID != "" {
			t.Errorf("the same again without a text: %+v", same)
		}
		second := p.assert(t, admin, attribute("alice", "email", "a@new.example"), `,"observed_at":"2100-01-31T12:00:00+02:00","session_id":"`+first.SessionID+`"`)
		id := first.Extraction.Entities[0].ID
		want := []correction{{id, "email", "a@old.example", "a@new.example"}}
		if diff := cmp.Diff(want, second.Extraction.Corrections); diff != "" || second.SessionID != first.SessionID {
			t.Errorf("corrections (-want +got):\n%s", diff)
		}

		var got detail
		p.ok(t, &got, admin, http.MethodGet, "/api/v1/acme/entities/person/alice", "")
		if got.Entity.ID != id || got.Entity.MemoryCategory != "identity" || got.Entity.Importance == nil || got.Entity.UpdatedAt <= got.Entity.CreatedAt ||
			len(got.Attributes) != 1 || got.Attributes[0].Value != "a@new.example" || got.Attributes[0].ValidUntil != "" {
			t.Errorf("entity: %+v", got)
		}
		if now := got.Attributes[0]; now.ValidFrom != "2100-01-31T10:00:00Z" || now.Supersedes != first.Extraction.Attributes[0].ID || now.Entity != id ||
			now.MemoryCategory != "knowledge" || now.Source.Kind != "triples" || now.Source.Ref != second.TurnID || now.Source.SessionID != first.SessionID {
			t.Errorf("attribute: %+v", now)
		}
		var past history
		p.ok(t, &past, admin, http.MethodGet, "/api/v1/acme/entities/person/alice/history/email", "")
		if diff := cmp.Diff([]string{"email=a@new.example", "email=a@old.example"}, values(past.History)); diff != "" {
			t.Fatalf("history (-want +got):\n%s", diff)
		}
		if old := past.History[1]; old.ValidUntil != "2100-01-31T10:00:00Z" || old.SupersededBy != past.History[0].ID {
			t.Errorf("superseded: %+v", old)
		}
		var none history
		p.ok(t, &none, admin, http.MethodGet, "/api/v1/acme/entities/person/alice/history/phone", "")
		if none.History == nil || len(none.History) != 0 {
			t.Errorf("no history: %+v", none)
		}
		found := map[string]string{}
		for _, hit := range p.recall(t, admin, `{"query":"email of alice"}`).Hits {
			found[hit.Source+" "+hit.Text] = hit.ID
		}
		wantHits := map[string]string{
			"attribute alice email: a@new.example":           past.History[0].ID,
			"entity alice (person)":                          id,
			"memory_chunk Alice writes from the old address": first.ChunkID,
		}
		if diff := cmp.Diff(wantHits, found); diff != "" {
			t.Errorf("hits (-want +got):\n%s", diff)
		}
	})
}

func TestTriplesMakeAttributesAndRelations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		stored := p.assert(t, admin, `{"entity":{"type":"person","name":"alice"},"key":"age","value":42},
			{"entity":{"type":"person","name":"alice"},"key":"vegan","value":true,"memory_category":"identity"},
			{"entity":{"type":"person","name":"alice"},"key":"works at","target":{"type":"org","name":"Acme/West 100%"},"memory_category":"context"},
			{"entity":{"type":"person","name":"alice"},"key":"both","value":"wins","target":{"type":"org","name":"never"}}`, "")
		e := stored.Extraction
		if len(e.Entities) != 2 || len(e.Attributes) != 3 || len(e.Relations) != 1 || e.Attributes[0].Value != "42" || e.Attributes[1].Value != "true" {
			t.Fatalf("extraction: %+v", e)
		}
		alice, org := e.Entities[0], e.Entities[1]
		if r := e.Relations[0]; r.Subject != alice.ID || r.Object != org.ID || r.Label != "works at" || r.MemoryCategory != "context" {
			t.Errorf("relation: %+v", r)
		}
		again := p.assert(t, admin, `{"entity":{"type":"person","name":"alice"},"key":"works at","target":{"type":"org","name":"Acme/West 100%"}},
			{"entity":{"type":"person","name":"alice"},"key":"works at","target":{"type":"org","name":"Beta"}}`, "")
		if r := again.Extraction.Relations; len(r) != 2 || r[0].MemoryCategory != "context" || len(again.Extraction.Corrections) != 0 {
			t.Errorf("relations again: %+v", r)
		}
		var got detail
		p.ok(t, &got, admin, http.MethodGet, "/api/v1/acme/entities/org/Acme%2FWest%20100%25", "")
		if got.Entity.Name != "Acme/West 100%" || len(got.Relations) != 1 || got.Relations[0].Subject != alice.ID || got.Relations[0].ValidFrom == "" {
			t.Errorf("org: %+v", got)
		}
		p.ok(t, &got, admin, http.MethodGet, "/api/v1/acme/entities/person/alice", "")
		if len(got.Relations) != 2 || len(got.Attributes) != 3 {
			t.Errorf("alice: %+v", got)
		}

		var state map[string]struct {
			Entities   []entityBody
			Attributes []attributeBody
			Relations  []relationBody
		}
		body := p.call(t, admin, http.MethodGet, "/api/v1/acme/state", "").body
		for _, list := range []string{`"instructions":[]`, `"unknowns":[]`} {
			if !strings.Contains(string(body), list) {
				t.Errorf("state has no %s: %s", list, body)
			}
		}
		text := strings.NewReplacer(`"instructions":[]`, `"instructions":{}`, `"unknowns":[]`, `"unknowns":{}`).Replace(string(body))
		decode(t, text, &state)
		for category, want := range map[string][]string{"identity": {"vegan=true"}, "knowledge": {"both=wins", "age=42"}, "context": {}} {
			if diff := cmp.Diff(want, values(state[category].Attributes)); diff != "" {
				t.Errorf("state of %s (-want +got):\n%s", category, diff)
			}
		}
		if len(state["context"].Relations) != 1 || len(state["knowledge"].Relations) != 1 || len(state["knowledge"].Entities) != 2 ||
			len(state["context"].Entities) != 1 {
			t.Errorf("state: %s", body)
		}
		var profile map[string][]map[string]string
		p.ok(t, &profile, admin, http.MethodGet, "/api/v1/acme/profile", "")
		want := map[string][]map[string]string{
			"static": {{"key": "vegan", "value": "true"}}, "dynamic": {}, "instructions": {},
			"preferences": {{"key": "both", "value": "wins"}, {"key": "age", "value": "42"}},
		}
		if diff := cmp.Diff(want, profile); diff != "" {
			t.Errorf("profile (-want +got):\n%s", diff)
		}
	})
}

func TestBadTriplesAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		long := strings.Repeat("x", 2000)
		for body, field := range map[string]string{
			`{"infer":"triples"}`:                                                                                            "triples",
			`{"infer":"triples","triples":[]}`:                                                                               "triples",
			`{"infer":"triples","text":"otter"}`:                                                                             "triples",
			`{"infer":"triples","triples":[{"key":"k","value":"v"}]}`:                                                        "entity",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"value":"v"}]}`:                                 "key",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k"}]}`:                                   "triples.0",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k","value":null}]}`:                      "triples.0",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k","value":{"a":1}}]}`:                   "triples",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":" "},"key":"k","value":"v"}]}`:                       "triples.0.entity.name",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k","target":{"type":"t"}}]}`:             "target",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n\u0000"},"key":"k","value":"v"}]}`:                 "triples.0.entity.name",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k","value":"\u0000"}]}`:                  "triples.0.value",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"` + long + `"},"key":"k","value":"v"}]}`:            "name",
			`{"infer":"triples","triples":[{"entity":{"type":"t","name":"n"},"key":"k","value":"v","memory_category":"x"}]}`: "memory_category",
			`{"infer":"triples","text":" ","triples":[` + attribute("a", "b", "c") + `]}`:                                    "text",
			`{"infer":"none","triples":[` + attribute("a", "b", "c") + `]}`:                                                  "text",
		} {
			got := p.call(t, admin, http.MethodPost, "/api/v1/acme/facts", body)
			if got.status != http.StatusBadRequest || !strings.Contains(got.problem(t).Detail, field) {
				t.Errorf("%.200s: %d %s", body, got.status, got.body)
			}
		}
		many := strings.TrimSuffix(strings.Repeat(attribute("a", "b", "c")+",", 1001), ",")
		if got := p.call(t, admin, http.MethodPost, "/api/v1/acme/facts", `{"infer":"triples","triples":[`+many+`]}`); got.status != http.StatusBadRequest {
			t.Errorf("1001 triples: %d", got.status)
		}
		var all struct{ Entities []entityBody }
		p.ok(t, &all, admin, http.MethodGet, "/api/v1/acme/entities", "")
		if all.Entities == nil || len(all.Entities) != 0 {
			t.Errorf("something was stored: %+v", all)
		}
	})
}

func TestTriplesNeedMemoryWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.register(t, "org/a", "org/b")
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		a := p.agent(t, "a", "org/a/*")
		for key, more := range map[string]string{reader: "", a: `,"scopes":"org/b"`} {
			got := p.call(t, key, http.MethodPost, "/api/v1/acme/facts", `{"infer":"triples","triples":[`+attribute("x", "y", "z")+`]`+more+`}`)
			if got.status != http.StatusForbidden {
				t.Errorf("%s: %d", more, got.status)
			}
		}
		for _, id := range []string{p.assert(t, p.admin(t), attribute("x", "y", "z"), "").SessionID, "none"} {
			got := p.call(t, a, http.MethodPost, "/api/v1/acme/facts", `{"infer":"triples","session_id":"`+id+`","triples":[`+attribute("x", "y", "z")+`]}`)
			if got.status != http.StatusForbidden {
				t.Errorf("a session that is not a's: %d", got.status)
			}
		}
	})
}

func TestTheValueOfATripleIsKeptAsItWasWritten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		for value, want := range map[string]string{
			`"a \"text\" é"`: `a "text" é`, `9007199254740993`: "9007199254740993", `-12345678901234567890`: "-12345678901234567890",
			`1.5`: "1.5", `true`: "true", `""`: "",
		} {
			got := p.assert(t, p.admin(t), `{"entity":{"type":"person","name":"alice"},"key":"number","value":`+value+`}`, "")
			if len(got.Extraction.Attributes) != 1 || got.Extraction.Attributes[0].Value != want {
				t.Errorf("%s: %+v", value, got.Extraction.Attributes)
			}
		}
	})
}

func TestTriplesWithAnIdempotencyKeyHappenOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.assert(t, admin, attribute("alice", "email", "old"), "")
		first := p.assert(t, admin, attribute("alice", "email", "new"), "", "Idempotency-Key", "k")
		again := p.assert(t, admin, attribute("alice", "email", "new"), "", "Idempotency-Key", "k")
		if diff := cmp.Diff(first, again); diff != "" || len(first.Extraction.Corrections) != 1 {
			t.Errorf("the second answer (-first +second):\n%s", diff)
		}
		got := p.call(t, admin, http.MethodPost, "/api/v1/acme/facts",
			`{"infer":"triples","triples":[`+attribute("alice", "email", "other")+`]}`, "Idempotency-Key", "k")
		if got.status != http.StatusConflict {
			t.Errorf("another request: %d", got.status)
		}
	})
}
