package acceptance_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestRefusals asks every operation of both documents for what it must refuse, whatever it does: so no route is forgotten.
func TestRefusals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w := d.newWorld(t, "")
		ids := map[string]string{
			"context_id": w.id, "session_id": "absent", "trace_id": "absent", "principal_id": "absent", "type": "thing", "name": "absent", "key": "absent",
		}
		for _, op := range slices.Concat(dataPlane.operations, keyManager.operations) {
			if op.open() {
				continue
			}
			key := w.key(t, "agent")
			if op.document == keyManager.name {
				key = w.operator
			}
			expect := func(why string, status int, change func(r *request)) {
				t.Helper()
				r := sample(t, op, ids)
				r.key = key
				change(&r)
				if a := w.send(t, r); a.status != status {
					t.Errorf("%s: %s: got %d, want %d: %s", op.name(), why, a.status, status, public(a))
				}
			}
			expect("no key", http.StatusUnauthorized, func(r *request) { r.key = "" })
			if strings.Contains(op.route, "{context_id}") {
				expect("a malformed context id", http.StatusUnprocessableEntity, func(r *request) {
					r.path = strings.Replace(r.path, "/"+w.id, "/No%20Context", 1)
				})
			}
			if op.document == keyManager.name {
				refuseOperator(op, w.key(t, "admin"), expect)
			} else {
				refuseDelegation(expect)
			}
			if op.RequestBody != nil {
				refuseBodies(expect)
			}
		}
	})
}

type expectation func(why string, status int, change func(r *request))

func refuseDelegation(expect expectation) {
	expect("two targets", http.StatusBadRequest, func(r *request) {
		r.header = map[string]string{"X-Spectron-On-Behalf-Of": "a", "X-Memory-On-Behalf-Of": "b"}
	})
	expect("an unknown target", http.StatusForbidden, func(r *request) {
		r.header = map[string]string{"X-Spectron-On-Behalf-Of": "absent"}
	})
}

func refuseOperator(op operation, key string, expect expectation) {
	expect("a data-plane key", http.StatusForbidden, func(r *request) { r.key = key })
	if op.Responses.Status(http.StatusNotFound) != nil {
		expect("an unknown context", http.StatusNotFound, func(r *request) {
			r.path = strings.Replace(r.path, strings.Split(r.path, "/")[4], "nobodys", 1)
		})
	}
	for _, p := range op.Parameters {
		if p.Value.In == "query" {
			expect("a parameter that is none", http.StatusBadRequest, func(r *request) { r.path += "?" + p.Value.Name + "=%00" })
			return
		}
	}
}

func refuseBodies(expect expectation) {
	expect("a body that is no JSON", http.StatusBadRequest, func(r *request) { r.body = "{" })
	expect("a body that is too large", http.StatusRequestEntityTooLarge, func(r *request) {
		r.body = `{"pad":"` + strings.Repeat("x", 2<<20) + `"}`
	})
	expect("a body that is too large, of a length that is not told", http.StatusRequestEntityTooLarge, func(r *request) {
		r.body, r.chunked = `{"pad":"`+strings.Repeat("x", 2<<20)+`"}`, true
	})
	expect("a body of another kind", http.StatusUnsupportedMediaType, func(r *request) {
		r.body, r.header = "<x/>", map[string]string{"Content-Type": "text/xml"}
	})
}

// TestTheDocumentsAreServed wants each service to serve its own document, with every operation of it, and a page to read it.
func TestTheDocumentsAreServed(t *testing.T) {
	t.Parallel()
	d := deploy(t, dbtest.SQLite(t))
	for _, served := range []struct {
		document
		path   string
		direct bool
	}{{dataPlane, "/openapi.json", false}, {keyManager, "/openapi.json", true}, {splFace, "/v1/openapi.json", false}, {doors, "/openapi-doors.json", false}} {
		a := d.must(t, request{method: http.MethodGet, path: served.path, direct: served.direct}, http.StatusOK)
		paths := lookupAll(t, a, "paths")
		for _, op := range served.operations {
			item, _ := paths[op.route].(map[string]any)
			described, _ := item[strings.ToLower(op.method)].(map[string]any)
			if id, _ := described["operationId"].(string); !strings.EqualFold(id, op.OperationID) { // the generator capitalises names
				t.Errorf("%s: %s %s is not in the document that is served", served.name, op.method, op.route)
			}
		}
		page := d.must(t, request{method: http.MethodGet, path: "/docs", direct: served.direct}, http.StatusOK)
		if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || strings.Contains(string(page.body), `src="http`) {
			t.Errorf("%s: the page is %s, or it needs another host", served.name, page.header.Get("Content-Type"))
		}
	}
}

// lookupAll returns an object of an answer.
func lookupAll(t *testing.T, a answer, name string) map[string]any {
	t.Helper()
	object, _ := a.json(t).(map[string]any)
	value, _ := object[name].(map[string]any)
	return value
}
