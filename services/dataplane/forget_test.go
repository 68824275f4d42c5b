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

func (p *plane) forget(t *testing.T, key, body string) int {
	t.Helper()
	var out struct{ Deleted *int }
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/forget", body)
	if out.Deleted == nil {
		t.Fatal("no count")
	}
	return *out.Deleted
}

func TestTwoDepartmentsKnowTheSameEntityAndNothingOfEachOther(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		red, blue := p.agent(t, "red", "org/red/*"), p.agent(t, "blue", "org/blue/*")
		p.assert(t, red, attribute("alice", "salary", "1000"), "")
		var before detail
		p.ok(t, &before, red, http.MethodGet, "/api/v1/acme/entities/person/alice", "")

		stored := p.assert(t, blue, attribute("alice", "salary", "2000"), "").Extraction
		if !stored.Entities[0].IsNew || len(stored.Corrections) != 0 || stored.Entities[0].ID != before.Entity.ID {
			t.Errorf("blue is told of red: %+v", stored)
		}
		var after detail
		p.ok(t, &after, red, http.MethodGet, "/api/v1/acme/entities/person/alice", "")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("red sees what blue did (-before +after):\n%s", diff)
		}
		for _, path := range []string{
			"entities", "entities/person/alice", "entities/person/alice/history/salary", "state", "profile",
			"inspect?ref=entity:person/alice", "inspect?ref=attribute:person/alice/salary",
		} {
			if got := p.call(t, blue, http.MethodGet, "/api/v1/acme/"+path, ""); got.status != http.StatusOK || strings.Contains(string(got.body), "1000") ||
				!strings.Contains(path, "entities") && path != "inspect?ref=entity:person/alice" && !strings.Contains(string(got.body), "2000") {
				t.Errorf("blue reads %s: %d %s", path, got.status, got.body)
			}
		}
		// Blue may forget what is blue.
		if n := p.forget(t, blue, `{"query":"alice salary","purge":true}`); n != 2 {
			t.Errorf("blue forgot %d", n)
		}
		if got := p.call(t, blue, http.MethodGet, "/api/v1/acme/entities/person/alice", ""); got.status != http.StatusNotFound {
			t.Errorf("blue still sees it: %d", got.status)
		}
		if got := p.call(t, blue, http.MethodDelete, "/api/v1/acme/entities/person/alice", ""); got.status != http.StatusNoContent {
			t.Errorf("blue deletes it: %d", got.status)
		}
		p.ok(t, &after, red, http.MethodGet, "/api/v1/acme/entities/person/alice", "")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("red lost something (-before +after):\n%s", diff)
		}

		// Both know whoever may read both, as one entity with a value from each.
		p.assert(t, blue, attribute("alice", "salary", "2000"), "")
		var both detail
		p.ok(t, &both, p.admin(t), http.MethodGet, "/api/v1/acme/entities/person/alice", "")
		if diff := cmp.Diff([]string{"salary=2000", "salary=1000"}, values(both.Attributes)); diff != "" {
			t.Errorf("the admin sees (-want +got):\n%s", diff)
		}

		// Who may write and not read learns nothing of what was there.
		blind := p.authority.Key(t, "acme", "acme-1", "blind", grant.Over(scope.Under(nodeOf(t, "org/red")), grant.MemoryWrite))
		for _, value := range []string{"1000", "3000"} {
			told := p.assert(t, blind, attribute("alice", "salary", value), "").Extraction
			if !told.Entities[0].IsNew || len(told.Corrections) != 0 || told.Attributes[0].ID == before.Attributes[0].ID {
				t.Errorf("the blind writer of %s is told: %+v", value, told)
			}
		}
		var past history
		p.ok(t, &past, red, http.MethodGet, "/api/v1/acme/entities/person/alice/history/salary", "")
		if diff := cmp.Diff([]string{"salary=3000", "salary=1000", "salary=1000"}, values(past.History)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

func nodeOf(t *testing.T, text string) scope.Path {
	t.Helper()
	path, err := scope.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestForgetTakesWhatRecallFinds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		forgetter := p.authority.Key(t, "acme", "acme-1", "forgetter", grant.Over(scope.Everything, grant.MemoryForget))
		for _, text := range []string{"otter one", "otter two", "heron"} {
			p.remember(t, admin, `{"text":"`+text+`","infer":"none"}`)
		}
		stored := p.assert(t, admin, attribute("otter", "diet", "fish"), "")
		for _, body := range []string{`{"query":"otter","dryRun":true}`, `{"query":"otter","dry_run":true,"purge":true}`} {
			if n := p.forget(t, forgetter, body); n != 4 {
				t.Errorf("%s: %d", body, n)
			}
		}
		if n := p.forget(t, forgetter, `{"query":"the of"}`); n != 0 {
			t.Errorf("no word to look for: %d", n)
		}
		if n := p.forget(t, forgetter, `{"query":"otter"}`); n != 4 {
			t.Errorf("forgot %d", n)
		}
		if diff := cmp.Diff([]string{"heron"}, p.recall(t, admin, `{"query":"otter heron"}`).texts()); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/entities/person/otter", ""); got.status != http.StatusNotFound {
			t.Errorf("the entity: %d", got.status)
		}
		var past history
		p.ok(t, &past, admin, http.MethodGet, "/api/v1/acme/entities/person/otter/history/diet", "")
		if len(past.History) != 1 || past.History[0].ValidUntil == "" || past.History[0].ID != stored.Extraction.Attributes[0].ID {
			t.Errorf("history: %+v", past)
		}
		if n := p.forget(t, forgetter, `{"query":"otter","purge":true}`); n != 4 {
			t.Errorf("purged %d of what was forgotten", n)
		}
		p.ok(t, &past, admin, http.MethodGet, "/api/v1/acme/entities/person/otter/history/diet", "")
		if len(past.History) != 0 {
			t.Errorf("history after the purge: %+v", past)
		}
		for body, key := range map[string]string{`{"query":"x"}`: p.authority.Key(t, "acme", "acme-1", "writer",
			grant.Over(scope.Everything, grant.MemoryRead, grant.MemoryWrite))} {
			if got := p.call(t, key, http.MethodPost, "/api/v1/acme/forget", body); got.status != http.StatusForbidden {
				t.Errorf("without memory:forget: %d", got.status)
			}
			if got := p.call(t, key, http.MethodDelete, "/api/v1/acme/entities/person/otter", ""); got.status != http.StatusForbidden {
				t.Errorf("deleting an entity without memory:forget: %d", got.status)
			}
		}
		for _, body := range []string{`{}`, `{"query":""}`, `{"query":" "}`, `{"query":"x","dryRun":true,"dry_run":false}`} {
			if got := p.call(t, admin, http.MethodPost, "/api/v1/acme/forget", body); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", body, got.status)
			}
		}
	})
}

func TestPurgedTextsLeaveTheirSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		one := p.remember(t, admin, `{"text":"otter secret","infer":"none"}`)
		p.remember(t, admin, `{"text":"heron","infer":"none","session_id":"`+one.SessionID+`"}`)
		for _, body := range []string{`{"query":"otter"}`, `{"query":"otter","purge":true}`} {
			p.forget(t, admin, body)
			turns := p.call(t, admin, http.MethodGet, "/api/v1/acme/sessions/"+one.SessionID+"/turns", "")
			if turns.status != http.StatusOK || strings.Contains(string(turns.body), "otter") || !strings.Contains(string(turns.body), "heron") {
				t.Errorf("after %s: %d %s", body, turns.status, turns.body)
			}
		}
	})
}

func TestInspectShowsWhatAReferenceStandsFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.assert(t, admin, attribute("alice", "email", "old")+`,{"entity":{"type":"person","name":"alice"},"key":"works at","target":{"type":"org","name":"a/b"}}`, "")
		p.assert(t, admin, attribute("alice", "email", "new"), "")
		query := p.call(t, admin, http.MethodPost, "/api/v1/acme/query", `{"query":"alice"}`)
		for ref, want := range map[string]string{
			"entity:person/alice":                             `"kind":"entity"`,
			"entity:org/a%2Fb":                                `"name":"a/b"`,
			"attribute:person/alice/email":                    `"kind":"attribute"`,
			"relation:person/alice-[works%20at]-%3Eorg/a%2Fb": `"kind":"relation"`,
			"trace:" + query.header.Get("X-Trace-Id"):         `"kind":"trace"`,
		} {
			if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/inspect?ref="+ref, ""); got.status != http.StatusOK || !strings.Contains(string(got.body), want) {
				t.Errorf("%s: %d %s", ref, got.status, got.body)
			}
		}
		for ref, want := range map[string]int{
			"entity:person/bob": 404, "attribute:person/alice/phone": 404, "relation:person/alice-[knows]-%3Eperson/bob": 404, "trace:none": 404,
			"entity:person": 400, "entity:": 400, "person/alice": 400, "attribute:person/alice": 400, "attribute:person/alice/": 400,
			"relation:person/alice": 400, "relation:person/alice-[]-%3Ea/b": 400, "relation:a/b-[c]-%3E": 400, "unknown:a/b": 400, "": 400,
			"entity:a/%00": 400, "passage:doc/1": 501, "document:doc": 501,
		} {
			if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/inspect?ref="+ref, ""); got.status != want {
				t.Errorf("%s: %d %s", ref, got.status, got.body)
			}
		}
		if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/entities/a/%00", ""); got.status != http.StatusUnprocessableEntity {
			t.Errorf("a name that cannot be: %d %s", got.status, got.body)
		}
		if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/entities?type=%00", ""); got.status/100 != 4 {
			t.Errorf("a type that cannot be: %d %s", got.status, got.body)
		}
	})
}
