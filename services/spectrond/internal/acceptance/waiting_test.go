package acceptance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// await asks until the answer has this status, and returns it.
func (d *deployment) await(t *testing.T, r request, status int) answer {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		a := d.send(t, r)
		if a.status == status {
			return a
		}
		if time.Now().After(limit) {
			t.Fatalf("%s %s: waited in vain for %d, got %d: %s", r.method, r.path, status, a.status, public(a))
		}
	}
}

// TestExpiry is section 2.3, as far as time must pass for it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w := d.newWorld(t, "")
		keys := "/api/v1/contexts/" + w.id + "/keys"
		minted := w.must(t, request{method: http.MethodPost, path: keys + "/brief?ttl_seconds=1", key: d.operator}, http.StatusCreated)
		brief := request{method: http.MethodGet, path: w.path("me"), key: minted.text(t, "key")}
		expired := w.await(t, brief, http.StatusUnauthorized)
		brief.key = "sp-0123456789abcdef-x"
		if unknown := w.send(t, brief); normalise(expired, brief.path) != normalise(unknown, brief.path) {
			t.Errorf("an expired key is told from an unknown one:\n%s\n%s", expired.body, unknown.body)
		}
		listed := w.must(t, request{method: http.MethodGet, path: keys, key: d.operator}, http.StatusOK)
		if err := match("keys", []any{map[string]any{"name": "brief", "id": minted.text(t, "id")}}, listed.json(t)); err != nil {
			t.Errorf("an expired key is not deleted by itself: %v", err)
		}
		// Its end cannot be kept, so a rotation must name another.
		nested := fmt.Sprintf("/api/v1/contexts/%s/principals/%s/keys/brief/rotate", w.id, minted.text(t, "principalId"))
		for _, path := range []string{keys + "/brief/rotate", nested} {
			w.must(t, request{method: http.MethodPost, path: path, key: d.operator}, http.StatusConflict)
		}
		w.must(t, request{method: http.MethodPost, path: w.path("keys/brief/rotate"), key: w.key(t, "admin")}, http.StatusConflict)
		rotated := w.must(t, request{method: http.MethodPost, path: keys + "/brief/rotate?ttl_seconds=60", key: d.operator}, http.StatusOK)
		w.must(t, request{method: http.MethodGet, path: w.path("me"), key: rotated.text(t, "key")}, http.StatusOK)
	})
}

// TestLastUse is section 2.4: lastUsedAt is absent for a key that was never used, and there soon after a use; only in the self-service
// listing, unless an operator asks for it.
func TestLastUse(t *testing.T) {
	t.Parallel()
	d := deploy(t, dbtest.SQLite(t))
	w := d.newWorld(t, "")
	w.mint(t, "unused", "")
	list := request{method: http.MethodGet, path: w.path("keys"), key: w.key(t, "admin")}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		a := w.must(t, list, http.StatusOK)
		var keys []map[string]any
		if err := json.Unmarshal(a.body, &keys); err != nil {
			t.Fatal(err)
		}
		used := map[string]any{}
		for _, key := range keys {
			name, _ := key["name"].(string)
			used[name] = key["lastUsedAt"]
		}
		if used["unused"] != nil {
			t.Fatalf("a key that was never used has lastUsedAt %v", used["unused"])
		}
		if used["admin"] != nil {
			text, _ := used["admin"].(string)
			if at, err := time.Parse(time.RFC3339Nano, text); err != nil || time.Since(at) > 3*time.Minute || time.Since(at) < 0 { // it is told to the minute
				t.Errorf("lastUsedAt is %v", used["admin"])
			}
			break
		}
		if time.Now().After(limit) {
			t.Fatal("lastUsedAt does not come")
		}
	}
	// The management list tells neither, unless it is asked to.
	for query, want := range map[string][]any{
		"": {
			map[string]any{"name": "admin", "lastUsedAt": "$absent", "useCount": "$absent"},
			map[string]any{"name": "unused", "lastUsedAt": "$absent", "useCount": "$absent", "enabled": "$absent"},
		},
		"?usage=true": {
			map[string]any{"name": "admin", "lastUsedAt": "$time", "useCount": "$some"},
			map[string]any{"name": "unused", "lastUsedAt": "$absent", "useCount": 0.0},
		},
	} {
		a := w.must(t, request{method: http.MethodGet, path: "/api/v1/contexts/" + w.id + "/keys" + query, key: d.operator}, http.StatusOK)
		if err := match("keys"+query, want, a.json(t)); err != nil {
			t.Error(err)
		}
	}
}

