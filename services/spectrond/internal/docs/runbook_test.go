package docs_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

var (
	alert   = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	runbook = regexp.MustCompile(`(?m)^ +runbook: docs/runbook\.md#([a-z-]+)$`)
)

// Every alert has its section of the runbook, and every section about an alert has its alert.
func TestEveryAlertHasItsSection(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(root + "/deployments/observability/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts, links := alert.FindAllStringSubmatch(string(rules), -1), runbook.FindAllStringSubmatch(string(rules), -1)
	if len(alerts) == 0 || len(alerts) != len(links) {
		t.Errorf("%d alerts, %d of them with a section of the runbook", len(alerts), len(links))
	}
	sections := sectionsUnder(t, "alerts")
	for _, found := range links {
		if !slices.Contains(sections, found[1]) {
			t.Errorf("the runbook has no section %s", found[1])
		}
		sections = slices.DeleteFunc(sections, func(section string) bool { return section == found[1] })
	}
	if len(sections) > 0 {
		t.Errorf("these sections have no alert: %v", sections)
	}
}

// sectionsUnder are the anchors of the runbook's sections below a heading of the first level.
func sectionsUnder(t *testing.T, chapter string) []string {
	t.Helper()
	var sections []string
	within := false
	for _, h := range read(t, "docs/runbook.md").headings {
		switch {
		case h.level == 1:
			within = h.anchor == chapter
		case within:
			sections = append(sections, h.anchor)
		}
	}
	return sections
}
