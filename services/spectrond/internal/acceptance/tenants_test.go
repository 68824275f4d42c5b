package acceptance_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// attackers are the roles of one context whose keys are tried on another.
var attackers = []string{"admin", "agent", "planner", "supervisor", "grantless"}

const marker = "wolverine" // is in every row of the attacked context

// victim is a context with one of each thing, and the ids of all, by the names of path parameters.
func victim(tb testing.TB, d *deployment) (w *world, ids map[string]string) {
	tb.Helper()
	w = d.newWorld(tb, "")
	admin := w.key(tb, "admin")
	post := func(path, body string, status int) answer {
		return w.must(tb, request{method: http.MethodPost, path: w.path(path), key: admin, body: body}, status)
	}
	post("scopes", `{"path":"`+marker+`"}`, http.StatusCreated)
	session := post("sessions", `{"metadata":"`+marker+`"}`, http.StatusCreated).text(tb, "id")
	post("facts", fmt.Sprintf(`{"text":"%s","infer":"none","session_id":%q}`, marker, session), http.StatusOK)
	post("facts", `{"infer":"triples","triples":[{"entity":{"type":"`+marker+`","name":"`+marker+`"},"key":"`+marker+`","value":"`+marker+`"}]}`, http.StatusOK)
	trace := lookup(tb, post("query", `{"query":"`+marker+`"}`, http.StatusOK).json(tb), "trace.traceId")
	manage := func(method, path, body string, status int) any {
		return w.must(tb, request{method: method, path: "/api/v1/webhooks" + path, key: d.operator, body: body}, status).json(tb)
	}
	hook := lookup(tb, manage(http.MethodPost, "", `{"url":"https://example.com/`+marker+`","context_id":"`+w.id+`"}`, http.StatusCreated), "webhook.id")
	w.mint(tb, marker, "")
	message := lookup(tb, manage(http.MethodGet, "/"+hook+"/deliveries", "", http.StatusOK), "0.id")
	return w, map[string]string{
		"context_id": w.id, "session_id": session, "trace_id": trace, "principal_id": w.vars[marker+".principal"],
		"type": marker, "name": marker, "key": marker, "key_id": w.vars[marker+".id"],
		"webhook_id": hook, "message_id": message,
	}
}

// absent are ids like those of a victim, of things that do not exist.
func absent(ids map[string]string) map[string]string {
	none := map[string]string{}
	for name, id := range ids {
		// As long as the real one, and of the same letters.
		none[name] = strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r < 'f' || r >= 'g' && r < 'z' || r >= '0' && r < '9':
				return r + 1
			default:
				return r
			}
		}, id)
	}
	return none
}

func TestTenants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		own := d.newWorld(t, "")
		other, ids := victim(t, d)
		none := absent(ids)
		for _, role := range attackers { // minted here, because they are used side by side below
			own.key(t, role)
		}
		t.Run("attacks", func(t *testing.T) {
			t.Run("another context's routes are those of no context", func(t *testing.T) {
				t.Parallel()
				attackRoutes(t, own, dataPlane, append([]string{"nobody", "operator"}, attackers...), http.StatusUnauthorized, ids, none)
			})
			t.Run("management routes are no context's key's", func(t *testing.T) {
				t.Parallel()
				attackRoutes(t, own, keyManager, attackers, http.StatusForbidden, ids, none)
			})
			t.Run("another context's things are absent from one's own", func(t *testing.T) {
				t.Parallel()
				attackThings(t, own, ids, none)
			})
		})
		untouched(t, other, ids)
	})
}

// attackRoutes tries every operation that wants a key on another context and on none: both must be refused, and alike.
func attackRoutes(t *testing.T, own *world, d document, keys []string, status int, ids, none map[string]string) {
	t.Helper()
	for _, op := range d.operations {
		if op.open() {
			continue
		}
		for _, role := range keys {
			foreign, nowhere := sample(t, op, ids), sample(t, op, none)
			foreign.key, nowhere.key = own.key(t, role), own.key(t, role)
			a, b := own.send(t, foreign), own.send(t, nowhere)
			if a.status != status || alike(t, a, foreign.path, values(ids)...) != alike(t, b, nowhere.path, values(none)...) {
				t.Errorf("%s as %s: another's and nobody's differ, or not %d:\n%d %s\n%d %s", op.name(), role, status, a.status, public(a), b.status, public(b))
			}
		}
	}
}

// attackThings names what is in another context in requests to one's own, in paths and elsewhere.
func attackThings(t *testing.T, own *world, ids, none map[string]string) {
	t.Helper()
	each := mentions(ids, none)
	for _, op := range dataPlane.operations {
		if strings.Count(op.route, "{") > 1 {
			each = append(each, mention{op.name(), sample(t, op, in(own, ids)), sample(t, op, in(own, none))})
		}
	}
	for _, m := range each {
		for _, role := range attackers {
			sameAbsence(t, own, m.name, role, m.foreign, m.absent, ids, none)
		}
	}
}

