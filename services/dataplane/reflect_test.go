package dataplane_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

type reflected struct {
	Reflection, TraceID, Method string
	Evidence                    []string
	PersistedAttributes         []struct{ ID, EntityID, Key, Value, MemoryCategory string }
}

func (p *plane) reflect(t *testing.T, key, body string) (out reflected) {
	t.Helper()
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/reflect", body)
	return out
}

// kind returns a key of acme for a principal of that kind, with verbs over pattern.
func (p *plane) kind(t *testing.T, name string, kind caller.Kind, pattern string, verbs ...grant.Verb) string {
	t.Helper()
	parsed, err := scope.ParsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p.authority.KeyOf(t, "acme", "acme-1", caller.Principal{ID: name, DisplayName: name, Kind: kind, Grants: grant.Over(parsed, verbs...)})
}

func TestReflectQuotesEvidenceAndSaysSo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"It rained. Alice drinks green tea. Nobody sang.","infer":"none"}`)
		p.assert(t, admin, attribute("alice", "tea", "green"), "")
		got := p.reflect(t, admin, `{"query":"What tea does Alice drink?","persist":false}`)
		if got.Method != "extractive" || len(got.TraceID) != 32 || len(got.Evidence) != 2 || got.PersistedAttributes == nil || len(got.PersistedAttributes) != 0 {
			t.Errorf("reflection: %+v", got)
		}
		if !strings.HasPrefix(got.Reflection, "Extracted from memory, without a language model: ") || strings.Contains(got.Reflection, "rained") ||
			!strings.Contains(got.Reflection, "Alice drinks green tea.") || !strings.Contains(got.Reflection, "alice tea: green") {
			t.Errorf("text: %s", got.Reflection)
		}
		none := p.reflect(t, admin, `{"query":"zebra"}`)
		if none.Evidence == nil || len(none.Evidence) != 0 || !strings.Contains(none.Reflection, "nothing is remembered") {
			t.Errorf("of nothing: %+v", none)
		}
		if other := p.reflect(t, p.agent(t, "other", "org/other/*"), `{"query":"tea"}`); len(other.Evidence) != 0 {
			t.Errorf("out of reach: %+v", other)
		}
		for _, body := range []string{`{}`, `{"query":" "}`} {
			if got := p.call(t, admin, http.MethodPost, "/api/v1/acme/reflect", body); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", body, got.status)
			}
		}
		blocked := p.authority.BlockedKey(t, "acme", "acme-1", "blocked", grant.All())
		if got := p.call(t, blocked, http.MethodPost, "/api/v1/acme/reflect", `{"query":"tea"}`); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "" {
			t.Errorf("blocked: %d %s", got.status, got.header.Get("Retry-After"))
		}
	})
}

func TestWhoMayPersistReflections(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.register(t, "org/a", "org/a/secret", "org/b")
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter in public","scopes":"org/a","infer":"none"}`)
		p.remember(t, admin, `{"text":"otter in secret","scopes":"org/a/secret","infer":"none"}`)
		p.remember(t, admin, `{"text":"otter elsewhere","scopes":"org/b","infer":"none"}`)
		read, write := grant.MemoryRead, grant.MemoryWrite
		supervisor := p.kind(t, "supervisor", caller.Supervisor, "org/a/*", read)
		for _, tt := range []struct {
			name   string
			key    string
			behalf string
			want   int
		}{
			{"an agent never", p.kind(t, "agent", caller.Agent, "/*", read, write), "", 403},
			{"a supervisor where it reads", supervisor, "", 200},
			{"a human who writes", p.kind(t, "human", caller.Human, "org/a/*", read, write), "", 200},
			{"a human who only reads", p.kind(t, "reader", caller.Human, "org/a/*", read), "", 403},
			{"a service that writes", p.kind(t, "service", caller.Service, "org/a/*", read, write), "", 200},
			{"an unknown one that writes", p.kind(t, "unknown", caller.Unknown, "org/a/*", read, write), "", 200},
			{"a supervisor that reads nothing", p.kind(t, "idle", caller.Supervisor, "org/a/*", write), "", 403},
			{"a supervisor for a human who writes", supervisor, "human", 200},
			{"a supervisor for a human who only reads", supervisor, "reader", 403},
			{"a supervisor for an agent", supervisor, "agent", 403},
			{"a service for an agent", p.kind(t, "service2", caller.Service, "/*", read, write), "agent", 403},
		} {
			headers := []string{}
			if tt.behalf != "" {
				headers = []string{"X-Spectron-On-Behalf-Of", tt.behalf}
			}
			if got := p.call(t, tt.key, http.MethodPost, "/api/v1/acme/reflect", `{"query":"otter","persist":true}`, headers...); got.status != tt.want {
				t.Errorf("%s: %d %s", tt.name, got.status, got.body)
			}
		}
		if got := p.call(t, supervisor, http.MethodPost, "/api/v1/acme/facts", `{"text":"x"}`); got.status != http.StatusForbidden {
			t.Errorf("a supervisor writes something else: %d", got.status)
		}

		kept := p.reflect(t, supervisor, `{"query":"otter","persist":true}`)
		if len(kept.Evidence) != 2 || len(kept.PersistedAttributes) != 1 || kept.PersistedAttributes[0].MemoryCategory != "knowledge" {
			t.Fatalf("kept: %+v", kept)
		}
		var seen detail
		p.ok(t, &seen, supervisor, http.MethodGet, "/api/v1/acme/entities/reflection/otter", "")
		if len(seen.Attributes) != 1 || seen.Attributes[0].ID != kept.PersistedAttributes[0].ID || seen.Attributes[0].Source.Kind != "reflect" ||
			strings.Contains(seen.Attributes[0].Value, "elsewhere") {
			t.Errorf("the kept reflection: %+v", seen.Attributes)
		}
		// Nothing is kept, or leans on what lies, where its keeper may not write.
		narrow := p.authority.KeyOf(t, "acme", "acme-1", caller.Principal{ID: "narrow", Kind: caller.Human, Grants: grant.Map{
			read: {scope.Everything}, write: {scope.Under(nodeOf(t, "org/b"))},
		}})
		if kept := p.reflect(t, narrow, `{"query":"otter","persist":true}`); !cmp.Equal(kept.Evidence, []string{"otter elsewhere"}) {
			t.Errorf("evidence from where nothing may be written: %v", kept.Evidence)
		}

		// It leans on a secret, so who may not read the secret does not see it.
		for name, key := range map[string]string{
			"who reads only what is public": p.kind(t, "public", caller.Human, "org/a", read),
			"who reads only the secret":     p.kind(t, "secret", caller.Human, "org/a/secret", read),
			"who reads elsewhere":           p.kind(t, "elsewhere", caller.Human, "org/c/*", read),
		} {
			if got := p.call(t, key, http.MethodGet, "/api/v1/acme/entities/reflection/otter", ""); got.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		// Nor is a reflection evidence of another.
		if again := p.reflect(t, supervisor, `{"query":"otter reflection"}`); !cmp.Equal(len(again.Evidence), 2) {
			t.Errorf("evidence: %v", again.Evidence)
		}
	})
}

