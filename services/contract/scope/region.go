package scope

import (
	"cmp"
	"slices"
)

// Region is a union of patterns. Its normal form is sorted and holds no pattern that another one covers; equal regions
// have equal normal forms. Every function here returns the normal form and accepts any.
type Region []Pattern

// Normal returns the normal form of r. An empty region stays nil or empty, as it was.
func (r Region) Normal() Region {
	if len(r) == 0 {
		return r
	}
	kept := make(Region, 0, len(r))
	for i, p := range r {
		covered := slices.ContainsFunc(r[:i], func(q Pattern) bool { return q.Covers(p) }) ||
			slices.ContainsFunc(r[i+1:], func(q Pattern) bool { return q.Covers(p) && q != p })
		if !covered {
			kept = append(kept, p)
		}
	}
	slices.SortFunc(kept, func(a, b Pattern) int { return cmp.Compare(a.String(), b.String()) })
	return kept
}

// Matches reports whether the node q lies in r.
func (r Region) Matches(q Path) bool {
	return slices.ContainsFunc(r, func(p Pattern) bool { return p.Matches(q) })
}

// Covers reports whether one single pattern of r covers q.
func (r Region) Covers(q Pattern) bool {
	return slices.ContainsFunc(r, func(p Pattern) bool { return p.Covers(q) })
}

// Meet returns the region that r and s share.
func (r Region) Meet(s Region) Region {
	var shared Region
	for _, p := range r {
		for _, q := range s {
			if m, ok := p.Meet(q); ok {
				shared = append(shared, m)
			}
		}
	}
	return shared.Normal()
}

// Equal reports whether r and s cover the same nodes.
func (r Region) Equal(s Region) bool { return slices.Equal(r.Normal(), s.Normal()) }
