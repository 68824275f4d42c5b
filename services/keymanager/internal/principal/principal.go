// Package principal is about the actors that keys are bound to: the two that every context has, those that operators make,
// and those made for a key. It promises that a change of what one may do answers only when no verifier goes by what was true
// before it, and that what it was allowed at any earlier moment can still be told.
package principal

import (
	"strings"
	"time"
	"unicode"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// The ids of the principals that every context has.
const (
	// System acts for the service itself. It holds no grants and no keys.
	System = "system"
	// Admin may do everything in its context.
	Admin = "admin"
)

// idLen is the length of a principal's id: 80 random bits, as in a key's.
const idLen = 16

// Principal is an actor in a context.
type Principal struct {
	ContextID   string
	ID          string // unique in the context
	DisplayName string
	Kind        caller.Kind
	// ExternalID names the principal outside, in words we do not read; empty when it has no such name.
	ExternalID string
	Grants     grant.Map
	// OwnerKey is the id of the key that the principal was made for and goes with; empty for one that stands by itself.
	OwnerKey string
	// CreatedAt is set by the store.
	CreatedAt time.Time
}

// Bare returns an id without the prefix that it may be written with.
func Bare(id string) string { return strings.TrimPrefix(id, "principal:") }

// NotFound is the answer about a principal that does not exist.
func NotFound(id string) error { return fault.New(fault.NotFound, "there is no principal %q", id) }

// NameTaken is the answer to a display name that another principal has.
func NameTaken(name string) error {
	return fault.New(fault.Conflict, "a principal named %q exists already", name)
}

// Mutable returns a Forbidden fault for a principal that nothing may be changed of here, neither its grants nor its keys.
func (p Principal) Mutable() error {
	if p.ID == System {
		return fault.New(fault.Forbidden, "the principal %q is immutable", System)
	}
	return p.ordinary()
}

// Deletable returns a Forbidden fault for the principals that every context has, and for service accounts.
func (p Principal) Deletable() error {
	if p.ID == System || p.ID == Admin {
		return fault.New(fault.Forbidden, "the principal %q cannot be deleted", p.ID)
	}
	return p.ordinary()
}

// ordinary returns a Forbidden fault for a service account: its id, which we have made, tells it from all others.
func (p Principal) ordinary() error {
	if apikey.ValidAccountID(p.ID) {
		return fault.New(fault.Forbidden, "the principal %q is a service account: use /v1/service-accounts/%s, or `spl service-account`",
			p.ID, p.ID)
	}
	return nil
}

// Draft describes a principal to create. Without a kind it is an agent, without grants it may do nothing, without a display
// name it is called as outside.
type Draft struct {
	DisplayName string
	Kind        caller.Kind
	ExternalID  string
	Grants      map[string][]string
}

// New returns the principal that draft describes. Errors are Invalid faults that name the field.
func New(contextID string, draft Draft) (Principal, error) {
	p := Principal{
		ContextID: contextID, ID: secret.NewID(idLen), DisplayName: draft.DisplayName, Kind: draft.Kind, ExternalID: draft.ExternalID,
	}
	if p.Kind == "" {
		p.Kind = caller.Agent
	}
	field := "display_name"
	if p.DisplayName == "" && p.ExternalID != "" {
		field, p.DisplayName = "external_id", p.ExternalID
	}
	if err := checkName(field, p.DisplayName); err != nil {
		return Principal{}, err
	}
	if err := checkOutside("external_id", draft.ExternalID); err != nil {
		return Principal{}, err
	}
	var err error
	p.Grants, err = grant.Parse(draft.Grants)
	return p, err
}

// checkOutside returns an Invalid fault about field when id is the text of a key. What else it may be is not ours to say.
func checkOutside(field, id string) error {
	if apikey.Redact(id) != id {
		return fault.InvalidField(field, "must not be a secret")
	}
	return nil
}

// checkName returns an Invalid fault about field when name cannot be shown to people. The text of a key must not be.
func checkName(field, name string) error {
	unfit := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.TrimSpace(name) == "" || strings.IndexFunc(name, unfit) >= 0 || apikey.Redact(name) != name {
		return fault.InvalidField(field, "must have printable characters, not only spaces, and not be a secret")
	}
	return nil
}

// Reserved returns the principals that a new context begins with. An empty adminName means "admin". Errors are Invalid faults
// that name the field.
func Reserved(contextID, adminName, adminExternalID string) ([]Principal, error) {
	if adminName == "" {
		adminName = Admin
	}
	if err := checkName("admin_display_name", adminName); err != nil {
		return nil, err
	}
	if err := checkOutside("admin_external_id", adminExternalID); err != nil {
		return nil, err
	}
	return []Principal{
		{ContextID: contextID, ID: System, DisplayName: System, Kind: caller.Service, Grants: grant.Map{}},
		{
			ContextID: contextID, ID: Admin, DisplayName: adminName, Kind: caller.Human,
			ExternalID: adminExternalID, Grants: grant.All(),
		},
	}, nil
}

// ForKey returns a new principal that belongs to one key and is called as that key is.
func ForKey(contextID, keyID, keyName string, shape Shape) (Principal, error) {
	kind, grants, err := shape.resolve()
	if err != nil {
		return Principal{}, err
	}
	return Principal{
		ContextID: contextID, ID: secret.NewID(idLen), DisplayName: keyName, Kind: kind, Grants: grants, OwnerKey: keyID,
	}, nil
}
