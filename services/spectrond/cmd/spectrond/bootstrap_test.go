package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

const (
	testPepper        = "a pepper for tests which is long enough"
	testServiceSecret = "a service secret for tests which is long enough"
)

// racers is how many processes bootstrap at once.
const racers = 50

// However many race for it, one gets the keys, and the keys it was given are the ones that exist.
func TestOneBootstrapWins(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		env := []string{"SPECTRON_PEPPER=" + testPepper}
		must(t, nil, "migrate", "--connection-string", url)
		outcomes := make(chan outcome)
		for range racers {
			go func() { outcomes <- spectrond(t, env, "bootstrap", "--connection-string", url) }()
		}
		var winners []outcome
		for range racers {
			switch out := <-outcomes; {
			case out.status == 0:
				winners = append(winners, out)
			case out.status != 3 || out.stdout != "" || !strings.Contains(out.stderr, "bootstrapped before"):
				t.Errorf("a loser exits with %d and %d bytes of output: %s", out.status, len(out.stdout), out.stderr)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("%d winners", len(winners))
		}
		keys := readEnv(winners[0].stdout)
		if strings.Count(winners[0].stdout, "\n") != 5 || len(keys) != 5 {
			t.Fatalf("the winner prints %d lines", strings.Count(winners[0].stdout, "\n"))
		}
		node := start(t, append(env, "SPECTRON_CONNECTION_STRING="+url), "dev", "start", "--bind-address", "127.0.0.1:0")
		expect(t, http.StatusOK, http.MethodGet, node.address+"/api/v1/default/me", keys["SPECTRON_API_KEY"], "")
		got := expect(t, http.StatusOK, http.MethodGet, node.address+"/api/v1/contexts/default/keys", keys["SPECTRON_MANAGEMENT_API_KEY"], "")
		if n := strings.Count(got.body, `"id"`); n != 1 {
			t.Errorf("%d keys of the context exist", n)
		}
		// Those who lost their answer on the way would ask again; that a stranger does, changes nothing.
		if out := spectrond(t, env, "bootstrap", "--connection-string", url); out.status != 3 {
			t.Errorf("bootstrapping again: exit status %d", out.status)
		}
	})
}

// Bootstrap does not migrate, and says what to do instead.
func TestBootstrapNeedsAMigratedDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		out := spectrond(t, []string{"SPECTRON_PEPPER=" + testPepper}, "bootstrap", "--connection-string", url)
		if out.status != 1 || out.stdout != "" || !strings.Contains(out.stderr, "spectrond migrate") {
			t.Errorf("exit status %d: %s", out.status, out.stderr)
		}
	})
}

// expect sends a request and checks the status of the answer.
func expect(t *testing.T, status int, method, url, key, body string) answer {
	t.Helper()
	got, err := call(t.Context(), method, url, key, body)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, url, got.status, status, got.body)
	}
	return got
}
