package main_test

import (
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// fleet is a deployment of two processes, each with its own role of one Postgres and its own address.
type fleet struct {
	deployment

	managementAddress, dataAddress string
	management, data               *server
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{deployment: migrated(t), managementAddress: freeAddress(t), dataAddress: freeAddress(t)}
}

// freeAddress returns an address that a process may listen on now and, should it be killed, again: its port is below those
// that systems give to whoever asks for any.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000)))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no free port")
	return ""
}

func (f *fleet) startManagement(t *testing.T) {
	t.Helper()
	f.management = start(t, []string{
		"SPECTRON_CONNECTION_STRING=" + f.control, "SPECTRON_PEPPER=" + testPepper, "SPECTRON_SERVICE_SECRET=" + testServiceSecret,
		"SPECTRON_BIND_ADDRESS=" + f.managementAddress, "SPECTRON_LOG_LEVEL=debug",
	}, "management", "start")
}

func (f *fleet) startData(t *testing.T) {
	t.Helper()
	f.data = start(t, []string{
		"SPECTRON_CONNECTION_STRING=" + f.deployment.data, "SPECTRON_MANAGEMENT_URL=http://" + f.managementAddress,
		"SPECTRON_SERVICE_SECRET=" + testServiceSecret, "SPECTRON_BIND_ADDRESS=" + f.dataAddress, "SPECTRON_LOG_LEVEL=debug",
	}, "api", "start")
}

// bootstrapEnv is that of a container beside the data plane: the data plane's role must not be taken for a way in.
func (f *fleet) bootstrapEnv() []string {
	return []string{
		"SPECTRON_MANAGEMENT_URL=http://" + f.managementAddress, "SPECTRON_SERVICE_SECRET=" + testServiceSecret,
		"SPECTRON_CONNECTION_STRING=" + f.deployment.data,
		"SPECTRON_PUBLIC_URL=http://spectron.example.com", "SPECTRON_PUBLIC_MANAGEMENT_URL=http://keys.example.com:9091",
	}
}

// The deployed shape: nothing is lost when either process is killed, and what cannot be verified is refused.
func TestTwoProcessesOnOnePostgres(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.startManagement(t)
	f.startData(t)
	boot := must(t, f.bootstrapEnv(), "bootstrap")
	first := readEnv(boot.stdout)
	if len(first) != 5 || first["SPECTRON_URL"] != "http://spectron.example.com" || first["SPECTRON_MANAGEMENT_URL"] != "http://keys.example.com:9091" {
		t.Errorf("bootstrap prints the addresses %s and %s", first["SPECTRON_URL"], first["SPECTRON_MANAGEMENT_URL"])
	}
	if again := spectrond(t, f.bootstrapEnv(), "bootstrap"); again.status != 3 || again.stdout != "" {
		t.Errorf("bootstrapping again: exit status %d: %s", again.status, again.stderr)
	}
	must(t, []string{"SPECTRON_BIND_ADDRESS=" + f.dataAddress}, "healthcheck")
	must(t, nil, "healthcheck", "--url", "http://"+f.managementAddress+"/health")

	// Operators reach the key manager directly, or through the data plane.
	s := &session{data: f.data.address, management: f.management.address, first: first}
	s.play(t)
	s.management = f.data.address
	s.mint(t, "through the front")
	expect(t, http.StatusNotFound, http.MethodPost, f.data.address+"/internal/v1/introspections", s.first["SPECTRON_MANAGEMENT_API_KEY"], "{}")

	f.data.kill()
	f.startData(t)
	s.recall(t, first["SPECTRON_API_KEY"], "lighthouse", true)

	f.management.kill()
	refused := expect(t, http.StatusServiceUnavailable, http.MethodGet, f.data.address+"/api/v1/default/me", s.planner, "")
	if !strings.Contains(refused.body, "authority-unavailable") || refused.header.Get("Retry-After") == "" {
		t.Errorf("without a key manager: Retry-After %q, %s", refused.header.Get("Retry-After"), refused.body)
	}
	expect(t, http.StatusUnauthorized, http.MethodGet, f.data.address+"/api/v1/default/me", "not a key", "")
	expect(t, http.StatusOK, http.MethodGet, f.data.address+"/health", "", "")
	f.startManagement(t)
	s.me(t, http.StatusOK, s.planner)
	s.rotate(t, s.planner)

	for _, server := range []*server{f.data, f.management} {
		if err := server.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
	f.checkLogs(t, s)
}

// checkLogs looks for secrets in what the processes wrote last.
func (f *fleet) checkLogs(t *testing.T, s *session) {
	t.Helper()
	for name, server := range map[string]*server{"key manager": f.management, "data plane": f.data} {
		log, _ := server.log.read()
		for _, secret := range []string{testPepper, testServiceSecret} {
			if strings.Contains(log, secret) {
				t.Errorf("the log of the %s holds a secret of the deployment", name)
			}
		}
		for i, key := range s.secrets {
			for form, needle := range forms(key) {
				if strings.Contains(log, needle) {
					t.Errorf("the log of the %s holds key %d as %s", name, i, form)
				}
			}
		}
	}
}

// A service with the wrong secret is told so, and gets nothing.
func TestBootstrapWithTheWrongServiceSecret(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.startManagement(t)
	out := spectrond(t, append(f.bootstrapEnv(), "SPECTRON_SERVICE_SECRET="+strings.Repeat("x", 32)), "bootstrap")
	if out.status != 1 || out.stdout != "" || !strings.Contains(out.stderr, "same service secret") {
		t.Errorf("exit status %d: %s", out.status, out.stderr)
	}
	must(t, f.bootstrapEnv(), "bootstrap")
}

// Servers do not serve what they would have to guess: a schema that is older than they are.
func TestServersRefuseADatabaseThatIsNotMigrated(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		env := []string{
			"SPECTRON_CONNECTION_STRING=" + url, "SPECTRON_PEPPER=" + testPepper, "SPECTRON_SERVICE_SECRET=" + testServiceSecret,
			"SPECTRON_BIND_ADDRESS=127.0.0.1:0",
		}
		for _, role := range []string{"management", "api"} {
			if out := spectrond(t, env, role, "start"); out.status != 1 || !strings.Contains(out.stderr, "spectrond migrate") {
				t.Errorf("%s start: exit status %d: %s", role, out.status, out.stderr)
			}
		}
	})
}

// An existing store is served soon after the start. The goal is 300 ms; this bound is what a busy machine under the race
// detector may take, so that it fails for a cause and not for the weather.
func TestTheNodeStartsSoon(t *testing.T) {
	t.Parallel()
	const bound = 10 * time.Second
	env := []string{"SPECTRON_DATA_DIR=" + t.TempDir(), "SPECTRON_BIND_ADDRESS=127.0.0.1:0"}
	if err := start(t, env, "dev", "start").stop(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	start(t, env, "dev", "start")
	took := time.Since(begin)
	t.Logf("start to first 200: %s", took.Round(time.Millisecond))
	if took > bound {
		t.Errorf("start to first 200 took %s, more than %s", took, bound)
	}
}
