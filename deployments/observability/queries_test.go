// Package observability holds what is shown and alerted on against the services that it is about. It has no code, only tests.
package observability_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// query is one that a person or an alert asks.
type query struct{ where, text string }

// alert is a rule of prometheus/rules.yml.
type alert struct {
	Alert       string
	Expr        string
	For         time.Duration
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	content, err := os.ReadFile("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// dashboard is as much of one as matters here.
type dashboard struct {
	Title      string
	Templating struct {
		List []struct{ Name, Query string }
	}
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// panels returns the queries of all dashboards, with what Grafana puts in the places of its variables.
func panels(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	var all []query
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, variable := range d.Templating.List {
			values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(variable.Query)
			if values == nil {
				t.Errorf("%s: the variable %s is none of what is understood here: %s", name, variable.Name, variable.Query)
				continue
			}
			all = append(all, query{d.Title + ": $" + variable.Name, "count by (" + values[2] + ") (" + values[1] + ")"})
		}
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				all = append(all, query{d.Title + ": " + panel.Title, render(target.Expr)})
			}
		}
	}
	return all
}

// render puts in what Grafana would: all of everything, and an interval of four scrapes.
func render(text string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "10m", "$instance", ".*", "$job", ".*").Replace(text)
}

// metric matches the names that a query asks for.
var metric = regexp.MustCompile(`\b(spectron_|http_request|go_|process_)[a-z_]+\b|\bup\b`)

// prometheus is a running one.
type prometheus struct{ address string }

// at returns the series that a query finds at a moment, those without a number left out.
func (p prometheus) at(t *testing.T, q query, moment time.Time) []string {
	t.Helper()
	form := url.Values{"query": {q.text}, "time": {strconv.FormatInt(moment.Unix(), 10)}}
	answer, err := http.PostForm("http://"+p.address+"/api/v1/query", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var told struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s\n%s", q.where, told.Error, q.text)
	}
	var series []string
	for _, result := range told.Data.Result {
		if result.Value[1] != "NaN" {
			series = append(series, fmt.Sprint(result.Metric)) // maps are printed in order
		}
	}
	return series
}

// firing reports whether an alert fires at a moment: whether some series of it has been there at each look for as long as it says.
func (p prometheus) firing(t *testing.T, a alert, from, moment time.Time) bool {
	t.Helper()
	var lasting map[string]bool
	for look := moment; !look.Before(moment.Add(-a.For)); look = look.Add(-interval) {
		if look.Before(from) {
			return false
		}
		present := make(map[string]bool)
		for _, series := range p.at(t, query{a.Alert, a.Expr}, look) {
			present[series] = true
		}
		if lasting == nil {
			lasting = present
		}
		maps.DeleteFunc(lasting, func(series string, _ bool) bool { return !present[series] })
		if len(lasting) == 0 {
			return false
		}
	}
	return true
}

// Each alert says how bad it is, what is seen, and where to read on; no two have one name.
func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, a := range alerts(t) {
		if seen[a.Alert] {
			t.Errorf("two alerts are called %s", a.Alert)
		}
		seen[a.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || !regexp.MustCompile(`^docs/runbook\.md#[a-z-]+$`).MatchString(a.Annotations["runbook"]) {
			t.Errorf("%s: annotations %v", a.Alert, a.Annotations)
		}
	}
}
