package principal

import (
	"maps"
	"slices"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// capabilities are what a kind of principal may do in its region when nothing finer is asked for.
var capabilities = map[caller.Kind][]grant.Verb{
	caller.Agent:      {grant.MemoryRead, grant.MemoryWrite, grant.MemoryForget, grant.ScopeRead, grant.ScopeCreate},
	caller.Supervisor: {grant.MemoryRead, grant.ScopeRead},
}

// Shape describes the principal to make for a key: what its kind may do over a floor, or exactly the grants given.
type Shape struct {
	// Kind is caller.Agent or caller.Supervisor; empty means an agent.
	Kind caller.Kind
	// Floor is nil when not given, which is the whole context.
	Floor Floor
	// Grants is nil when not given. It excludes a floor.
	Grants map[string][]string
}

// resolve returns the kind and the grants that s asks for. Errors are Invalid faults that name the field.
func (s Shape) resolve() (caller.Kind, grant.Map, error) {
	kind := s.Kind
	if kind == "" {
		kind = caller.Agent
	}
	verbs, ok := capabilities[kind]
	if !ok {
		return "", nil, fault.InvalidField("principal", "must be agent or supervisor")
	}
	if s.Grants == nil {
		region, err := s.Floor.Region()
		return kind, grant.Over(region, verbs...), err
	}
	if s.Floor != nil {
		return "", nil, fault.InvalidField("scope_floor", "must not be given together with grants")
	}
	grants, err := grant.Parse(s.Grants)
	return kind, grants, err
}

// Floor pins dimensions to values, such as org to acme: a region named by its corner.
type Floor map[string]string

// dimensions are in the order in which they make a path. Those of one level exclude each other.
var dimensions = [...][]string{{"org"}, {"agent", "team"}, {"user"}}

// Region returns the node that the dimensions make, such as org/acme/agent/planner, and everything below it. Errors are
// Invalid faults that name the dimension.
func (f Floor) Region() (scope.Pattern, error) {
	node, taken := scope.Root, 0
	for _, level := range dimensions {
		given := slices.DeleteFunc(slices.Clone(level), func(name string) bool { _, ok := f[name]; return !ok })
		if len(given) > 1 {
			return scope.Pattern{}, fault.InvalidField("scope_floor."+given[1], "must not be given together with %s", given[0])
		}
		for _, name := range given {
			var err error
			if node, err = below(node, name, f[name]); err != nil {
				return scope.Pattern{}, fault.InvalidField("scope_floor."+name, "%v", err)
			}
			taken++
		}
	}
	if taken < len(f) {
		return scope.Pattern{}, fault.InvalidField("scope_floor."+f.unknown(), "unknown dimension; there are org, team, agent and user")
	}
	return scope.Under(node), nil
}

func below(node scope.Path, dimension, value string) (scope.Path, error) {
	node, err := node.Child(dimension)
	if err != nil {
		return scope.Path{}, err
	}
	return node.Child(value)
}

// unknown returns the first name in f that is no dimension.
func (f Floor) unknown() string {
	known := slices.Concat(dimensions[:]...)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}
