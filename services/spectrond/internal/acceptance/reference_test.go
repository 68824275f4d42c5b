package acceptance_test

import "strings"

// What follows decides as section 4 of the contract says, naively and by itself: it handles text, and shares nothing with the code that
// it is compared with.

// refSegments returns the segments of a path, or false when it is none. The root has no segments.
func refSegments(path string) ([]string, bool) {
	if path == "/" {
		return nil, true
	}
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
	for _, segment := range segments {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "* ") {
			return nil, false
		}
	}
	return segments, true
}

// refPattern is a pattern taken apart: a node, and whether all below it is meant too.
type refPattern struct {
	node []string
	star bool
}

func refParse(text string) (refPattern, bool) {
	if text == "*" || text == "/*" {
		return refPattern{nil, true}, true
	}
	star := strings.HasSuffix(text, "/*")
	if star {
		text = text[:len(text)-2]
		if text == "" || text == "/" {
			return refPattern{}, false
		}
	}
	node, ok := refSegments(text)
	return refPattern{node, star}, ok
}

// refMatches: does the pattern mean the node?
func refMatches(pattern, path string) bool {
	p, ok := refParse(pattern)
	node, isPath := refSegments(path)
	if !ok || !isPath || len(node) < len(p.node) || !p.star && len(node) != len(p.node) {
		return false
	}
	for i := range p.node {
		if node[i] != p.node[i] {
			return false
		}
	}
	return true
}

// refCovers: does one pattern mean every node that the other means?
func refCovers(outer, inner string) bool {
	o, ok := refParse(outer)
	i, isPattern := refParse(inner)
	if !ok || !isPattern || i.star && !o.star {
		return false
	}
	return refMatches(outer, refCanonical(i.node))
}

// refCanonical is the text of a node: no leading slash and a trailing one.
func refCanonical(segments []string) string {
	if len(segments) == 0 {
		return "/"
	}
	return strings.Join(segments, "/") + "/"
}

// refGrants is a grant map as it is written.
type refGrants map[string][]string

// refValid: would a request with this map be taken?
func refValid(grants refGrants) bool {
	for verb, patterns := range grants {
		known := false
		for _, v := range verbs {
			known = known || v == verb
		}
		for _, pattern := range patterns {
			_, ok := refParse(pattern)
			known = known && ok
		}
		if !known {
			return false
		}
	}
	return true
}

// refHolds: do these grants alone hold the verb at the node?
func refHolds(grants refGrants, verb, path string) bool {
	for _, pattern := range grants[verb] {
		if refMatches(pattern, path) {
			return true
		}
	}
	return false
}

// refAuthority is what makes up the authority of a call. A key without grants inherits; without delegation there is no target.
type refAuthority struct {
	principal refGrants
	key       refGrants // nil: none
	target    refGrants // nil: none
}

// refMay: principal.grants ^ key.grants (if present) ^ target.grants (if delegating).
func (a refAuthority) refMay(verb, path string) bool {
	return refHolds(a.principal, verb, path) && (a.key == nil || refHolds(a.key, verb, path)) && (a.target == nil || refHolds(a.target, verb, path))
}

// refMayAll: every node of every clause.
func (a refAuthority) refMayAll(verb string, sets [][]string) bool {
	for _, clause := range sets {
		for _, node := range clause {
			if !a.refMay(verb, node) {
				return false
			}
		}
	}
	return true
}

// refReadable: some clause has all its nodes in the region; no clause means invisible.
func (a refAuthority) refReadable(verb string, sets [][]string) bool {
	for _, clause := range sets {
		if a.refMayAll(verb, [][]string{clause}) {
			return true
		}
	}
	return false
}

// refWithin: is each pattern covered by one pattern of outer for that verb?
func refWithin(inner, outer refGrants) bool {
	for verb, patterns := range inner {
		for _, pattern := range patterns {
			covered := false
			for _, o := range outer[verb] {
				covered = covered || refCovers(o, pattern)
			}
			if !covered {
				return false
			}
		}
	}
	return true
}

// refPasses: for some clause of the lens, every pattern of it matches a node of the row. No lens lets everything pass.
func refPasses(lens, sets [][]string) bool {
	if len(lens) == 0 {
		return true
	}
	for _, clause := range lens {
		every := true
		for _, pattern := range clause {
			some := false
			for _, row := range sets {
				for _, node := range row {
					some = some || refMatches(pattern, node)
				}
			}
			every = every && some
		}
		if every {
			return true
		}
	}
	return false
}