// in returns ids with another context.
func in(w *world, ids map[string]string) map[string]string {
	moved := maps.Clone(ids)
	moved["context_id"] = w.id
	return moved
}

// sameAbsence wants of two requests in one's own context the same answer, which tells nothing.
func sameAbsence(t *testing.T, own *world, name, role string, foreign, absent request, ids, none map[string]string) {
	t.Helper()
	foreign.key, absent.key = own.key(t, role), own.key(t, role)
	foreign.path, absent.path = own.path(foreign.path), own.path(absent.path)
	a, b := own.send(t, foreign), own.send(t, absent)
	if alike(t, a, foreign.path, values(ids)...) != alike(t, b, absent.path, values(none)...) {
		t.Errorf("%s as %s: another's and nobody's differ:\n%d %s\n%d %s", name, role, a.status, a.body, b.status, b.body)
	}
	if a.status < http.StatusBadRequest && bytes.Contains(a.body, []byte(marker)) && !strings.Contains(foreign.path+foreign.body, marker) {
		t.Errorf("%s as %s: tells what is another context's", name, role)
	}
	if a.status >= http.StatusInternalServerError && a.status != http.StatusNotImplemented {
		t.Errorf("%s as %s: %d", name, role, a.status)
	}
}

// mention is a request that names a thing elsewhere than in its path.
type mention struct {
	name            string
	foreign, absent request
}

func mentions(ids, none map[string]string) []mention {
	both := func(name, method, path, body, id string) mention {
		fill := func(value string) request {
			return request{method: method, path: strings.ReplaceAll(path, "<id>", url.QueryEscape(value)), body: strings.ReplaceAll(body, "<id>", value)}
		}
		return mention{name, fill(ids[id]), fill(none[id])}
	}
	all := []mention{
		both("facts session_id", http.MethodPost, "facts", `{"text":"x","infer":"none","session_id":"<id>"}`, "session_id"),
		both("batch session_id", http.MethodPost, "facts/batch", `{"messages":[{"role":"user","content":"x"}],"infer":"none","session_id":"<id>"}`, "session_id"),
		both("query sessionId", http.MethodPost, "query", `{"query":"`+marker+`","sessionId":"<id>"}`, "session_id"),
		both("audit principal", http.MethodGet, "audit?principal=<id>", "", "principal_id"),
		both("audit key", http.MethodGet, "audit?key=<id>", "", "key_id"),
		both("inspect trace", http.MethodGet, "inspect?ref=trace:<id>", "", "trace_id"),
		both("inspect entity", http.MethodGet, "inspect?ref=entity:<id>/<id>", "", "name"),
		both("entities type", http.MethodGet, "entities?type=<id>", "", "type"),
		both("scopes", http.MethodDelete, "scopes?path=<id>", "", "name"),
		both("lens", http.MethodPost, "query", `{"query":"x","lens":"<id>"}`, "name"),
		both("reflect", http.MethodPost, "reflect", `{"query":"<id>"}`, "name"),
		both("forget", http.MethodPost, "forget", `{"query":"<id>","purge":true}`, "name"),
		both("scopes forget", http.MethodPost, "scopes/forget", `{"path":"<id>"}`, "name"),
	}
	for _, header := range []string{"X-Spectron-On-Behalf-Of", "X-Memory-On-Behalf-Of"} {
		m := both("delegation "+header, http.MethodGet, "me", "", "principal_id")
		m.foreign.header, m.absent.header = map[string]string{header: ids["principal_id"]}, map[string]string{header: none["principal_id"]}
		all = append(all, m)
	}
	return all
}

// untouched wants everything of the attacked context still to be there.
func untouched(t *testing.T, w *world, ids map[string]string) {
	t.Helper()
	get := func(path string) answer {
		return w.must(t, request{method: http.MethodGet, path: w.path(path), key: w.key(t, "admin")}, http.StatusOK)
	}
	for _, path := range []string{"sessions/" + ids["session_id"], "traces/" + ids["trace_id"], "principals/" + ids["principal_id"], "entities/" + marker + "/" + marker} {
		get(path)
	}
	w.must(t, request{method: http.MethodGet, path: w.path("me"), key: w.roles[marker]}, http.StatusOK)
	hook := w.must(t, request{method: http.MethodGet, path: "/api/v1/webhooks/" + ids["webhook_id"], key: w.operator}, http.StatusOK)
	if err := match("webhook", map[string]any{"url": "https://example.com/" + marker, "enabled": true}, hook.json(t)); err != nil {
		t.Error(err)
	}
	found := w.must(t, request{method: http.MethodPost, path: w.path("query"), key: w.key(t, "admin"), body: `{"query":"` + marker + `"}`}, http.StatusOK)
	if !bytes.Contains(found.body, []byte(marker)) {
		t.Error("a row is gone")
	}
}

func values(ids map[string]string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, id)
	}
	return all
}
