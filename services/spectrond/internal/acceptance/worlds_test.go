package acceptance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestWorlds compares what both engines show and take with the reference, in random worlds: rows, entities and sessions of random
// scopes, and callers of random kind, grants and delegation. A world is its seed: run it again with -run 'TestWorlds/.*/seed=N$'.
func TestWorlds(t *testing.T) {
	t.Parallel()
	worlds := size(t, "SPECTRON_WORLDS", 40)
	first := size(t, "SPECTRON_WORLDS_FROM", 1+int(time.Now().Unix()%1_000_000)*10_000)
	dbtest.Each(t, func(t *testing.T, url string) {
		d := deploy(t, url)
		t.Run("worlds", func(t *testing.T) {
			for seed := first; seed < first+worlds; seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					t.Parallel()
					p := &populated{world: d.newWorld(t, ""), rand: rand.New(rand.NewPCG(uint64(seed), 0))}
					p.populate(t)
					p.compare(t)
				})
			}
		})
	})
}

// nodes are those that rows may be in. Their names are alike: a/ is no prefix of ab/ as a node, but it is as text without the slash.
var nodes = []string{"/", "a", "a/b", "a/b/a0", "a0", "ab", "ab/b", "b"}

// populated is a world with what was put in it.
type populated struct {
	*world
	rand     *rand.Rand
	texts    map[string][][]string // where each row lives, by its text
	entities map[string][][]string // by name
	sessions map[string][][]string // by id
	actors   []actor
}

// actor is a principal with a key.
type actor struct {
	id, key       string
	grants, token refGrants // token is nil where the key inherits
}

func (p *populated) pick(from []string) string { return from[p.rand.IntN(len(from))] }

func (p *populated) sets() [][]string {
	sets := make([][]string, 1+p.rand.IntN(3))
	for i := range sets {
		for range 1 + p.rand.IntN(2) {
			sets[i] = append(sets[i], p.pick(nodes))
		}
	}
	return sets
}

func (p *populated) pattern() string {
	node := strings.TrimSuffix(p.pick(nodes), "/")
	switch p.rand.IntN(3) {
	case 0:
		return node + "/*"
	case 1:
		return node + "/"
	default:
		return "/" + strings.TrimSuffix(node, "/")
	}
}

func (p *populated) grants() refGrants {
	grants := refGrants{}
	for _, verb := range verbs {
		if p.rand.IntN(4) == 0 {
			continue
		}
		for range p.rand.IntN(4) {
			grants[verb] = append(grants[verb], p.pattern())
		}
	}
	return grants
}

// within returns grants that are no wider than outer.
func (p *populated) within(outer refGrants) refGrants {
	inner := refGrants{}
	for verb, patterns := range outer {
		for range 2 {
			asked := p.pattern()
			if slices.ContainsFunc(patterns, func(o string) bool { return refCovers(o, asked) }) {
				inner[verb] = append(inner[verb], asked)
			} else if p.rand.IntN(2) == 0 {
				inner[verb] = append(inner[verb], p.pick(patterns))
			}
		}
	}
	return inner
}

func (p *populated) post(t *testing.T, key, path string, body any, status int) answer {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return p.must(t, request{method: http.MethodPost, path: p.path(path), key: key, body: string(text)}, status)
}

