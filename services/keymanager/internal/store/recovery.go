package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// Describe calls take with what the database holds at one moment. On Postgres snapshot is the name by which other sessions can read that
// moment, as long as take runs.
func (s *Store) Describe(ctx context.Context, take func(facts deployment.Facts, snapshot string) error) error {
	return public(s.db.Read(ctx, func(tx *gorm.DB) (err error) {
		var snapshot string
		if s.db.Engine == database.Postgres {
			if snapshot, err = database.ExportSnapshot(tx); err != nil {
				return err
			}
		}
		facts, err := facts(tx)
		if err != nil {
			return err
		}
		return take(facts, snapshot)
	}))
}

func facts(tx *gorm.DB) (deployment.Facts, error) {
	var found deployment.Facts
	var rows []deploymentRow
	if err := tx.Find(&rows).Error; err != nil {
		return found, fmt.Errorf("reading the deployment: %w", err)
	}
	for _, row := range rows {
		found.Authority = row.Authority
	}
	var err error
	if found.Revision, err = newest(tx); err != nil {
		return found, fmt.Errorf("reading revisions: %w", err)
	}
	if err := tx.Model(&auditRow{}).Select("coalesce(max(id), 0)").Scan(&found.AuditEntry).Error; err != nil {
		return found, fmt.Errorf("reading the audit log: %w", err)
	}
	if found.Peppers, err = countPeppers(tx, &keyRow{}); err != nil {
		return found, fmt.Errorf("counting keys: %w", err)
	}
	return found, nil
}

// countPeppers returns how many of the rows of a table that tx selects are sealed under each version of the pepper.
func countPeppers(tx *gorm.DB, table any) (map[uint16]int64, error) {
	var rows []struct {
		PepperVersion uint16
		Sealed        int64
	}
	err := tx.Model(table).Select("pepper_version, count(*) AS sealed").Group("pepper_version").Scan(&rows).Error
	counts := make(map[uint16]int64, len(rows))
	for _, row := range rows {
		counts[row.PepperVersion] = row.Sealed
	}
	return counts, err
}

// BeginAnew makes of a restored database a deployment of its own: another authority, of which no verifier remembers anything, and without
// a lease. The table of leases is young then, so that a change waits for verifiers of the previous authority until their leases have
// ended. What was revoked since the backup goes in the same transaction, and so does the mark of an unfinished restore. It returns the
// number of keys that this ended.
func (s *Store) BeginAnew(ctx context.Context, authority string, recovery deployment.Recovery) (ended int, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		for _, empty := range []any{&leaseRow{}, &leaseTableRow{}} {
			if err := tx.Where("1 = 1").Delete(empty).Error; err != nil {
				return fmt.Errorf("ending leases: %w", err)
			}
		}
		if err := tx.Model(&deploymentRow{}).Where("id = ?", theDeployment).Update("authority", authority).Error; err != nil {
			return fmt.Errorf("naming the authority: %w", err)
		}
		revised, err := number(tx, at, revision.Change{Kind: revision.Restored})
		if err != nil {
			return err
		}
		if ended, err = endRevoked(tx, at, recovery.Revoked); err != nil {
			return err
		}
		err = record(tx, at, audit.Entry{Action: audit.DeploymentRestored, Target: authority, Detail: map[string]any{
			"backup_taken_at": recovery.TakenAt.UTC(), "revision": revised, "keys_ended": ended,
		}})
		if err != nil {
			return err
		}
		return database.EndRestoration(tx)
	})
	return ended, err
}

// endRevoked takes the life of keys and tokens. tx must hold the lock of revisions.
func endRevoked(tx *gorm.DB, at time.Time, revoked deployment.Revoked) (ended int, err error) {
	var rows []keyRow
	find := func(query string, args ...any) error {
		var found []keyRow
		err := tx.Where("kind <> 'management'").Where(query, args...).Find(&found).Error
		rows = append(rows, found...)
		return err
	}
	for ids := range slices.Chunk(revoked.Keys, atOnce) {
		if err := find("id IN ?", ids); err != nil {
			return 0, err
		}
	}
	for _, place := range revoked.Principals {
		if err := find("context_id = ? AND principal_id = ?", place.ContextID, place.ID); err != nil {
			return 0, err
		}
	}
	for ids := range slices.Chunk(revoked.Contexts, atOnce) {
		if err := find("context_id IN ?", ids); err != nil {
			return 0, err
		}
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.ID] {
			continue
		}
		seen[row.ID] = true
		k, err := row.key()
		if err != nil {
			return 0, err
		}
		if _, err := endKey(tx, at, k, "revoked after the backup that was restored"); err != nil {
			return 0, err
		}
	}
	return len(seen), nil
}

// atOnce bounds the parameters of one statement.
const atOnce = 500
