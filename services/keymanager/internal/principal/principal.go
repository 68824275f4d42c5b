// Package principal is about the actors that keys are bound to: the two that every context has, and those made for a key.
package principal

import (
	"github.com/spectron-hq/spectron/services/contract/caller"
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
}

// Reserved returns the principals that a new context begins with. An empty adminName means "admin".
func Reserved(contextID, adminName, adminExternalID string) []Principal {
	if adminName == "" {
		adminName = Admin
	}
	return []Principal{
		{ContextID: contextID, ID: System, DisplayName: System, Kind: caller.Service, Grants: grant.Map{}},
		{
			ContextID: contextID, ID: Admin, DisplayName: adminName, Kind: caller.Human,
			ExternalID: adminExternalID, Grants: grant.All(),
		},
	}
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