func (p *populated) populate(t *testing.T) {
	t.Helper()
	admin, management := p.key(t, "admin"), "/api/v1/contexts/"+p.id
	for _, node := range nodes {
		p.post(t, admin, "scopes", map[string]any{"path": node}, http.StatusCreated)
	}
	p.texts, p.entities, p.sessions = map[string][][]string{}, map[string][][]string{}, map[string][][]string{}
	for i := range 6 {
		text, sets := fmt.Sprintf("quail %d", i), p.sets()
		a := p.post(t, admin, "facts", map[string]any{"text": text, "infer": "none", "scopes": sets}, http.StatusOK)
		p.texts[text], p.sessions[a.text(t, "sessionId")] = sets, sets
	}
	for i := range 4 {
		name, sets := fmt.Sprintf("e%d", i), p.sets()
		a := p.post(t, admin, "facts", map[string]any{"infer": "triples", "scopes": sets, "triples": []any{
			map[string]any{"entity": map[string]any{"type": "thing", "name": name}, "key": "is", "value": "here"},
		}}, http.StatusOK)
		p.entities[name], p.sessions[a.text(t, "sessionId")] = sets, sets
	}
	for range 2 {
		sets := p.sets()
		p.sessions[p.post(t, admin, "sessions", map[string]any{"scopes": sets}, http.StatusCreated).text(t, "id")] = sets
	}
	for i, kind := range []string{"agent", "human", "service", "unknown"} {
		who := actor{grants: p.grants()}
		who.id = p.post(t, p.operator, management+"/principals", map[string]any{
			"display_name": fmt.Sprintf("p%d", i), "kind": kind, "grants": who.grants,
		}, http.StatusCreated).text(t, "id")
		body := map[string]any{}
		if p.rand.IntN(2) == 0 {
			who.token = p.within(who.grants)
			body["grants"] = who.token
		}
		who.key = p.post(t, p.operator, fmt.Sprintf("%s/principals/%s/keys/k%d", management, who.id, i), body, http.StatusCreated).text(t, "key")
		p.actors = append(p.actors, who)
	}
}

// compare asks as each actor, for itself and on behalf of another, and holds the answers against the reference.
func (p *populated) compare(t *testing.T) {
	t.Helper()
	var all []struct{ Path string }
	p.get(t, p.key(t, "admin"), "", "scopes", &all)
	for i, who := range p.actors {
		for _, target := range []*actor{nil, &p.actors[p.rand.IntN(len(p.actors))]} {
			authority, behalf := refAuthority{principal: who.grants, key: who.token}, ""
			if target != nil {
				authority.target, behalf = target.grants, target.id
			}
			p.compareReads(t, i, who.key, behalf, authority)
			p.compareScopes(t, who.key, behalf, authority, len(all))
			p.compareWrites(t, who.key, behalf, authority)
		}
	}
}

