package key

import (
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// MaxImport is the most keys that one batch may hold.
const MaxImport = 1000

// Import is a key that another system made, by the hash of its text. Its text is never seen here before a caller shows it.
type Import struct {
	Name string
	// Hash is the SHA-256 of the key's text in hexadecimal digits or in base64.
	Hash string
	// PrincipalID is of a principal that there is, whose grants [Import.Grants] attenuate; empty makes one of Shape.
	PrincipalID string
	Grants      *map[string][]string
	Shape       principal.Shape
	// TTL is in seconds from now, ExpiresAt a moment; at most one of them is given.
	TTL       *int64
	ExpiresAt time.Time
}

// ImportStatus says what has become of an [Import].
type ImportStatus string

// What becomes of imports.
const (
	ImportCreated  ImportStatus = "created"
	ImportExists   ImportStatus = "exists"   // with the same name and hash, from before
	ImportConflict ImportStatus = "conflict" // the name is another key's, or the hash is
	ImportError    ImportStatus = "error"
)

// Imported is what has become of an [Import].
type Imported struct {
	Name   string
	Status ImportStatus
	// Detail says why, of a conflict and of an error.
	Detail string
	// Key is set where one was created, or exists.
	Key Key
}

// ImportDraft is an [Import] that can be stored.
type ImportDraft struct {
	// Key lacks what depends on the store: its end and, of a principal that there is, the principal.
	Key Key
	// Seals are all that may stand for its hash; the first is the key's.
	Seals []secret.Seal
	// Owner is the principal to make for it; nil for one that there is.
	Owner       *principal.Principal
	PrincipalID string
	TTL         *int64
	ExpiresAt   time.Time
}

// ImportStore keeps imported keys.
type ImportStore interface {
	// ImportKeys stores what can be stored of drafts, in one transaction, and returns what has become of each, and the revision by which
	// verifiers learn of them; 0 when there is none to learn of. Errors: tenant.NotFound.
	ImportKeys(ctx context.Context, contextID string, drafts []ImportDraft) ([]Imported, int64, error)
}

// Importer imports keys.
type Importer struct {
	store   ImportStore
	ring    *secret.Keyring
	barrier Barrier
}

// NewImporter returns an importer into store, which seals with ring and answers behind barrier.
func NewImporter(store ImportStore, ring *secret.Keyring, barrier Barrier) *Importer {
	return &Importer{store, ring, barrier}
}

// Import stores a batch and returns what has become of each item, in their order. The same again changes nothing. When it returns, no
// verifier refuses an imported key from memory. Errors: Unprocessable, Invalid for the batch as a whole; NotFound; Unavailable.
func (i *Importer) Import(ctx context.Context, contextID string, items []Import) (done []Imported, revised int64, reached *revision.Propagation, err error) {
	if err := tenant.CheckID(contextID); err != nil {
		return nil, 0, nil, err
	}
	if len(items) == 0 || len(items) > MaxImport {
		return nil, 0, nil, fault.InvalidField("keys", "must have 1 to %d items", MaxImport)
	}
	done = make([]Imported, len(items))
	var drafts []ImportDraft
	var places []int
	for n, item := range items {
		draft, err := i.draft(contextID, item)
		if err != nil {
			done[n] = Imported{Name: item.Name, Status: ImportError, Detail: reason(err)}
			continue
		}
		drafts, places = append(drafts, draft), append(places, n)
	}
	stored, revised, err := i.store.ImportKeys(ctx, contextID, drafts)
	if err != nil {
		return nil, 0, nil, err
	}
	for n, place := range places {
		done[place] = stored[n]
	}
	if revised == 0 {
		return done, 0, nil, nil
	}
	propagation, err := i.barrier.Await(ctx, revised)
	return done, revised, &propagation, err
}

func (i *Importer) draft(contextID string, item Import) (ImportDraft, error) {
	if err := errors.Join(CheckName(item.Name), CheckTTL(item.TTL)); err != nil {
		return ImportDraft{}, err
	}
	if item.TTL != nil && !item.ExpiresAt.IsZero() {
		return ImportDraft{}, fault.InvalidField("expires_at", "must not be given together with ttl_seconds")
	}
	digest, err := apikey.ParseHash(item.Hash)
	if err != nil {
		return ImportDraft{}, fault.InvalidField("hash", "%v", err)
	}
	d := ImportDraft{
		Key: Key{ID: apikey.NewImportedID(), Kind: Context, ContextID: contextID, Name: item.Name}, Seals: i.ring.Seals(digest),
		PrincipalID: principal.Bare(item.PrincipalID), TTL: item.TTL, ExpiresAt: item.ExpiresAt,
	}
	d.Key.Seal, d.Key.Pepper = i.ring.Seal(digest)
	if item.PrincipalID == "" {
		item.Shape.Grants = nil
		if item.Grants != nil {
			item.Shape.Grants = *item.Grants
		}
		owner, err := principal.ForKey(contextID, d.Key.ID, item.Name, item.Shape)
		d.Owner, d.Key.PrincipalID = &owner, owner.ID
		return d, err
	}
	if item.Shape.Kind != "" || item.Shape.Floor != nil {
		return ImportDraft{}, fault.InvalidField("principal_id", "must not be given together with principal or scope_floor")
	}
	d.Key.PrincipalID = d.PrincipalID
	if item.Grants != nil {
		d.Key.Grants, err = grant.Parse(*item.Grants)
	}
	return d, err
}

// For checks that the key of d may be one of owner, a principal that there is.
func (d ImportDraft) For(owner principal.Principal) error {
	if err := owner.Mutable(); err != nil {
		return err
	}
	return d.Key.Grants.Within(owner.Grants)
}

// Refused is what becomes of d when it cannot be stored for err, which must be public.
func (d ImportDraft) Refused(status ImportStatus, err error) Imported {
	return Imported{Name: d.Key.Name, Status: status, Detail: reason(err)}
}

// reason is what callers are told of err.
func reason(err error) string {
	if public, ok := errors.AsType[*fault.Error](err); ok {
		return public.Message // which begins with the field
	}
	return "it cannot be stored"
}
