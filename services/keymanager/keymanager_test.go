package keymanager_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func config(url string) keymanager.Config {
	return keymanager.Config{
		ConnectionString: settings.Secret(url),
		Pepper:           "a pepper for tests that is long enough",
		ServiceSecret:    "a service secret that is long enough",
	}
}

func migrate(t *testing.T, url string) {
	t.Helper()
	db, err := database.Open(t.Context(), url, "control")
	if err != nil {
		t.Fatal(err)
	}
	m, err := keymanager.Migrations(db.Engine)
	if err == nil {
		_, err = database.Migrate(t.Context(), db, m)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if _, err := keymanager.Open(t.Context(), config(url)); err == nil || !strings.Contains(err.Error(), "spectrond migrate") {
			t.Errorf("opening an empty database: %v", err)
		}
		migrate(t, url)
		service, err := keymanager.Open(t.Context(), config(url))
		if err != nil {
			t.Fatal(err)
		}
		if err := service.Ready(t.Context()); err != nil {
			t.Errorf("an open service is not ready: %v", err)
		}
		management, first := newKey(t), newKey(t)
		enrolment := introspection.Enrolment{
			Attempt: apikey.NewID(), ContextID: "default", Management: introspection.Enrol(management), Context: introspection.Enrol(first),
		}
		for range 2 {
			if err := service.Bootstrap(t.Context(), enrolment); err != nil {
				t.Errorf("bootstrapping: %v", err)
			}
		}
		enrolment.Attempt = apikey.NewID()
		if err := service.Bootstrap(t.Context(), enrolment); !errors.Is(err, fault.AlreadyDone) {
			t.Errorf("bootstrapping a second time: %v, want AlreadyDone", err)
		}
		if err := service.Close(); err != nil {
			t.Error(err)
		}
		if err := service.Ready(t.Context()); err == nil {
			t.Error("a closed service is ready")
		}

		// The pepper is what keeps a copy of the database worthless.
		other := config(url)
		other.Pepper = "another pepper that is also long enough"
		if status := verbs(t, other, management); status != http.StatusUnauthorized {
			t.Errorf("under another pepper: status %d", status)
		}
		other.Pepper = "2:another pepper that is also long enough,1:" + config(url).Pepper
		if status := verbs(t, other, management); status != http.StatusOK {
			t.Errorf("while the pepper is rotated: status %d", status)
		}
	})
}