func (p *populated) compareReads(t *testing.T, i int, key, behalf string, authority refAuthority) {
	t.Helper()
	readable := func(rows map[string][][]string, lens [][]string) []string {
		names := []string{}
		for name, sets := range rows {
			if authority.refReadable("memory:read", sets) && refPasses(lens, sets) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	same := func(what string, got, want []string) {
		t.Helper()
		slices.Sort(got)
		if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
			t.Errorf("%s as %d on behalf of %q, %+v (-want +got):\n%s", what, i, behalf, authority, diff)
		}
	}
	var lens [][]string
	for range 3 {
		var found struct{ Hits []struct{ Text string } }
		text, _ := json.Marshal(map[string]any{"query": "quail", "k": 50, "lens": lens, "source": "memory_chunk"})
		p.ask(t, request{method: http.MethodPost, path: p.path("query"), key: key, body: string(text)}, behalf, &found)
		var got []string
		for _, hit := range found.Hits {
			got = append(got, hit.Text)
		}
		same(fmt.Sprintf("query with lens %v", lens), got, readable(p.texts, lens))
		lens = nil
		for range 1 + p.rand.IntN(2) {
			lens = append(lens, []string{p.pattern(), p.pattern()}[:1+p.rand.IntN(2)])
		}
	}
	var entities struct{ Entities []struct{ Name string } }
	p.get(t, key, behalf, "entities", &entities)
	var got []string
	for _, e := range entities.Entities {
		got = append(got, e.Name)
	}
	same("entities", got, readable(p.entities, nil))
	var sessions struct{ Sessions []struct{ ID string } }
	p.get(t, key, behalf, "sessions?limit=500", &sessions)
	got = nil
	for _, s := range sessions.Sessions {
		got = append(got, s.ID)
	}
	same("sessions", got, readable(p.sessions, nil))
}

func (p *populated) compareScopes(t *testing.T, key, behalf string, authority refAuthority, registered int) {
	t.Helper()
	var listed []struct{ Path string }
	p.get(t, key, behalf, "scopes", &listed)
	if authority.refMay("grant:manage", "/") {
		if len(listed) != registered {
			t.Errorf("scopes with grant:manage over /: %d of %d", len(listed), registered)
		}
		return
	}
	got, want := []string{}, []string{}
	for _, node := range listed {
		got = append(got, node.Path)
	}
	for _, node := range nodes {
		if slices.ContainsFunc(verbs, func(verb string) bool { return authority.refMay(verb, node) }) {
			segments, _ := refSegments(node)
			want = append(want, refCanonical(segments))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scopes on behalf of %q, %+v (-want +got):\n%s", behalf, authority, diff)
	}
}

// compareWrites asks what changes nothing that is compared, and looks at whether it was allowed.
func (p *populated) compareWrites(t *testing.T, key, behalf string, authority refAuthority) {
	t.Helper()
	sets, node := p.sets(), p.pick(nodes)
	text, _ := json.Marshal(map[string]any{"text": "x", "infer": "preview", "scopes": sets})
	allowed := func(what string, r request, may bool) {
		t.Helper()
		r.key, r.path = key, p.path(r.path)
		a := p.as(t, r, behalf)
		if (a.status < http.StatusBadRequest) != may || !may && a.status != http.StatusForbidden {
			t.Errorf("%s on behalf of %q, %+v: got %d, the reference says %t", what, behalf, authority, a.status, may)
		}
	}
	allowed(fmt.Sprintf("memory:write over %v", sets), request{method: http.MethodPost, path: "facts", body: string(text)}, authority.refMayAll("memory:write", sets))
	allowed("scope:create over "+node, request{method: http.MethodPost, path: "scopes", body: fmt.Sprintf(`{"path":%q}`, node)}, authority.refMay("scope:create", node))
	allowed("grant:manage over "+node, request{method: http.MethodGet, path: "principals/admin/effective?path=" + url.QueryEscape(node)}, authority.refMay("grant:manage", node))
	node = p.pick(nodes[1:]) // the root stays
	deletes := authority.refMay("scope:delete", node)
	allowed("scope:delete over "+node, request{method: http.MethodDelete, path: "scopes?path=" + url.QueryEscape(node)}, deletes)
	if deletes { // it is needed again
		p.post(t, p.key(t, "admin"), "scopes", map[string]any{"path": node}, http.StatusCreated)
	}
	p.compareForget(t, key, behalf, authority)
}

// compareForget counts what would be forgotten: rows go for everybody, so all of their nodes must be within memory:forget.
func (p *populated) compareForget(t *testing.T, key, behalf string, authority refAuthority) {
	t.Helper()
	a := p.as(t, request{method: http.MethodPost, path: p.path("forget"), key: key, body: `{"query":"quail","dryRun":true}`}, behalf)
	if !slices.ContainsFunc(nodes, func(node string) bool { return authority.refMay("memory:forget", node) }) {
		if a.status != http.StatusForbidden {
			t.Errorf("memory:forget nowhere, on behalf of %q, %+v: got %d", behalf, authority, a.status)
		}
		return
	}
	want := 0
	for _, sets := range p.texts {
		if authority.refMayAll("memory:forget", sets) {
			want++
		}
	}
	if got := a.text(t, "deleted"); got != strconv.Itoa(want) {
		t.Errorf("memory:forget on behalf of %q, %+v: %s rows, the reference says %d", behalf, authority, got, want)
	}
}

func (p *populated) get(t *testing.T, key, behalf, path string, into any) {
	t.Helper()
	p.ask(t, request{method: http.MethodGet, path: p.path(path), key: key}, behalf, into)
}

func (p *populated) ask(t *testing.T, r request, behalf string, into any) {
	t.Helper()
	a := p.as(t, r, behalf)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s on behalf of %q: %d %s", r.method, r.path, behalf, a.status, public(a))
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatal(err)
	}
}

func (p *populated) as(t *testing.T, r request, behalf string) answer {
	t.Helper()
	if behalf != "" {
		r.header = map[string]string{"X-Spectron-On-Behalf-Of": behalf}
	}
	return p.send(t, r)
}
