// Package scopetree is the register of a context's scope nodes: which exist, what they are called, which are tombstoned. It
// decides nothing about authority, that is package grant; it keeps writers from tagging rows with misspelt nodes.
package scopetree

import (
	"cmp"
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// Node is one registered node.
type Node struct {
	Path scope.Path
	// DisplayName and Description are empty when nobody gave them.
	DisplayName, Description string
	CreatedAt                time.Time
	// TombstonedAt is zero for a living node. Nothing new may be tagged with a tombstoned one; old rows stay.
	TombstonedAt time.Time
}

// MaxPage is the most nodes that one answer lists.
const MaxPage = 1000

// Page is a part of a list.
type Page struct {
	// After is the canonical path behind which the page begins; empty for the first page.
	After string
	// Limit is how many nodes at most.
	Limit int
}

// Store keeps nodes.
type Store interface {
	// Register adds node and the ancestors it lacks. Where a node exists already, its tombstone ends, and its texts
	// change to those of node that are not empty. It returns the node as it is then.
	Register(ctx context.Context, incarnation string, node Node) (Node, error)
	// Nodes returns a page of the nodes in region, in the order of their paths.
	Nodes(ctx context.Context, incarnation string, region scope.Region, page Page) ([]Node, error)
	// Tombstone ends the node of path, and makes it first when it does not exist. A node that has ended stays as it is.
	Tombstone(ctx context.Context, incarnation string, path scope.Path, at time.Time) error
	// ForgetUnder erases every row that is tagged with path or a node below it, and returns how many memories those were.
	ForgetUnder(ctx context.Context, incarnation string, path scope.Path) (int, error)
	// Living returns those of paths that are registered: true for a living node, false for a tombstoned one.
	Living(ctx context.Context, incarnation string, paths []scope.Path) (map[scope.Path]bool, error)
}

// Tree is the register, as callers may use it.
type Tree struct {
	store Store
	now   func() time.Time
}

// New returns a Tree over store.
func New(store Store, now func() time.Time) *Tree { return &Tree{store, now} }

// Register registers a node on behalf of who, who needs scope:create over it.
func (t *Tree) Register(ctx context.Context, who *caller.Caller, node Node) (Node, error) {
	if err := grant.Authorize(who, grant.ScopeCreate, node.Path); err != nil {
		return Node{}, err
	}
	node.CreatedAt = t.now().UTC().Truncate(time.Microsecond)
	return t.store.Register(ctx, who.Incarnation, node)
}

// Tombstone ends a node on behalf of who, who needs scope:delete over it. Nothing new can be tagged with it until it is
// registered again.
func (t *Tree) Tombstone(ctx context.Context, who *caller.Caller, path scope.Path) error {
	if path == scope.Root {
		return fault.InvalidField("path", "the root cannot end")
	}
	if err := grant.Authorize(who, grant.ScopeDelete, path); err != nil {
		return err
	}
	return t.store.Tombstone(ctx, who.Incarnation, path, t.now().UTC().Truncate(time.Microsecond))
}

// Forget erases on behalf of who every row that is tagged with path or a node below it, and returns how many memories those
// were. It needs memory:forget over all of that.
func (t *Tree) Forget(ctx context.Context, who *caller.Caller, path scope.Path) (int, error) {
	under := scope.Under(path)
	if !who.Effective[grant.MemoryForget].Covers(under) {
		return 0, grant.Lacking(grant.MemoryForget, " over "+under.String())
	}
	return t.store.ForgetUnder(ctx, who.Incarnation, path)
}

// List returns a page of the nodes over which who holds any verb. Whoever holds grant:manage over the root sees all.
func (t *Tree) List(ctx context.Context, who *caller.Caller, page Page) ([]Node, error) {
	var region scope.Region
	for _, patterns := range who.Effective {
		region = append(region, patterns...)
	}
	if grant.Authorize(who, grant.GrantManage, scope.Root) == nil {
		region = scope.Region{scope.Everything}
	}
	return t.store.Nodes(ctx, who.Incarnation, region.Normal(), page)
}

// Destination returns where a row that who writes will live, in normal form: at sets, which who calls by the name field, or,
// when who named none, wherever it may write. It needs memory:write over all of them.
func (t *Tree) Destination(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) (scope.Sets, error) {
	region := who.Effective[grant.MemoryWrite]
	if len(region) == 0 {
		return nil, grant.Lacking(grant.MemoryWrite, ", which this key holds nowhere")
	}
	if len(sets) == 0 {
		sets = Default(region)
	} else if err := grant.AuthorizeSets(who, grant.MemoryWrite, sets); err != nil {
		return nil, err
	}
	sets = Normal(sets)
	return sets, t.CheckRegistered(ctx, who, cmp.Or(field, "scopes"), sets)
}

// CheckRegistered returns an Invalid fault about the named field for the first node of sets that is not registered or is
// tombstoned. The root and the nodes that who's own grants name need no registration.
func (t *Tree) CheckRegistered(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) error {
	granted := make(map[scope.Path]bool)
	for _, patterns := range who.Effective {
		for _, pattern := range patterns {
			granted[pattern.Node()] = true
		}
	}
	return t.check(ctx, who, field, sets, func(node scope.Path) bool { return granted[node] })
}

// CheckLiving returns an Invalid fault about the named field for the first node of sets that is tombstoned.
func (t *Tree) CheckLiving(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) error {
	return t.check(ctx, who, field, sets, func(scope.Path) bool { return true })
}

// check refuses nodes that are tombstoned, and unregistered ones that are not excused. The root is never tombstoned.
func (t *Tree) check(
	ctx context.Context, who *caller.Caller, field string, sets scope.Sets, excused func(node scope.Path) bool,
) error {
	var named []scope.Path
	for _, clause := range sets {
		for _, node := range clause {
			if node != scope.Root {
				named = append(named, node)
			}
		}
	}
	if len(named) == 0 {
		return nil
	}
	living, err := t.store.Living(ctx, who.Incarnation, named)
	if err != nil {
		return err
	}
	for _, node := range named {
		if alive, registered := living[node]; !alive && (registered || !excused(node)) {
			return fault.InvalidField(field, "%s is not registered here, or tombstoned; register it with POST /api/v1/%s/scopes first",
				node, who.Context)
		}
	}
	return nil
}
