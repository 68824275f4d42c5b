package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

type keyImportRow struct {
	Revision  int64
	ContextID string
	Keys      int
	At        time.Time
}

// TableName tells GORM where the rows are.
func (keyImportRow) TableName() string { return "key_imports" }

// Imported implements revision.Store.
func (s *Store) Imported(ctx context.Context) (found bool, err error) {
	err = s.db.Reader(ctx).Raw("SELECT EXISTS (SELECT 1 FROM key_imports)").Scan(&found).Error
	return found, public(database.Translate(err))
}

// importing is a batch on its way into a context.
type importing struct {
	tx        *gorm.DB
	at        time.Time
	contextID string
	policy    tenant.Config
	byName    map[string]key.Key
	bySeal    map[secret.Seal]string // the names of keys, in whatever context
	owners    map[string]principal.Principal

	// What is to be inserted. It goes together at the end: who changes anything else waits for this transaction.
	made struct {
		principals []principalRow
		grants     []grantsRow
		keys       []keyRow
		entries    []audit.Entry
	}
}

// ImportKeys implements key.ImportStore. What is there already has a revision taken again: the answer to an earlier attempt may have been
// lost before verifiers heard of it.
func (s *Store) ImportKeys(ctx context.Context, contextID string, drafts []key.ImportDraft) (done []key.Imported, revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		done, revised = make([]key.Imported, 0, len(drafts)), 0
		batch := importing{tx: tx, at: at, contextID: contextID, owners: map[string]principal.Principal{}}
		var err error
		if batch.policy, err = findPolicy(tx, contextID); err != nil {
			return err
		}
		if err := batch.load(drafts); err != nil {
			return err
		}
		there := 0
		for _, draft := range drafts {
			result, err := batch.put(draft)
			if err != nil {
				return err
			}
			if result.Status == key.ImportCreated || result.Status == key.ImportExists {
				there++
			}
			done = append(done, result)
		}
		if there == 0 {
			return nil
		}
		if err := batch.insert(); err != nil {
			return err
		}
		if revised, err = number(tx, at, revision.Change{Kind: revision.KeysImported, ContextID: contextID}); err != nil {
			return err
		}
		if err := tx.Create(&keyImportRow{Revision: revised, ContextID: contextID, Keys: there, At: at}).Error; err != nil {
			return fmt.Errorf("noting an import: %w", err)
		}
		return nil
	})
	return done, revised, err
}

// load reads the keys that have a name or a hash of the batch.
func (b *importing) load(drafts []key.ImportDraft) error {
	b.byName, b.bySeal = map[string]key.Key{}, map[secret.Seal]string{}
	var names []string
	var seals [][]byte
	for _, d := range drafts {
		names = append(names, d.Key.Name)
		for i := range d.Seals {
			seals = append(seals, d.Seals[i][:])
		}
	}
	for part := range slices.Chunk(names, atOnce) {
		if err := b.find("context_id = ? AND name IN ?", b.contextID, part); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(seals, atOnce) {
		if err := b.find("digest_hmac IN ?", part); err != nil {
			return err
		}
	}
	return nil
}

func (b *importing) find(query string, args ...any) error {
	var rows []keyRow
	if err := b.tx.Where(query, args...).Find(&rows).Error; err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	for _, row := range rows {
		k, err := row.key()
		if err != nil {
			return err
		}
		b.know(k)
	}
	return nil
}

func (b *importing) know(k key.Key) {
	if k.ContextID == b.contextID {
		b.byName[k.Name] = k
	}
	b.bySeal[k.Seal] = k.Name
}

func (b *importing) put(d key.ImportDraft) (key.Imported, error) {
	if k, taken := b.byName[d.Key.Name]; taken {
		if slices.Contains(d.Seals, k.Seal) {
			return key.Imported{Name: k.Name, Status: key.ImportExists, Key: k}, nil
		}
		return d.Refused(key.ImportConflict, key.Taken(k.Name)), nil
	}
	for _, seal := range d.Seals {
		if _, taken := b.bySeal[seal]; taken {
			return d.Refused(key.ImportConflict, fault.New(fault.Conflict, "another key has this hash")), nil
		}
	}
	if !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(b.at) {
		return d.Refused(key.ImportError, fault.InvalidField("expires_at", "is in the past")), nil
	}
	owner, err := b.owner(d)
	if kind := fault.KindOf(err); err != nil && (kind == fault.NotFound || kind == fault.Forbidden || kind == fault.Invalid) {
		return d.Refused(key.ImportError, err), nil
	}
	if err != nil {
		return key.Imported{}, err
	}
	k := d.Key
	k.CreatedAt, k.ExpiresAt = b.at, key.Expiry(b.at, d.TTL, b.policy, d.ExpiresAt)
	row, err := rowOfKey(k)
	if err != nil {
		return key.Imported{}, err
	}
	b.know(k)
	b.made.keys = append(b.made.keys, row)
	b.made.entries = append(b.made.entries, audit.Entry{
		Action: audit.KeyImported, ContextID: k.ContextID, Target: k.ID,
		Detail: map[string]any{"name": k.Name, "principal_id": owner.ID, "principal_kind": owner.Kind, "valid_until": end(k)},
	})
	return key.Imported{Name: k.Name, Status: key.ImportCreated, Key: k}, nil
}

// insert stores what the batch has made, tells of it and records it.
func (b *importing) insert() error {
	if len(b.made.keys) == 0 {
		return nil
	}
	if len(b.made.principals) > 0 {
		if err := b.tx.CreateInBatches(b.made.principals, atOnce).Error; err != nil {
			return fmt.Errorf("inserting principals: %w", err)
		}
		if err := b.tx.CreateInBatches(b.made.grants, atOnce).Error; err != nil {
			return fmt.Errorf("keeping the history of grants: %w", err)
		}
	}
	if err := b.tx.CreateInBatches(b.made.keys, atOnce).Error; err != nil {
		return fmt.Errorf("inserting keys: %w", err)
	}
	for part := range slices.Chunk(b.made.keys, atOnce) {
		ids := make([]string, len(part))
		for i, row := range part {
			ids[i] = row.ID
		}
		if err := tell(b.tx, b.at, webhook.KeyCreated, webhook.Data{}, "k.id IN ?", ids); err != nil {
			return err
		}
	}
	return record(b.tx, b.at, b.made.entries...)
}

// owner returns the principal of a key, which is made with it unless it is one that there is. Errors: those of [key.ImportDraft.For],
// and principal.NotFound.
func (b *importing) owner(d key.ImportDraft) (principal.Principal, error) {
	if d.Owner != nil {
		row, err := rowOfPrincipal(*d.Owner, b.at)
		if err != nil {
			return principal.Principal{}, err
		}
		b.made.principals, b.made.grants = append(b.made.principals, row), append(b.made.grants, firstGrants(row, b.at))
		return *d.Owner, nil
	}
	owner, known := b.owners[d.PrincipalID]
	if !known {
		var err error
		if owner, err = findPrincipal(b.tx, b.contextID, d.PrincipalID, lockShared); err != nil {
			return owner, err
		}
		b.owners[d.PrincipalID] = owner
	}
	return owner, d.For(owner)
}
