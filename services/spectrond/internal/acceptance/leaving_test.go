package acceptance_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/web"
)

// A replica that was told to end answers health checks with 503 and everything else as before.
func TestHealthOfAReplicaThatIsAboutToEnd(t *testing.T) {
	t.Parallel()
	d := deploy(t, dbtest.SQLite(t))
	leaving := &deployment{client: d.client, data: leave(t, d.front), control: leave(t, d.keymanager)}
	for _, direct := range []bool{false, true} {
		for _, path := range []string{"/health", "/api/v1/health"} {
			if a := leaving.send(t, request{method: http.MethodGet, path: path, direct: direct}); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%s of a replica that is about to end: %d", path, a.status)
			}
		}
		if a := leaving.send(t, request{method: http.MethodGet, path: "/api/v1/contexts", direct: direct, key: d.operator}); a.status != http.StatusOK {
			t.Errorf("a request to a replica that is about to end: %d", a.status)
		}
	}
}

// leave serves what server serves, as a process does that was told to end. It returns the address.
func leave(t *testing.T, server *httptest.Server) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told, tell := context.WithCancel(t.Context())
	tell()
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(told, listener, server.Config.Handler, web.Drain{Delay: time.Hour}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		if err := <-ended; err != nil {
			t.Logf("it ended: %v", err)
		}
	})
	return "http://" + listener.Addr().String()
}
