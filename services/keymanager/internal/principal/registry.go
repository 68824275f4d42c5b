package principal

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// Store keeps principals. Every method answers tenant.NotFound for a context that does not exist.
type Store interface {
	// CreatePrincipal stores p, or returns the principal that has its external id, unchanged. Errors: [NameTaken] when p has
	// no external id and another principal has its name.
	CreatePrincipal(ctx context.Context, p Principal) (stored Principal, created bool, err error)
	// Principal returns one principal. Errors: [NotFound].
	Principal(ctx context.Context, contextID, id string) (Principal, error)
	// Principals returns at most limit principals by id, those after the id after.
	Principals(ctx context.Context, contextID, after string, limit int) ([]Principal, error)
	// ChangePrincipal stores what change makes of a principal, alone with it, and returns the result and its revision: the
	// newest there is when nothing has changed, which another change of the same may have taken. Errors: [NotFound],
	// [NameTaken], and those of change.
	ChangePrincipal(ctx context.Context, contextID, id string, change func(Principal) (Principal, error)) (Principal, int64, error)
	// DeletePrincipal removes a principal that allowed returns no error for, and its keys, and returns the revision. Errors:
	// [NotFound], and those of allowed.
	DeletePrincipal(ctx context.Context, contextID, id string, allowed func(Principal) error) (int64, error)
	// GrantsAt returns the grants that a principal had at a moment. Errors: [NotFound] when it is not there, or was not yet.
	GrantsAt(ctx context.Context, contextID, id string, at time.Time) (grant.Map, error)
}

// Barrier is the wait between a change and its answer.
type Barrier interface {
	// Await returns when no verifier answers from what was true before the revision. Errors: Unavailable.
	Await(ctx context.Context, revision int64) (revision.Propagation, error)
	// Settle does the same for all that has been changed so far. Errors: Unavailable.
	Settle(ctx context.Context) error
}

// Registry is the use of principals.
type Registry struct {
	store   Store
	barrier Barrier
}

// NewRegistry returns the registry of the principals in store, which answers a change behind barrier.
func NewRegistry(store Store, barrier Barrier) *Registry { return &Registry{store, barrier} }

// Create creates a principal, or gets the one that has the draft's external id. Errors: Invalid, NotFound, Conflict.
func (r *Registry) Create(ctx context.Context, contextID string, draft Draft) (p Principal, created bool, err error) {
	if p, err = New(contextID, draft); err != nil {
		return Principal{}, false, err
	}
	return r.store.CreatePrincipal(ctx, p)
}

// Get returns a principal. Errors: NotFound.
func (r *Registry) Get(ctx context.Context, contextID, id string) (Principal, error) {
	return r.store.Principal(ctx, contextID, Bare(id))
}

// List returns at most limit principals by id, those after the id after. Errors: NotFound.
func (r *Registry) List(ctx context.Context, contextID, after string, limit int) ([]Principal, error) {
	return r.store.Principals(ctx, contextID, after, limit)
}

// Patch is a change of a principal. What is nil stays.
type Patch struct {
	DisplayName *string
	Kind        *caller.Kind
	Grants      *map[string][]string
}

// Patch changes a principal. Errors: Invalid, Forbidden, NotFound, Conflict, Unavailable.
func (r *Registry) Patch(ctx context.Context, contextID, id string, patch Patch) (Principal, error) {
	var grants grant.Map
	if patch.DisplayName != nil {
		if err := checkName("display_name", *patch.DisplayName); err != nil {
			return Principal{}, err
		}
	}
	if patch.Grants != nil {
		var err error
		if grants, err = grant.Parse(*patch.Grants); err != nil {
			return Principal{}, err
		}
	}
	return r.change(ctx, contextID, id, func(p Principal) (Principal, error) {
		if patch.DisplayName != nil {
			p.DisplayName = *patch.DisplayName
		}
		if patch.Kind != nil {
			p.Kind = *patch.Kind
		}
		if patch.Grants != nil {
			p.Grants = grants
		}
		return p, nil
	})
}

// Change is what to grant or to take away: verbs over one pattern.
type Change struct {
	Pattern scope.Pattern
	Verbs   []grant.Verb
}

// ParseChange reads a change. Errors are Invalid faults that name the field.
func ParseChange(path string, verbs []string) (Change, error) {
	pattern, err := scope.ParsePattern(path)
	if err != nil {
		return Change{}, fault.InvalidField("path", "%v", err)
	}
	if len(verbs) == 0 {
		return Change{}, fault.InvalidField("verbs", "must name a verb")
	}
	c := Change{Pattern: pattern, Verbs: make([]grant.Verb, len(verbs))}
	for i, name := range verbs {
		if c.Verbs[i], err = grant.ParseVerb(name); err != nil {
			return Change{}, fault.InvalidField("verbs", "%v", err)
		}
	}
	return c, nil
}

// Grant returns p with what c adds. Errors: Invalid.
func (c Change) Grant(p Principal) (Principal, error) {
	p.Grants = p.Grants.Join(grant.Over(c.Pattern, c.Verbs...))
	for _, verb := range c.Verbs {
		if len(p.Grants[verb]) > grant.MaxPatterns {
			return Principal{}, fault.InvalidField("path", "the principal has %d patterns for %s, which is the most", grant.MaxPatterns, verb)
		}
	}
	return p, p.Grants.CheckSize("path")
}

// Revoke returns p without what of its grants lies within the pattern.
func (c Change) Revoke(p Principal) (Principal, error) {
	p.Grants = p.Grants.Without(c.Pattern, c.Verbs...)
	return p, nil
}

// Grant adds to what a principal may do. Errors: Invalid, Forbidden, NotFound, Unavailable.
func (r *Registry) Grant(ctx context.Context, contextID, id string, c Change) (Principal, error) {
	return r.change(ctx, contextID, id, c.Grant)
}

// Revoke takes away what of a principal's grants lies within the pattern. Errors: Forbidden, NotFound, Unavailable.
func (r *Registry) Revoke(ctx context.Context, contextID, id string, c Change) (Principal, error) {
	return r.change(ctx, contextID, id, c.Revoke)
}

func (r *Registry) change(ctx context.Context, contextID, id string, change func(Principal) (Principal, error)) (Principal, error) {
	changed, revised, err := r.store.ChangePrincipal(ctx, contextID, Bare(id), func(p Principal) (Principal, error) {
		if err := p.Mutable(); err != nil {
			return Principal{}, err
		}
		return change(p)
	})
	if err != nil {
		return Principal{}, err
	}
	_, err = r.barrier.Await(ctx, revised)
	return changed, err
}

// Delete removes a principal and its keys. Errors: Forbidden, NotFound, Unavailable.
func (r *Registry) Delete(ctx context.Context, contextID, id string) error {
	revised, err := r.store.DeletePrincipal(ctx, contextID, Bare(id), Principal.Deletable)
	if errors.Is(err, fault.NotFound) { // perhaps because of a deletion that failed to say that every verifier knows of it
		return cmp.Or(r.barrier.Settle(ctx), err)
	}
	if err != nil {
		return err
	}
	_, err = r.barrier.Await(ctx, revised)
	return err
}
