// Package deployment is about the one thing that happens once: bootstrap, which creates the first context, the first
// management key and the first key of that context. However many race for it, one wins and the rest change nothing.
package deployment

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// The names of the first keys.
const (
	managementName = "management"
	contextName    = "default"
)

// authorityLen is the length of the authority's identity: 80 bits.
const authorityLen = 16

// Founding is all that a bootstrap creates.
type Founding struct {
	// Attempt names the bootstrap.
	Attempt string
	// Authority is the random identity of this deployment's authority; it tells a database from another one's.
	Authority  string
	Context    tenant.Context
	Principals []principal.Principal
	Management key.Key
	// First is the first key of the context.
	First key.Key
}

// AlreadyDone is the answer to every bootstrap but the first.
func AlreadyDone() error {
	return fault.New(fault.AlreadyDone, "this deployment has been bootstrapped already; its keys cannot be shown again")
}

// Store keeps the deployment.
type Store interface {
	// Bootstrap creates all of it in one transaction, or nothing, but keeps the authority and the context that were prepared.
	// Errors: [AlreadyDone].
	Bootstrap(ctx context.Context, founding Founding) error
	// Prepare creates the authority, unless there is one, and the context, unless there is one of that id.
	Prepare(ctx context.Context, authority string, c tenant.Context, principals []principal.Principal) error
	// ReplaceManagement puts management in the place of every management key. Errors: Conflict before a bootstrap.
	ReplaceManagement(ctx context.Context, management key.Key) error
	// Bootstrapped returns the attempt that won; it is asked only after one did.
	Bootstrapped(ctx context.Context) (attempt string, err error)
}

// Founder bootstraps.
type Founder struct {
	store Store
	ring  *secret.Keyring
}

// NewFounder returns a founder of the deployment in store, which seals with ring.
func NewFounder(store Store, ring *secret.Keyring) *Founder { return &Founder{store, ring} }

// Bootstrap creates what enrolment asks for. Doing it again with the same enrolment succeeds again, because the first
// answer may have been lost. Errors: Unprocessable, AlreadyDone.
func (f *Founder) Bootstrap(ctx context.Context, enrolment introspection.Enrolment) error {
	founding, err := f.founding(enrolment)
	if err != nil {
		return err
	}
	err = f.store.Bootstrap(ctx, founding)
	if fault.KindOf(err) != fault.AlreadyDone {
		return err
	}
	won, readErr := f.store.Bootstrapped(ctx)
	if readErr != nil {
		return readErr
	}
	if won == enrolment.Attempt {
		return nil
	}
	return err
}

// ReplaceManagement makes a key the only management key: for who has lost the last one, or shares it with a thief. Errors:
// Unprocessable, Conflict before a bootstrap.
func (f *Founder) ReplaceManagement(ctx context.Context, enrolled introspection.EnrolledKey) error {
	management, err := f.key("management", enrolled)
	if err != nil {
		return err
	}
	management.Kind, management.Name = key.Management, managementName
	return f.store.ReplaceManagement(ctx, management)
}

// Prepare makes sure that there is an authority, which verifiers need, and the context, which has no keys then. It is no bootstrap
// and keeps none from happening. Errors: Unprocessable.
func (f *Founder) Prepare(ctx context.Context, contextID string) error {
	c, principals, err := tenant.New(tenant.Draft{ID: contextID})
	if err != nil {
		return err
	}
	return f.store.Prepare(ctx, NewAuthority(), c, principals)
}

func (f *Founder) founding(enrolment introspection.Enrolment) (Founding, error) {
	opened, principals, err := tenant.New(tenant.Draft{ID: enrolment.ContextID})
	if err != nil {
		return Founding{}, err
	}
	management, err := f.key("management", enrolment.Management)
	if err != nil {
		return Founding{}, err
	}
	management.Kind, management.Name = key.Management, managementName
	first, err := f.key("context", enrolment.Context)
	if err != nil {
		return Founding{}, err
	}
	if first.ID == management.ID {
		return Founding{}, unprocessable("context.id", "must not be that of the management key")
	}
	if !apikey.ValidID(enrolment.Attempt) {
		return Founding{}, unprocessable("attempt", "is not the name of an attempt")
	}
	first.Kind, first.Name, first.ContextID, first.PrincipalID = key.Context, contextName, opened.ID, principal.Admin
	return Founding{
		Attempt: enrolment.Attempt, Authority: NewAuthority(), Context: opened, Principals: principals, Management: management, First: first,
	}, nil
}

func (f *Founder) key(field string, enrolled introspection.EnrolledKey) (key.Key, error) {
	if !apikey.ValidID(enrolled.ID) {
		return key.Key{}, unprocessable(field+".id", "is not the id of a key")
	}
	if enrolled.Digest == (apikey.Digest{}) {
		return key.Key{}, unprocessable(field+".digest", "is missing")
	}
	seal, version := f.ring.Seal(enrolled.Digest)
	return key.Key{ID: enrolled.ID, Seal: seal, Pepper: version}, nil
}

func unprocessable(field, why string) error {
	err := fault.New(fault.Unprocessable, "%s: %s", field, why)
	err.Field = field
	return err
}
