package deployment

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
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

// Note adds what an entry of the audit log says was revoked by a change that a backup of these facts does not have. It reports whether the
// entry narrowed something else since, which the backup brings back wider than it was. Errors: a detail that is none of ours.
func (r *Revoked) Note(entry auditchain.Record, backup Facts) (wider bool, err error) {
	var detail struct {
		Revision int64    `json:"revision"`
		Revoked  []string `json:"revoked"`
	}
	if len(entry.Detail) > 0 {
		if err := json.Unmarshal(entry.Detail, &detail); err != nil {
			return false, errors.New("the detail of the entry cannot be read")
		}
	}
	// Revisions are in the order of their numbers; ids are not quite.
	later := entry.ID > backup.AuditEntry
	if detail.Revision > 0 {
		later = detail.Revision > backup.Revision
	}
	if !later {
		return false, nil
	}
	switch audit.Action(entry.Action) {
	case audit.KeyDeleted, audit.TokenRevoked, audit.KeyRotated:
		// The secret that a rotation ended would live again, and the new one is not in the backup: the key has to be minted again.
		r.Keys = append(r.Keys, entry.Target)
	case audit.TokensRotated:
		r.Keys = append(r.Keys, detail.Revoked...)
	case audit.AccountRevoked, audit.PrincipalDeleted:
		r.Principals = append(r.Principals, Place{ContextID: entry.ContextID, ID: entry.Target})
	case audit.ContextDeleted:
		r.Contexts = append(r.Contexts, entry.Target)
	case audit.PrincipalPatched, audit.AccountEdited, audit.ContextPatched, audit.KeyDisabled, audit.KeyEdited, audit.ManagementKeyReplaced,
		audit.WebhookPatched, audit.WebhookDeleted, audit.WebhookSecretRotated:
		return true, nil
	case audit.DeploymentBootstrapped, audit.DeploymentRestored, audit.PepperRetired, audit.ContextCreated, audit.ContextPurged,
		audit.JobQueued, audit.JobDone, audit.PrincipalCreated, audit.KeyMinted, audit.KeyImported, audit.KeyEnabled, audit.AccountCreated,
		audit.TokenMinted, audit.WebhookCreated, audit.WebhookDisabled, audit.AccessDenied:
		// Nothing that anybody could do before is out of reach because of it.
	}
	return false, nil
}

// NewAuthority returns an identity that no deployment had before: whoever remembers anything of another one forgets it.
func NewAuthority() string { return secret.NewID(authorityLen) }
