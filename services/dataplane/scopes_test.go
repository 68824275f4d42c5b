package dataplane_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

type node struct{ Path, CreatedAt, DisplayName, Description, TombstonedAt string }

func (p *plane) scopes(t *testing.T, key string) (paths []string) {
	t.Helper()
	var nodes []node
	p.ok(t, &nodes, key, http.MethodGet, "/api/v1/acme/scopes", "")
	for _, n := range nodes {
		paths = append(paths, n.Path)
	}
	return paths
}

func TestScopesAreRegisteredWithTheirAncestors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		var got node
		answer := p.ok(t, &got, admin, http.MethodPost, "/api/v1/acme/scopes",
			`{"path":"org/acme/user/alice","displayName":"Alice","description":null,"unknown":1}`)
		if answer.status != http.StatusCreated || got.Path != "org/acme/user/alice/" || got.DisplayName != "Alice" || got.CreatedAt == "" {
			t.Errorf("%d %+v", answer.status, got)
		}
		again := p.call(t, admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org/acme/user/alice/"}`)
		if again.status != http.StatusCreated || !strings.Contains(string(again.body), "Alice") {
			t.Errorf("again: %d %s", again.status, again.body)
		}
		want := []string{"org/", "org/acme/", "org/acme/user/", "org/acme/user/alice/"}
		if diff := cmp.Diff(want, p.scopes(t, admin)); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	})
}

func TestScopesShowOnlyWhatTheCallerHoldsAVerbOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for _, path := range []string{"org/acme/user/alice", "org/acmex", "org/beta"} {
			p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+path+`"}`)
		}
		manager := p.authority.Key(t, "acme", "acme-1", "manager", grant.Over(scope.Exactly(scope.Root), grant.GrantManage))
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Map{
			grant.MemoryRead: over(t, "org/acme")[grant.MemoryRead], grant.ScopeCreate: over(t, "org/beta/*")[grant.ScopeCreate],
		})
		for _, tt := range []struct {
			name, key string
			want      []string
		}{
			{"admin", admin, []string{"org/", "org/acme/", "org/acme/user/", "org/acme/user/alice/", "org/acmex/", "org/beta/"}},
			{"manager", manager, []string{"org/", "org/acme/", "org/acme/user/", "org/acme/user/alice/", "org/acmex/", "org/beta/"}},
			{"agent", p.agent(t, "agent", "org/acme/*"), []string{"org/acme/", "org/acme/user/", "org/acme/user/alice/"}},
			{"two verbs", reader, []string{"org/acme/", "org/beta/"}},
			{"nobody", p.authority.Key(t, "acme", "acme-1", "nobody", nil), nil},
			{"another context", p.authority.Key(t, "acme", "acme-2", "admin", grant.All()), nil},
		} {
			if diff := cmp.Diff(tt.want, p.scopes(t, tt.key)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
	})
}

func TestRegisteringNeedsTheVerb(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		agent := p.agent(t, "agent", "org/acme/*")
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryWrite, grant.ScopeRead))
		for _, tt := range []struct {
			key, path string
			want      int
		}{
			{agent, "org/acme/user", http.StatusCreated},
			{agent, "org/acme", http.StatusCreated},
			{agent, "org/acmex", http.StatusForbidden},
			{agent, "org", http.StatusForbidden},
			{agent, "/", http.StatusForbidden},
			{reader, "org", http.StatusForbidden},
		} {
			got := p.call(t, tt.key, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+tt.path+`"}`)
			if got.status != tt.want {
				t.Errorf("%s: %d, want %d: %s", tt.path, got.status, tt.want, got.body)
			}
		}
	})
}

func TestLongListsOfScopesComeInPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for i := range 7 {
			p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", fmt.Sprintf(`{"path":"n%d"}`, i))
		}
		var paths []string
		next, pages := "/api/v1/acme/scopes?limit=3", 0
		for next != "" {
			var nodes []node
			got := p.ok(t, &nodes, admin, http.MethodGet, next, "")
			for _, n := range nodes {
				paths = append(paths, n.Path)
			}
			link := got.header.Get("Link")
			next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			pages++
		}
		if diff := cmp.Diff([]string{"n0/", "n1/", "n2/", "n3/", "n4/", "n5/", "n6/"}, paths); diff != "" || pages != 3 {
			t.Errorf("%d pages (-want +got):\n%s", pages, diff)
		}
	})
}