func TestAReflectionIsNotKeptWhereAScopeHasEnded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.register(t, "org/a")
		admin := p.admin(t)
		supervisor := p.kind(t, "supervisor", caller.Supervisor, "org/*", grant.MemoryRead)
		p.remember(t, admin, `{"text":"otter","scopes":"org/a","infer":"none"}`)
		if got := p.call(t, admin, http.MethodDelete, "/api/v1/acme/scopes?path=org%2Fa%2F", ""); got.status != http.StatusNoContent {
			t.Fatalf("ending the scope: %d %s", got.status, got.body)
		}
		got := p.call(t, supervisor, http.MethodPost, "/api/v1/acme/reflect", `{"query":"otter","persist":true}`)
		if got.status != http.StatusBadRequest || got.problem(t).Field != "persist" {
			t.Errorf("to keep it: %d %s", got.status, got.body)
		}
		if seen := p.reflect(t, supervisor, `{"query":"otter"}`); len(seen.Evidence) != 1 {
			t.Errorf("to see it: %+v", seen)
		}
	})
}

func TestAReflectionOnALongQuestionCanBeAskedForByItsName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter","infer":"none"}`)
		keeper := p.kind(t, "supervisor", caller.Supervisor, "/*", grant.MemoryRead)
		question := "otter " + strings.Repeat("x", 2000)
		p.reflect(t, keeper, `{"query":"`+question+`","persist":true}`)
		var seen detail
		p.ok(t, &seen, keeper, http.MethodGet, "/api/v1/acme/entities/reflection/"+url.PathEscape(question[:512]), "")
	})
}
