package observability_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// measured reports whether all that a query is about was scraped.
func (s *stack) measured(t *testing.T, q query) bool {
	t.Helper()
	for _, name := range metric.FindAllString(q.text, -1) {
		if !s.families[name] {
			t.Errorf("%s: nobody measures %s", q.where, name)
			return false
		}
	}
	return true
}

// The services run, fail and recover. Every query of every panel and variable must find something at some time, every alert must
// be of metrics that there are, none may fire while all is well, and those fire that are about what fails.
func TestEveryQueryFindsWhatTheServicesMeasure(t *testing.T) {
	t.Parallel()
	s := start(t)
	rounds := func(n int) {
		for range n {
			s.traffic(t)
			s.scrape(t)
		}
	}
	s.inTheBackground(t)
	began := s.now.Add(interval)
	rounds(16)
	well := s.now
	s.kill(t, "keymanager")
	rounds(1)
	time.Sleep(time.Second) // longer than the lease: no more verdicts from memory
	rounds(28)
	failing := s.now
	s.launch(t, "keymanager")
	rounds(4)
	ask := s.prometheus(t)

	for _, q := range panels(t) {
		found := len(ask.at(t, q, well))+len(ask.at(t, q, failing))+len(ask.at(t, q, s.now)) > 0 // it parses, whatever it finds
		if s.measured(t, q) && !found {
			t.Errorf("%s shows nothing:\n%s", q.where, q.text)
		}
	}
	loud := make(map[string]bool)
	for _, a := range alerts(t) {
		s.measured(t, query{a.Alert, a.Expr})
		if ask.firing(t, a, began, well) {
			t.Errorf("%s fires while all is well", a.Alert)
		}
		loud[a.Alert] = ask.firing(t, a, began, failing)
	}
	for _, name := range []string{"SpectronServiceGone", "SpectronTargetDown", "SpectronErrorRate", "SpectronVerifierWithoutLease"} {
		if !loud[name] {
			t.Errorf("%s does not fire while the key manager is gone", name)
		}
	}
	maps.DeleteFunc(loud, func(_ string, fires bool) bool { return !fires })
	t.Logf("while the key manager was gone these fired: %s", strings.Join(slices.Sorted(maps.Keys(loud)), ", "))
}

// Prometheus' own tool agrees with the configuration and with the unit tests of the alerts. Where it is missing this is skipped,
// but not in CI.
func TestPrometheusTakesTheFiles(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing: install Debian's package prometheus")
		}
		t.Skip("promtool is not installed")
	}
	for _, arguments := range [][]string{
		{"check", "config", filepath.Join("prometheus", "prometheus.yml")},
		{"check", "rules", filepath.Join("prometheus", "rules.yml")},
		{"test", "rules", "rules_test.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), tool, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	tested, err := os.ReadFile("rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if !strings.Contains(string(tested), "alertname: "+a.Alert+"\n") {
			t.Errorf("no unit test of %s", a.Alert)
		}
	}
}

// The overlay fits docker-compose.yml. What it adds is confined as the rest is, and is published to this machine only. Where there is
// no Docker this is skipped.
func TestTheOverlayIsValid(t *testing.T) {
	t.Parallel()
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		t.Skip("docker compose is not installed")
	}
	command := exec.CommandContext(t.Context(), "docker", "compose", "-f", "docker-compose.yml", "-f", "deployments/observability/compose.yaml",
		"config", "--format", "json")
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("docker compose config: %v", err)
	}
	var whole struct {
		Services map[string]struct {
			ReadOnly    bool              `json:"read_only"`
			CapDrop     []string          `json:"cap_drop"`
			Environment map[string]string `json:"environment"`
			Networks    map[string]any    `json:"networks"`
			Ports       []struct {
				HostIP string `json:"host_ip"`
				Target int
			}
		}
		Networks map[string]struct{ Internal bool }
	}
	if err := json.Unmarshal(out, &whole); err != nil {
		t.Fatal(err)
	}
	if !whole.Networks["observability"].Internal {
		t.Error("the network on which metrics are read is not internal")
	}
	for _, name := range []string{"prometheus", "grafana"} {
		service := whole.Services[name]
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s is not confined", name)
		}
		if len(service.Ports) != 1 || service.Ports[0].HostIP != "127.0.0.1" {
			t.Errorf("%s is published as %v", name, service.Ports)
		}
	}
	for _, name := range []string{"keymanager", "spectron"} {
		service := whole.Services[name]
		if _, on := service.Networks["observability"]; !on || len(service.Networks) < 3 || service.Environment["SPECTRON_ADMIN_ADDRESS"] != "0.0.0.0:9092" {
			t.Errorf("%s is not to be scraped: %v", name, service.Networks)
		}
		for _, port := range service.Ports {
			if port.Target == 9092 {
				t.Errorf("the admin port of %s is published", name)
			}
		}
	}
}
