package dataplane_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/dataplane/internal/authoritytest"
)

// addresses passes on where a service says that it listens.
type addresses chan string

func (a addresses) Write(line []byte) (int, error) {
	var entry struct{ Msg, Server, Address string }
	if err := json.Unmarshal(line, &entry); err == nil && entry.Msg == "listening" {
		a <- entry.Server + " " + entry.Address
	}
	return len(line), nil
}

func TestRunServesUntilItIsTold(t *testing.T) { //nolint:paralleltest // no other test's goroutines may be about
	before := goleak.IgnoreCurrent()
	url := dbtest.SQLite(t)
	migrate(t, url)
	cfg := config(url, authoritytest.New())
	cfg.BindAddress, cfg.AdminAddress = "127.0.0.1:0", "127.0.0.1:0"
	listening := make(addresses, 2)
	cfg.Log = slog.New(slog.NewJSONHandler(listening, nil))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- dataplane.Run(ctx, cfg) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for range 2 {
		var server, address string
		select {
		case text := <-listening:
			server, address, _ = strings.Cut(text, " ")
		case err := <-ended:
			t.Fatalf("ended at once: %v", err)
		}
		path := map[string]string{"api": "/health", "admin": "/readyz"}[server]
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", server, res.StatusCode)
		}
		_ = res.Body.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	// GORM's cache of prepared statements has a goroutine that nothing ends; there is one per database of the process.
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

func TestOpenRefusesAnOldSchema(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		service, err := dataplane.Open(t.Context(), config(url, authoritytest.New()))
		if err == nil {
			_ = service.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "spectrond migrate") {
			t.Errorf("without migrations: %v", err)
		}
	})
}

func TestConfigSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	var cfg dataplane.Config
	err := settings.Load(&cfg, settings.Environ{"SPECTRON_MANAGEMENT_URL": "nonsense", "SPECTRON_SERVICE_SECRET": "too short"}, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"SPECTRON_CONNECTION_STRING", "--connection-string", "SPECTRON_SERVICE_SECRET_FILE", "SPECTRON_MANAGEMENT_URL"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "too short") {
		t.Error("the error quotes a secret")
	}
	good := settings.Environ{"SPECTRON_CONNECTION_STRING": "sqlite:x", "SPECTRON_SERVICE_SECRET": strings.Repeat("s", 32)}
	if err := settings.Load(&cfg, good, nil); err != nil || cfg.BindAddress != "0.0.0.0:9090" || cfg.ManagementURL != "http://127.0.0.1:9091" {
		t.Errorf("%v, %+v", err, cfg)
	}
}
