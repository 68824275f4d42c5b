package grant

import (
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// Map says which verbs are allowed over which region. A verb that is missing is allowed nowhere. In JSON it is
// {"memory:read": ["org/acme/*"]}. Where a Map is optional, nil means "not given" and an empty Map means "nothing".
type Map map[Verb]scope.Region

// All returns a Map of every verb over everything.
func All() Map { return Over(scope.Everything, Verbs()...) }

// Over returns a Map of the given verbs over one pattern.
func Over(pattern scope.Pattern, verbs ...Verb) Map {
	m := make(Map, len(verbs))
	for _, verb := range verbs {
		m[verb] = scope.Region{pattern}
	}
	return m
}

// Normal returns m with each region in normal form and without empty ones. Nil stays nil.
func (m Map) Normal() Map {
	if m == nil {
		return nil
	}
	out := make(Map, len(m))
	for verb, region := range m {
		if len(region) > 0 {
			out[verb] = region.Normal()
		}
	}
	return out
}

// Meet returns what m and o both allow. It never allows more than either.
func (m Map) Meet(o Map) Map {
	out := make(Map, min(len(m), len(o)))
	for verb, region := range m {
		if shared := region.Meet(o[verb]); len(shared) > 0 {
			out[verb] = shared
		}
	}
	return out
}

// Effective is the meet of a principal's grants and those of its key; a nil key inherits the principal's.
func Effective(principal, key Map) Map {
	if key == nil {
		return principal.Normal()
	}
	return principal.Meet(key)
}

// Within reports, as an Invalid fault that names the first offender, whether m asks for more than outer holds: each
// pattern must be covered by one single pattern of outer for the same verb.
func (m Map) Within(outer Map) error {
	for _, verb := range Verbs() {
		for _, pattern := range m[verb] {
			if !outer[verb].Covers(pattern) {
				return fault.InvalidField("grants", "%s over %s is more than may be passed on here", verb, pattern)
			}
		}
	}
	return nil
}

// MaxPatterns is the most patterns that a request may list for one verb, MaxBytes the most that all patterns of a map may have:
// verdicts carry them, many in one answer.
const (
	MaxPatterns = 256
	MaxBytes    = 64 << 10
)

// CheckSize returns an Invalid fault about field when m is larger than MaxBytes.
func (m Map) CheckSize(field string) error {
	size := 0
	for _, region := range m {
		for _, pattern := range region {
			size += len(pattern.String())
		}
	}
	if size > MaxBytes {
		return fault.InvalidField(field, "the patterns of all verbs may have at most %d bytes together", MaxBytes)
	}
	return nil
}

// Parse reads the grant map of a request and returns its normal form. Errors are Invalid faults that name the entry.
func Parse(raw map[string][]string) (Map, error) {
	m := make(Map, len(raw))
	for name, patterns := range raw {
		verb, err := ParseVerb(name)
		if err != nil {
			return nil, fault.InvalidField("grants", "%v", err)
		}
		if len(patterns) > MaxPatterns {
			return nil, fault.InvalidField("grants."+name, "at most %d patterns", MaxPatterns)
		}
		region := make(scope.Region, len(patterns))
		for i, text := range patterns {
			if region[i], err = scope.ParsePattern(text); err != nil {
				return nil, fault.InvalidField(fmt.Sprintf("grants.%s.%d", name, i), "%v", err)
			}
		}
		m[verb] = region
	}
	m = m.Normal()
	return m, m.CheckSize("grants")
}

// Holder is whoever can be asked what it may do: a caller, a principal, a key.
type Holder interface {
	// Authority returns the effective grants.
	Authority() Map
}

// Authorize decides whether holder may do verb at path. The error is a Forbidden fault that names both.
func Authorize(holder Holder, verb Verb, path scope.Path) error {
	if holder.Authority()[verb].Matches(path) {
		return nil
	}
	return Lacking(verb, " over "+path.String())
}

// Lacking is the refusal of a caller who may not do verb. It says where, behind the verb, and names the verb, for challenges.
func Lacking(verb Verb, where string) *fault.Error {
	return &fault.Error{Kind: fault.Forbidden, RequiredScope: string(verb), Message: "this needs " + string(verb) + where}
}

// AuthorizeSets decides whether holder may do verb at every node of every clause of sets.
func AuthorizeSets(holder Holder, verb Verb, sets scope.Sets) error {
	for _, clause := range sets {
		for _, node := range clause {
			if err := Authorize(holder, verb, node); err != nil {
				return err
			}
		}
	}
	return nil
}
