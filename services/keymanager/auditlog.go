package keymanager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
)

// AppendOnlyTables are the tables of which the key manager only ever adds rows.
func AppendOnlyTables() []string { return []string{"audit_log", "audit_seals"} }

// ReadOnlyTables are the tables, besides the one of migrations, that the key manager only reads.
func ReadOnlyTables() []string { return []string{"audit_anchors"} }

// AuditLog is the audit log of a deployment as it is in the database, for whoever checks, exports or archives it. It is safe for
// concurrent use.
type AuditLog struct {
	db    *database.DB
	store *store.Store
}

// OpenAuditLog opens the audit log in the database at connection, which must have been migrated. It needs no secret.
func OpenAuditLog(ctx context.Context, connection string) (*AuditLog, error) {
	db, err := database.OpenExisting(ctx, planOnce(connection), schema)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	if err := requireMigrated(ctx, db); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", errors.Join(err, db.Close()))
	}
	return &AuditLog{db: db, store: store.New(db, Config{}.clock())}, nil
}

// Close closes the database.
func (l *AuditLog) Close() error { return l.db.Close() }

// AuditState is where the chain has got to, and up to where it has been archived.
type AuditState struct{ Head, Anchor auditchain.Head }

// State returns where the chain is.
func (l *AuditLog) State(ctx context.Context) (state AuditState, err error) {
	err = l.store.WalkAudit(ctx, func(walk store.AuditWalk) error {
		state = AuditState{walk.Head, walk.Anchor}
		return nil
	})
	return state, err
}

// Entries calls fn with the sealed entries that come after a number, oldest first, all of one snapshot.
func (l *AuditLog) Entries(ctx context.Context, after int64, fn func(iter.Seq2[auditchain.Record, error]) error) error {
	return l.store.WalkAudit(ctx, func(walk store.AuditWalk) error { return fn(walk.Entries(max(after, walk.Anchor.Seq))) })
}

// Verify holds the whole log that is in the database against its hashes, its head, its anchor, and the heads that v expects. v is
// one that has seen the archives, or a new one from where they end, which is told when v is nil. It returns the verifier, and a
// *auditchain.DamageError that names the first entry that is wrong.
func (l *AuditLog) Verify(ctx context.Context, v *auditchain.Verifier, heads ...auditchain.Head) (*auditchain.Verifier, error) {
	err := l.store.WalkAudit(ctx, func(walk store.AuditWalk) error {
		switch {
		case v == nil:
			v = auditchain.From(walk.Anchor)
		case v.Head() != walk.Anchor:
			return fmt.Errorf("the archives end at %s, and what is in the database begins after %s", v.Head(), walk.Anchor)
		}
		v.Expect(heads...)
		if walk.Head.Seq > 0 {
			v.Expect(walk.Head)
		}
		if err := v.Verify(walk.Entries(walk.Anchor.Seq)); err != nil {
			return err
		}
		if err := v.Finish(); err != nil {
			return err
		}
		if end := v.Head(); end.Seq > walk.Head.Seq {
			return &auditchain.DamageError{Kind: auditchain.Inserted, Seq: walk.Head.Seq + 1, Reason: fmt.Sprintf("sealing has only got to %d", walk.Head.Seq)}
		}
		return walk.Stowaway()
	})
	return v, err
}

// Archive is a part of the log on its way out of the database.
type Archive struct {
	// From is the place before the first entry, To the one of the last.
	From, To auditchain.Head
}

// Archive hands the oldest entries out, at most atOnce of them and none that is as young as before, and then deletes them in one
// transaction, leaving an anchor. keep must store and check them; when it fails, nothing is deleted. It returns false when nothing
// was old enough. Errors may be a *auditchain.DamageError: what is damaged is not archived.
func (l *AuditLog) Archive(
	ctx context.Context, before time.Time, atOnce int64, keep func(archive Archive, entries iter.Seq2[auditchain.Record, error]) error,
) (bool, error) {
	var archive Archive
	err := l.store.WalkAudit(ctx, func(walk store.AuditWalk) error {
		last, err := walk.Before(before, atOnce)
		if err != nil {
			return err
		}
		archive.From, archive.To = walk.Anchor, walk.Anchor
		if last <= walk.Anchor.Seq {
			return nil
		}
		v := auditchain.From(walk.Anchor)
		if err := v.Verify(until(walk.Entries(walk.Anchor.Seq), last)); err != nil {
			return err
		}
		if archive.To = v.Head(); archive.To.Seq != last {
			return &auditchain.DamageError{Kind: auditchain.Truncated, Seq: archive.To.Seq + 1, Reason: "it is missing"}
		}
		return keep(archive, until(walk.Entries(walk.Anchor.Seq), last))
	})
	if err != nil || archive.To == archive.From {
		return false, err
	}
	if err := l.store.DropAudit(ctx, archive.From, archive.To); err != nil {
		return false, fmt.Errorf("deleting what has been archived: %w", err)
	}
	return true, nil
}

// until ends records after the one with the number last.
func until(records iter.Seq2[auditchain.Record, error], last int64) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		for r, err := range records {
			if !yield(r, err) || r.Seq >= last {
				return
			}
		}
	}
}
