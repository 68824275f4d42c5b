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
	// ownedSets are the sets all of whose nodes lie in region. Its parameters are the context, twice.
	ownedSets = `SELECT n.set_id FROM region r CROSS JOIN scope_set_nodes n
		WHERE n.context_id = ? AND n.node >= r.lo AND n.node < r.hi
		GROUP BY n.set_id HAVING count(*) =
			(SELECT count(*) FROM scope_set_nodes every WHERE every.context_id = ? AND every.set_id = n.set_id)`
	// lensedSets are the sets of which, for one clause of lens, each pattern matches a node. Its parameter is the context.
	lensedSets = `SELECT n.set_id FROM lens l CROSS JOIN scope_set_nodes n
		WHERE n.context_id = ? AND n.node >= l.lo AND n.node < l.hi
		GROUP BY n.set_id, l.clause HAVING count(DISTINCT l.pattern) = max(l.size)`
)

// filter collects what a statement about rows in a region is put together from.
type filter struct {
	tables, where         []string
	tableArgs, conditions []any
}

func (f *filter) and(condition string, args ...any) {
	f.where, f.conditions = append(f.where, condition), append(f.conditions, args...)
}

// readable lets rows pass whose set, in column, has a clause that lies in region, which must not be empty.
func (f *filter) readable(column, incarnation string, region scope.Region) {
	f.within(region, column+" IN ("+readableSets+")", incarnation)
}

// owned lets rows pass all of whose nodes lie in region, which must not be empty.
func (f *filter) owned(column, incarnation string, region scope.Region) {
	f.within(region, column+" IN ("+ownedSets+")", incarnation, incarnation)
}

func (f *filter) within(region scope.Region, condition string, args ...any) {
	// Whoever may do it everywhere may do it with every set, and needs no list of them.
	if region.Covers(scope.Everything) {
		return
	}
	table, tableArgs := regionTable(region)
	f.tables, f.tableArgs = append(f.tables, table), append(f.tableArgs, tableArgs...)
	f.and(condition, args...)
}

// with returns the tables that the conditions speak of, to begin a statement with.
func (f *filter) with() string {
	if len(f.tables) == 0 {
		return ""
	}
	return "WITH " + strings.Join(f.tables, ", ") + " "
}

func (f *filter) conjunction() string { return strings.Join(f.where, " AND ") }

// args returns the parameters of a statement that begins with with and ends with conjunction, after those in between.
func (f *filter) args(between ...any) []any { return slices.Concat(f.tableArgs, between, f.conditions) }

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