// TestPages is section 1.5 where it takes many rows: the default limits, and lists that go on.
func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w := d.newWorld(t, "")
		key := w.key(t, "agent")
		count := func(path, field string) int {
			t.Helper()
			object, _ := w.must(t, request{method: http.MethodGet, path: w.path(path), key: key}, http.StatusOK).json(t).(map[string]any)
			list, _ := object[field].([]any)
			return len(list)
		}
		messages := strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"x"},`, 103), ",")
		session := w.must(t, request{method: http.MethodPost, path: w.path("facts/batch"), key: key, body: `{"infer":"none","messages":[` + messages + `]}`}, http.StatusOK).text(t, "sessionId")
		for query, want := range map[string]int{"": 100, "?limit=500": 103, "?offset=100": 3, "?limit=2&offset=1": 2, "?offset=200": 0} {
			if got := count("sessions/"+session+"/turns"+query, "turns"); got != want {
				t.Errorf("turns%s: %d, want %d", query, got, want)
			}
		}
		for range 51 {
			w.must(t, request{method: http.MethodPost, path: w.path("query"), key: key, body: `{"query":"x","k":1}`}, http.StatusOK)
		}
		for query, want := range map[string]int{"": 50, "?limit=500": 51, "?limit=3": 3} {
			if got := count("traces"+query, "traces"); got != want {
				t.Errorf("traces%s: %d, want %d", query, got, want)
			}
			if got := count("audit?kind=retrieval"+strings.Replace(query, "?", "&", 1), "rows"); got != want {
				t.Errorf("audit%s: %d, want %d", query, got, want)
			}
		}
		triples := make([]string, 120)
		for i := range triples {
			triples[i] = fmt.Sprintf(`{"entity":{"type":"t","name":"n%03d"},"key":"k","value":"v"}`, i)
		}
		w.must(t, request{method: http.MethodPost, path: w.path("facts"), key: key, body: `{"infer":"triples","triples":[` + strings.Join(triples, ",") + `]}`}, http.StatusOK)
		for query, want := range map[string]int{"": 120, "?limit=7": 7, "?offset=118": 2, "?type=t&limit=500": 120, "?type=u": 0} {
			if got := count("entities"+query, "entities"); got != want {
				t.Errorf("entities%s: %d, want %d", query, got, want)
			}
		}
		for _, path := range []string{"a/b", "c"} {
			w.must(t, request{method: http.MethodPost, path: w.path("scopes"), key: key, body: `{"path":"` + path + `"}`}, http.StatusCreated)
		}
		w.followPages(t, "/api/v1/contexts/"+w.id+"/principals", d.operator)
		w.followPages(t, w.path("principals"), w.key(t, "admin"))
		w.followPages(t, w.path("scopes"), w.key(t, "admin"))
	})
}

// followPages walks a list by the Link header, one row at a time, and wants what the whole list has.
func (w *world) followPages(t *testing.T, path, key string) {
	t.Helper()
	whole, _ := w.must(t, request{method: http.MethodGet, path: path, key: key}, http.StatusOK).json(t).([]any)
	var walked []any
	for next := path + "?limit=1"; next != ""; {
		a := w.must(t, request{method: http.MethodGet, path: next, key: key}, http.StatusOK)
		page, _ := a.json(t).([]any)
		if len(page) > 1 || len(walked) > len(whole) {
			t.Fatalf("%s: a page of %d, after %d of %d", path, len(page), len(walked), len(whole))
		}
		walked = append(walked, page...)
		_, link, _ := strings.Cut(a.header.Get("Link"), "<")
		link, rel, _ := strings.Cut(link, ">")
		if link != "" && !strings.Contains(rel, `rel="next"`) {
			t.Errorf("%s: Link: %s", path, a.header.Get("Link"))
		}
		if next = link; strings.HasPrefix(link, "http") {
			_, rest, _ := strings.Cut(link, "/api/")
			next = "/api/" + rest
		}
	}
	if len(whole) < 2 || show(walked) != show(whole) {
		t.Errorf("%s: %d rows page by page, %d at once", path, len(walked), len(whole))
	}
}
