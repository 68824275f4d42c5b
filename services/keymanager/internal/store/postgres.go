package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/mutant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// revisionLock is the advisory lock of revisions. Advisory locks are shared by all of a database: the number is random, so
// that nobody else's is the same.
const revisionLock int64 = 0x2f6b_19c4_8d53_e701

// postgres is the engine of deployments.
type postgres struct{}

func (postgres) clock(tx *gorm.DB) (time.Time, error) {
	var at time.Time
	// Not now(), the start of the transaction: it may have waited for a lock since.
	err := tx.Raw("SELECT clock_timestamp()").Scan(&at).Error
	return at.UTC(), err
}

func (postgres) lockRevisions(tx *gorm.DB) error {
	return tx.Exec("SELECT pg_advisory_xact_lock(?)", revisionLock).Error
}

// life is another one in another cluster or database, where a dump was read, and on another timeline, which begins with
// every recovery to a point in time and with every failover: some commits of the old primary may be lost then.
func (postgres) life() (expression string, args []any) {
	const text = `(SELECT system_identifier FROM pg_control_system()) || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
		|| '.' || (SELECT oid FROM pg_database WHERE datname = current_database())`
	return text, nil
}

// extend is one statement for each renewal of each verifier. When it finds no row to change, there is no lease, or the
// authority is another one, or the acknowledged revision was never made. Nothing in a row goes back: see RenewLease.
func (e postgres) extend(ctx context.Context, s *Store, r renewal) (revision.Grant, bool, error) {
	life, _ := e.life()
	statement := `
		WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
		oldest AS MATERIALIZED (
			SELECT ? AND EXISTS (
				SELECT 1 FROM (SELECT at FROM revisions WHERE id > ? ORDER BY id LIMIT 1) AS missing
				WHERE at < now - ? * interval '1 microsecond'
			) AS lags FROM clock
		)
		UPDATE leases SET acknowledged = greatest(acknowledged, ?),
			expires_at = CASE WHEN lags THEN expires_at ELSE greatest(expires_at, now + ? * interval '1 microsecond') END
		FROM clock, oldest
		WHERE verifier = ? AND (? = 0 OR EXISTS (SELECT 1 FROM revisions WHERE id >= ? AND ? > 0))
			AND (SELECT authority || '.' || ` + life + ` FROM deployment WHERE id = ?) = ?
		RETURNING lags, catch_up_to`
	var held []struct {
		Lags      bool
		CatchUpTo int64
	}
	err := s.db.WithContext(ctx).Raw(statement,
		!mutant.Is(mutant.NeverRefuse), r.acknowledged, r.patience.Microseconds(), r.acknowledged, r.ttl.Microseconds(),
		r.verifier, r.acknowledged, r.acknowledged, r.acknowledged, theDeployment, r.authority).Scan(&held).Error
	if err != nil || len(held) == 0 {
		return revision.Grant{}, false, public(database.Translate(err))
	}
	if held[0].Lags {
		return revision.Grant{}, true, nil
	}
	return revision.Grant{Extended: true, CatchUpTo: held[0].CatchUpTo}, true, nil
}

// standing is one statement: a barrier looks often. It deletes what has ended; where a renewal under way holds such a row it
// waits, and leaves the row alone if that extended it. All rows of its snapshot that it did not delete count as live, with what
// they acknowledged then: nobody is overlooked who was there when it began.
func (postgres) standing(ctx context.Context, s *Store) (revision.Standing, error) {
	const statement = `
		WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
		ended AS (DELETE FROM leases USING clock WHERE expires_at <= clock.now RETURNING verifier, acknowledged),
		noted AS (INSERT INTO lease_table (id, since) SELECT 1, now FROM clock ON CONFLICT DO NOTHING)
		SELECT 'age' AS what, (extract(epoch FROM now - coalesce(since, now)) * 1000000)::bigint AS value
			FROM clock LEFT JOIN lease_table ON true
		UNION ALL SELECT 'lapsed', acknowledged FROM ended
		UNION ALL SELECT 'live', acknowledged FROM leases WHERE verifier NOT IN (SELECT verifier FROM ended)`
	var rows []struct {
		What  string
		Value int64
	}
	if err := s.db.WithContext(ctx).Raw(statement).Scan(&rows).Error; err != nil {
		return revision.Standing{}, public(database.Translate(fmt.Errorf("reading leases: %w", err)))
	}
	var found revision.Standing
	for _, row := range rows {
		switch row.What {
		case "age":
			found.Age = time.Duration(row.Value) * time.Microsecond
		case "lapsed":
			found.Lapsed = append(found.Lapsed, row.Value)
		default:
			found.Acknowledged = append(found.Acknowledged, row.Value)
		}
	}
	return found, nil
}

func (postgres) announce(tx *gorm.DB) error {
	return tx.Exec("SELECT pg_notify(?, '')", revisionChannel).Error
}

func (postgres) findKeys(seals [][]byte) (string, []any) {
	// One array rather than a list of parameters: one statement to prepare, whatever the number of seals.
	const statement = `
		SELECT r.as_of, r.at, ` + foundColumns + `
		FROM (SELECT coalesce(max(id), 0) AS as_of, (extract(epoch FROM now()) * 1000000)::bigint AS at FROM revisions) r
		LEFT JOIN keys k ON k.digest_hmac = ANY($1)
		` + foundJoins
	return statement, []any{seals}
}

func (postgres) findTargets(seals [][]byte, ids []string) (string, []any) {
	const statement = `
		SELECT ` + targetColumns + `
		FROM unnest($1::bytea[], $2::text[]) AS asked (seal, principal)
		JOIN keys k ON k.digest_hmac = asked.seal
		JOIN principals p ON p.context_id = k.context_id AND p.id = asked.principal`
	return statement, []any{seals, ids}
}