func newKey(t *testing.T) apikey.Key {
	t.Helper()
	k, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verbs asks a service that cfg opens for the verbs and returns the status.
func verbs(t *testing.T, cfg keymanager.Config, management apikey.Key) int {
	t.Helper()
	service, err := keymanager.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	r := httptest.NewRequest(http.MethodGet, "/api/v1/verbs", nil)
	r.Header.Set("Authorization", "Bearer "+management.Reveal())
	w := httptest.NewRecorder()
	service.Handler().ServeHTTP(w, r)
	return w.Code
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := settings.Environ{
		"SPECTRON_CONNECTION_STRING": "sqlite:x.db",
		"SPECTRON_PEPPER":            "a pepper for tests that is long enough",
		"SPECTRON_SERVICE_SECRET":    "a service secret that is long enough",
	}
	var cfg keymanager.Config
	if err := settings.Load(&cfg, good, nil); err != nil {
		t.Fatal(err)
	}
	if cfg.BindAddress != "0.0.0.0:9091" || cfg.AdminAddress != "127.0.0.1:0" {
		t.Errorf("defaults: %q, %q", cfg.BindAddress, cfg.AdminAddress)
	}
	for name := range good {
		for _, bad := range []string{"", "hidden"} {
			if name == "SPECTRON_CONNECTION_STRING" && bad != "" {
				continue
			}
			environ := maps.Clone(good)
			environ[name] = bad
			err := settings.Load(&keymanager.Config{}, environ, nil)
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("with %s=%q: %v", name, bad, err)
			}
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		migrate(t, url)
		cfg := config(url)
		cfg.BindAddress, cfg.AdminAddress = "127.0.0.1:0", "127.0.0.1:0"
		lines, log := io.Pipe()
		var err error
		if cfg.Log, err = telemetry.NewLogger(log, "info", "json", apikey.Redact); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		done := make(chan error, 1)
		go func() {
			err := keymanager.Run(ctx, cfg)
			_ = log.Close()
			done <- err
		}()
		addresses := map[string]string{}
		scanner := bufio.NewScanner(lines)
		for len(addresses) < 2 && scanner.Scan() {
			var line struct{ Msg, Server, Address string }
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line.Msg == "listening" {
				addresses[line.Server] = line.Address
			}
		}
		go func() { _, _ = io.Copy(io.Discard, lines) }()
		for server, path := range map[string]string{"management": "/api/v1/health", "admin": "/readyz"} {
			answer, err := http.Get("http://" + addresses[server] + path)
			if err != nil {
				t.Errorf("%s: %v", server, err)
				continue
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("%s%s: status %d", server, path, answer.StatusCode)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	migrate(t, url)
	for name, spoil := range map[string]func(*keymanager.Config){
		"no pepper":         func(c *keymanager.Config) { c.Pepper = "" },
		"no service secret": func(c *keymanager.Config) { c.ServiceSecret = "" },
		"no database":       func(c *keymanager.Config) { c.ConnectionString = "" },
		"a wrong address":   func(c *keymanager.Config) { c.BindAddress = "127.0.0.1:99999" },
		"no address":        func(c *keymanager.Config) { c.BindAddress = "" },
		"an admin address":  func(c *keymanager.Config) { c.AdminAddress = "nowhere" },
	} {
		cfg := config(url)
		cfg.BindAddress, cfg.AdminAddress = "127.0.0.1:0", "off"
		spoil(&cfg)
		if err := keymanager.Run(t.Context(), cfg); err == nil {
			t.Errorf("%s: runs", name)
		}
	}
}

// A context can be made before any bootstrap: service accounts need none. A bootstrap finds it there.
func TestAContextWithoutBootstrap(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		migrate(t, url)
		cfg := config(url)
		cfg.AuthenticationOff = true
		service, err := keymanager.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = service.Close() })
		if _, err := service.Standing(t.Context(), "default"); !errors.Is(err, fault.NotFound) {
			t.Errorf("before it is made: %v", err)
		}
		for range 2 {
			if err := service.EnsureContext(t.Context(), "default"); err != nil {
				t.Fatal(err)
			}
		}
		if err := service.EnsureContext(t.Context(), "No"); !errors.Is(err, fault.Unprocessable) {
			t.Errorf("a malformed id: %v", err)
		}
		before, err := service.Standing(t.Context(), "default")
		if err != nil || before.Accounts != 0 || !before.Open || before.Incarnation == "" {
			t.Errorf("%+v, %v", before, err)
		}
		token, err := apikey.ChosenToken("correct-horse_battery")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := service.EnrolChosen(t.Context(), "default", token, []string{"did:sync:user:olga"}); err != nil {
				t.Fatal(err)
			}
		}
		management, first := newKey(t), newKey(t)
		if err := service.Bootstrap(t.Context(), introspection.Enrolment{
			Attempt: apikey.NewID(), ContextID: "default", Management: introspection.Enrol(management), Context: introspection.Enrol(first),
		}); err != nil {
			t.Errorf("a bootstrap after it: %v", err)
		}
		after, err := service.Standing(t.Context(), "default")
		if err != nil || after.Accounts != 1 || after.Active != 1 || after.Open || after.Incarnation != before.Incarnation {
			t.Errorf("%+v, %v", after, err)
		}
		if status := verbs(t, config(url), management); status != http.StatusOK {
			t.Errorf("the management key: %d", status)
		}
	})
}
