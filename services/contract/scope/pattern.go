package scope

import (
	"errors"
	"strings"
)

// Pattern names a region: one node (org/acme), or a node and everything below it (org/acme/*). A pattern of one node
// does not cover its children. The zero value is not a pattern.
type Pattern struct {
	node    Path
	subtree bool
}

// Everything is the pattern /*.
var Everything = Pattern{Root, true}

// Exactly returns the pattern of one node.
func Exactly(node Path) Pattern { return Pattern{node, false} }

// Under returns the pattern of a node and everything below it.
func Under(node Path) Pattern { return Pattern{node, true} }

// ParsePattern reads a pattern: a path, a path and /*, or * alone for everything.
func ParsePattern(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, errors.New("a scope pattern must not be empty; everything is /*")
	}
	if text == "*" || text == "/*" {
		return Everything, nil
	}
	base, subtree := strings.CutSuffix(text, "/*")
	if subtree && base == "/" {
		return Pattern{}, errors.New("a scope pattern must not have an empty segment; everything is /*")
	}
	node, err := ParsePath(base)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{node, subtree}, nil
}

// Node returns the node of p, the top of its region.
func (p Pattern) Node() Path { return p.node }

// Subtree reports whether p covers the descendants of its node too.
func (p Pattern) Subtree() bool { return p.subtree }

// String returns org/acme or org/acme/*, the root as / and everything as /*.
func (p Pattern) String() string {
	base := strings.TrimSuffix(p.node.text, "/")
	if p.subtree {
		return base + "/*"
	}
	if p.node == Root {
		return "/"
	}
	return base
}

// Matches reports whether the node q lies in p's region.
func (p Pattern) Matches(q Path) bool {
	if p.subtree {
		return p.node.Contains(q)
	}
	return p.node == q
}

// Covers reports whether every node of q's region lies in p's.
func (p Pattern) Covers(q Pattern) bool {
	if p.subtree {
		return p.node.Contains(q.node)
	}
	return p == q
}

// Meet returns the region that p and q share, or false when they share none. Regions are nested or disjoint, so the
// meet is always one of the two.
func (p Pattern) Meet(q Pattern) (Pattern, bool) {
	switch {
	case p.Covers(q):
		return q, true
	case q.Covers(p):
		return p, true
	default:
		return Pattern{}, false
	}
}

// MarshalText returns the form of [Pattern.String].
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a pattern as [ParsePattern] does.
func (p *Pattern) UnmarshalText(text []byte) error {
	parsed, err := ParsePattern(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
