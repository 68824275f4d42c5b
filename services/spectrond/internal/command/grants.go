package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

// parseFloor reads dimension=name pairs.
func parseFloor(pairs []string) (client.ScopeFloor, error) {
	var floor client.ScopeFloor
	dimensions := map[string]*string{"org": &floor.Org, "team": &floor.Team, "agent": &floor.Agent, "user": &floor.User}
	for _, pair := range pairs {
		dimension, name, ok := strings.Cut(pair, "=")
		target := dimensions[dimension]
		if !ok || name == "" || target == nil {
			return floor, fmt.Errorf("--scope-floor: %q is not org=, team=, agent= or user= with a name", pair)
		}
		if *target != "" {
			return floor, fmt.Errorf("--scope-floor: %s is given twice", dimension)
		}
		*target = name
	}
	return floor, nil
}

// parseGrants reads verb=pattern pairs; nil for none. What a verb or a pattern is, the server knows.
func parseGrants(pairs []string) (client.Grants, error) {
	var grants client.Grants
	for _, pair := range pairs {
		verb, pattern, ok := strings.Cut(pair, "=")
		if !ok || verb == "" || pattern == "" {
			return nil, fmt.Errorf("%q is not verb=pattern, such as memory:read=org/acme/*", pair)
		}
		if grants == nil {
			grants = client.Grants{}
		}
		grants[verb] = append(grants[verb], pattern)
	}
	return grants, nil
}

// byPattern returns the verbs of each pattern, in order.
func byPattern(grants client.Grants) map[string][]string {
	patterns := map[string][]string{}
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		for _, pattern := range grants[verb] {
			patterns[pattern] = append(patterns[pattern], verb)
		}
	}
	return patterns
}
