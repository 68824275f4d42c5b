package acceptance_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// faulty sends a good request of each operation of a document and wants each answered with this status, unless it describes none such: some
// touch nothing that could fail, and those that ask the key manager call its faults an authority that does not answer.
func faulty(t *testing.T, w *world, d document, status int) {
	t.Helper()
	ids := map[string]string{
		"context_id": w.id, "session_id": "absent", "trace_id": "absent", "principal_id": w.vars["admin.principal"], "type": "thing", "name": "admin", "key": "absent", "webhook_id": "wh_aaaaaaaaaaaaaaaa", "message_id": "absent",
	}
	for _, op := range d.operations {
		if op.open() {
			continue
		}
		r := sample(t, op, ids)
		r.key = w.roles["admin"]
		if d.name == keyManager.name {
			r.key = w.operator
		}
		a := w.send(t, r)
		if op.Responses.Status(status) == nil {
			continue // send has seen that the answer is one that is described
		}
		if a.status != status {
			t.Errorf("%s: got %d, want %d: %s", op.name(), a.status, status, public(a))
			continue
		}
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); status == http.StatusServiceUnavailable && (err != nil || seconds < 1) {
			t.Errorf("%s: 503 with Retry-After %q", op.name(), a.header.Get("Retry-After"))
		}
	}
}

// TestTheDatabaseIsGone stops the database server: what needs it answers 503, on both planes.
func TestTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	cluster := dbtest.StartCluster(t)
	d := deploy(t, cluster.Database(t).String())
	w := d.newWorld(t, "")
	w.key(t, "admin")
	if err := cluster.Stop(dbtest.Fast); err != nil {
		t.Fatal(err)
	}
	faulty(t, w, keyManager, http.StatusServiceUnavailable)
	for _, path := range []string{"/health", "/api/v1/health"} {
		w.must(t, request{method: http.MethodGet, path: path}, http.StatusOK)
		w.must(t, request{method: http.MethodGet, path: path, direct: true}, http.StatusOK)
	}
}

// TestTheKeyManagerIsGone closes the key manager's address: the data plane refuses what it cannot verify, with 503 and never with 401.
func TestTheKeyManagerIsGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w := d.newWorld(t, "")
		w.key(t, "admin") // was never shown to the data plane, which so cannot remember it
		d.keymanager.CloseClientConnections()
		d.keymanager.Close()
		faulty(t, w, dataPlane, http.StatusServiceUnavailable)
		w.must(t, request{method: http.MethodGet, path: "/api/v1/verbs", key: w.operator}, http.StatusServiceUnavailable)
		w.must(t, request{method: http.MethodGet, path: "/api/v1/health"}, http.StatusOK)
	})
}

// TestAFaultTellsNothing takes the tables away from under the services: 500, whose detail holds the trace id and nothing else.
func TestAFaultTellsNothing(t *testing.T) {
	t.Parallel()
	store := dbtest.Postgres(t)
	d := deployLeased(t, store, time.Minute)
	w := d.newWorld(t, "")
	// The key must be remembered, or the key manager's own fault would keep it from being verified.
	me := request{method: http.MethodGet, path: w.path("me"), key: w.key(t, "admin")}
	for limit := time.Now().Add(time.Minute); lookup(t, w.must(t, me, http.StatusOK).json(t), "verdict.source") != "cache"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the key is not remembered")
		}
	}
	conn, err := pgx.Connect(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, schema := range []string{"data", "control"} {
		if _, err := conn.Exec(t.Context(), "ALTER SCHEMA "+schema+" RENAME TO hidden_"+schema); err != nil {
			t.Fatal(err)
		}
	}
	faulty(t, w, dataPlane, http.StatusInternalServerError)
	faulty(t, w, keyManager, http.StatusInternalServerError)
	a := w.must(t, request{method: http.MethodGet, path: w.path("scopes"), key: w.roles["admin"]}, http.StatusInternalServerError)
	if want := "internal error, trace " + a.header.Get("X-Trace-Id"); a.text(t, "detail") != want {
		t.Errorf("the detail is %q, want %q", a.text(t, "detail"), want)
	}
}
