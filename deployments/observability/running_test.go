package observability_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// runningVariable has the address, host:port, of the Prometheus of a deployment in which something happens. deployments/compose/overlays.sh sets it.
const runningVariable = "SPECTRON_TEST_PROMETHEUS"

// The Prometheus of the overlay, started as it stands, reaches all its targets, has evaluated every alert, and finds something for every
// query of every dashboard within some scrapes.
func TestAStartedOverlayAnswers(t *testing.T) {
	t.Parallel()
	ask := prometheus{os.Getenv(runningVariable)}
	if ask.address == "" {
		t.Skip("no Prometheus is named: deployments/compose/overlays.sh starts one")
	}
	var targets struct {
		Data struct {
			ActiveTargets []struct {
				Labels            map[string]string
				Health, LastError string
			}
		}
	}
	ask.get(t, "/api/v1/targets", &targets)
	scraped := make(map[string]int)
	for _, target := range targets.Data.ActiveTargets {
		scraped[target.Labels["job"]]++
		if target.Health != "up" {
			t.Errorf("the target %v is %s: %s", target.Labels, target.Health, target.LastError)
		}
	}
	if len(scraped) != 3 {
		t.Errorf("these are scraped: %v", scraped)
	}

	ask.evaluatesAll(t)
	shown := 0
	for _, q := range panels(t) {
		if strings.HasSuffix(q.where, ": Failing routes") { // the one that shows nothing while nothing fails
			ask.at(t, q, time.Now())
			continue
		}
		limit := time.Now().Add(2 * time.Minute)
		for len(ask.at(t, q, time.Now())) == 0 {
			if time.Now().After(limit) {
				t.Errorf("%s shows nothing:\n%s", q.where, q.text)
				break
			}
			time.Sleep(time.Second)
		}
		shown++
	}
	t.Logf("targets: %v; %d alerts evaluated; %d queries answered with figures", scraped, len(alerts(t)), shown)
}

// evaluatesAll waits until every alert has been evaluated, and holds what is loaded against rules.yml.
func (p prometheus) evaluatesAll(t *testing.T) {
	t.Helper()
	health := make(map[string]string)
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		var rules struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		p.get(t, "/api/v1/rules", &rules)
		unknown := 0
		for _, group := range rules.Data.Groups {
			for _, rule := range group.Rules {
				if health[rule.Name] = strings.TrimSpace(rule.Health + " " + rule.LastError); rule.Health == "unknown" {
					unknown++
				}
			}
		}
		if unknown == 0 || time.Now().After(limit) {
			break
		}
	}
	for _, a := range alerts(t) {
		if health[a.Alert] != "ok" {
			t.Errorf("the alert %s: %q", a.Alert, health[a.Alert])
		}
	}
}

func (p prometheus) get(t *testing.T, path string, into any) {
	t.Helper()
	answer, err := http.Get("http://" + p.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d: %v", path, answer.StatusCode, err)
	}
}
