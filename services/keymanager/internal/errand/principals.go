package errand

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// ListPrincipals lists the principals of the caller's context by id. Errors: Forbidden without grant:manage over any node.
func (d *Desk) ListPrincipals(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]caller.Principal, error) {
	if err := checkText("cursor", errand.After); err != nil {
		return nil, err
	}
	out := []caller.Principal{}
	err := d.store.Look(ctx, func(l Ledger) error {
		c, err := d.steward(l, who)
		if err != nil {
			return err
		}
		found, err := l.Principals(c.Context, errand.After, limited(errand.Limit))
		for _, p := range found {
			out = append(out, told(p))
		}
		return err
	})
	return out, err
}

// GetPrincipal shows a principal. Errors: Forbidden, NotFound.
func (d *Desk) GetPrincipal(ctx context.Context, who introspection.Identity, errand introspection.PrincipalErrand) (out caller.Principal, err error) {
	id := principal.Bare(errand.ID)
	if err := checkText("principal_id", id); err != nil {
		return out, err
	}
	err = d.store.Look(ctx, func(l Ledger) error {
		c, err := d.steward(l, who)
		if err != nil {
			return err
		}
		found, err := l.Principal(c.Context, id)
		out = told(found)
		return err
	})
	return out, err
}

// steward looks up a caller who manages grants somewhere.
func (d *Desk) steward(l Ledger, who introspection.Identity) (standing, error) {
	c, err := d.identify(l, who)
	if err == nil && len(c.Effective[grant.GrantManage]) == 0 {
		err = grant.Lacking(grant.GrantManage, " over some node")
	}
	return c, err
}

// Effective tells which verbs the grants of a principal hold at a path, now or at an earlier moment. Errors: Invalid; Forbidden
// without grant:manage over the path; NotFound for a principal that is not there, or was not yet.
func (d *Desk) Effective(ctx context.Context, who introspection.Identity, errand introspection.EffectiveErrand) (introspection.Effective, error) {
	id := principal.Bare(errand.ID)
	if err := checkText("principal_id", id); err != nil {
		return introspection.Effective{}, err
	}
	path, err := scope.ParsePath(errand.Path)
	if err != nil {
		return introspection.Effective{}, fault.InvalidField("path", "%v", err)
	}
	out := introspection.Effective{Path: path.String(), Verbs: []string{}}
	err = d.store.Look(ctx, func(l Ledger) error {
		c, err := d.identify(l, who)
		if err != nil {
			return err
		}
		if errand.AsOf != nil && errand.AsOf.After(c.at) {
			return fault.InvalidField("asOf", "must not be in the future")
		}
		if err := grant.Authorize(c, grant.GrantManage, path); err != nil {
			return err
		}
		found, err := l.Principal(c.Context, id)
		if err != nil {
			return err
		}
		grants := found.Grants
		if errand.AsOf != nil {
			if grants, err = l.GrantsAt(c.Context, id, *errand.AsOf); err != nil {
				return err
			}
		}
		for _, verb := range grant.Verbs() {
			if grants[verb].Matches(path) {
				out.Verbs = append(out.Verbs, string(verb))
			}
		}
		return nil
	})
	return out, err
}

// AddGrants grants verbs over a pattern to a principal. Errors: Invalid; Forbidden without grant:manage and each of the verbs
// over the pattern, and for the principal that is immutable; NotFound, Unavailable.
func (d *Desk) AddGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error) {
	return d.regrant(ctx, who, errand, principal.Change.Grant, errand.Verbs...)
}

// RemoveGrants takes verbs over a pattern from a principal. Errors: those of AddGrants, but the caller need not hold the verbs.
func (d *Desk) RemoveGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error) {
	return d.regrant(ctx, who, errand, principal.Change.Revoke)
}

// regrant changes the grants of a principal as change does. The caller must hold the verbs held over the pattern.
func (d *Desk) regrant(
	ctx context.Context, who introspection.Identity, errand introspection.GrantErrand,
	change func(principal.Change, principal.Principal) (principal.Principal, error), held ...string,
) (caller.Principal, error) {
	id := principal.Bare(errand.ID)
	if err := checkText("principal_id", id); err != nil {
		return caller.Principal{}, err
	}
	asked, err := principal.ParseChange(errand.Path, errand.Verbs)
	if err != nil {
		return caller.Principal{}, err
	}
	var after principal.Principal
	var revised int64
	err = d.store.Alter(ctx, func(l Ledger) error {
		c, err := d.identify(l, who)
		if err != nil {
			return err
		}
		if err := holds(c, asked.Pattern, append([]string{string(grant.GrantManage)}, held...)); err != nil {
			return err
		}
		before, err := l.Principal(c.Context, id)
		if err != nil {
			return err
		}
		if err := before.Mutable(); err != nil {
			return err
		}
		if after, err = change(asked, before); err != nil {
			return err
		}
		revised, err = l.ReplaceGrants(before, after)
		return err
	})
	if err != nil {
		return caller.Principal{}, err
	}
	_, err = d.barrier.Await(ctx, revised)
	return told(after), err
}

// holds returns a Forbidden fault unless the caller has each of the verbs over all of the pattern.
func holds(c standing, pattern scope.Pattern, verbs []string) error {
	for _, verb := range verbs {
		if !c.Effective[grant.Verb(verb)].Covers(pattern) {
			return grant.Lacking(grant.Verb(verb), " over "+pattern.String())
		}
	}
	return nil
}

// told is what callers are told of a principal.
func told(p principal.Principal) caller.Principal {
	out := caller.Principal{ID: p.ID, DisplayName: p.DisplayName, Kind: p.Kind, Grants: p.Grants}
	if out.Grants == nil {
		out.Grants = grant.Map{}
	}
	return out
}
