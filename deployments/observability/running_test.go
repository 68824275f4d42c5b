package observability_test

import (
	"encoding/json"
	"fmt"
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
	scraped := ask.scrapesAll(t)
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
	var build struct{ Data struct{ Version string } }
	ask.get(t, "/api/v1/status/buildinfo", &build)
	t.Logf("Prometheus %s: targets %v; %d alerts evaluated; %d queries answered with figures", build.Data.Version, scraped, len(alerts(t)), shown)
}

// scrapesAll waits until all three jobs have targets, and each target is up, and returns how many each has.
func (p prometheus) scrapesAll(t *testing.T) map[string]int {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		var targets struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}
		p.get(t, "/api/v1/targets", &targets)
		scraped, down := make(map[string]int), []string(nil)
		for _, target := range targets.Data.ActiveTargets {
			scraped[target.Labels["job"]]++
			if target.Health != "up" {
				down = append(down, fmt.Sprint(target))
			}
		}
		if len(scraped) == 3 && len(down) == 0 {
			return scraped
		}
		if time.Now().After(limit) {
			t.Fatalf("after a minute these are scraped: %v; and these are not up: %v", scraped, down)
		}
	}
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
