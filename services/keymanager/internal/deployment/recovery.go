package deployment

import (
	"time"

	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// Facts are what a backup is described by.
type Facts struct {
	// Authority is the identity of the deployment; empty before it has one.
	Authority string
	// Revision is the newest revision, AuditEntry the id of the newest audit entry; 0 where there is none.
	Revision, AuditEntry int64
	// Peppers says how many keys are sealed under each version of the pepper.
	Peppers map[uint16]int64
}

// Recovery is what a restored database is told about itself.
type Recovery struct {
	// TakenAt is when the backup was taken.
	TakenAt time.Time
	// Revoked is what has been revoked since.
	Revoked Revoked
}

// Revoked names what must not come back with a backup.
type Revoked struct {
	// Keys are the ids of keys and of tokens.
	Keys []string
	// Principals lose all their keys, and so do contexts.
	Principals []Place
	Contexts   []string
}

// Place is a principal in its context.
type Place struct{ ContextID, ID string }

// NewAuthority returns an identity that no deployment had before: whoever remembers anything of another one forgets it.
func NewAuthority() string { return secret.NewID(authorityLen) }
