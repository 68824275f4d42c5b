package store

import (
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/scope"
)

// bounds returns the range of canonical paths that pattern covers: lo <= path < hi, compared byte by byte.
func bounds(pattern scope.Pattern) (lo, hi string) {
	node := pattern.Node().String()
	switch {
	case !pattern.Subtree():
		return node, node + "\x01" // no path holds a control character
	case pattern.Node() == scope.Root:
		return "", "\U0010FFFF" // the last code point, which no path holds
	default:
		return node, strings.TrimSuffix(node, "/") + "0" // the character after /
	}
}

// regionTable returns a common table expression region(lo, hi) of the ranges of region, which must not be empty. In normal
// form they are disjoint.
func regionTable(region scope.Region) (text string, args []any) {
	rows := make([]string, len(region))
	for i, pattern := range region {
		lo, hi := bounds(pattern)
		rows[i] = "(?, ?)"
		args = append(args, lo, hi)
	}
	return "region(lo, hi) AS (VALUES " + strings.Join(rows, ", ") + ")", args
}

// lensTable returns a common table expression lens(clause, size, pattern, lo, hi) of the ranges of lens, which must not be
// empty.
func lensTable(lens scope.Lens) (text string, args []any) {
	var rows []string
	for i, clause := range lens {
		distinct := make([]scope.Pattern, 0, len(clause))
		for _, pattern := range clause {
			if !slices.Contains(distinct, pattern) {
				distinct = append(distinct, pattern)
			}
		}
		for j, pattern := range distinct {
			lo, hi := bounds(pattern)
			// Parameters in VALUES are taken for text unless they say otherwise.
			rows = append(rows, "(CAST(? AS integer), CAST(? AS integer), CAST(? AS integer), ?, ?)")
			args = append(args, i, len(distinct), j, lo, hi)
		}
	}
	return "lens(clause, size, pattern, lo, hi) AS (VALUES " + strings.Join(rows, ", ") + ")", args
}

// The joins below go from the few ranges to the nodes in each, by index. CROSS JOIN is what keeps SQLite, which knows little of
// the tables' sizes, from going the other way.
const (
	// readableSets are the sets with a clause all of whose nodes lie in region. Its parameter is the context.
	readableSets = `SELECT n.set_id FROM region r CROSS JOIN scope_set_nodes n
		WHERE n.context_id = ? AND n.node >= r.lo AND n.node < r.hi
		GROUP BY n.set_id, n.clause HAVING count(*) = max(n.clause_size)`
	// lensedSets are the sets of which, for one clause of lens, each pattern matches a node. Its parameter is the context.
	lensedSets = `SELECT n.set_id FROM lens l CROSS JOIN scope_set_nodes n
		WHERE n.context_id = ? AND n.node >= l.lo AND n.node < l.hi
		GROUP BY n.set_id, l.clause HAVING count(DISTINCT l.pattern) = max(l.size)`
)

// readableWhere returns the condition that column names a set that a reader of region sees, and the table that it needs,
// with a comma behind it. Region must not be empty.
func readableWhere(
	column, incarnation string, region scope.Region,
) (table string, tableArgs []any, condition string, args []any) {
	// Whoever may read everything sees every set, and needs no list of them.
	if region.Covers(scope.Everything) {
		return "", nil, "1 = 1", nil
	}
	table, tableArgs = regionTable(region)
	return table + ", ", tableArgs, column + " IN (" + readableSets + ")", []any{incarnation}
}
