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

// idleUnderLock is how long a transaction may hold the lock of revisions without a word: a key manager that is stopped within
// it holds up the changes of all others for no longer. (A statement that runs has a limit of its own.)
const idleUnderLock = "3s"

func (postgres) lockRevisions(tx *gorm.DB) (time.Time, error) {
	// The clock is read for a row that is there once the lock is held.
	const statement = `
		WITH held AS MATERIALIZED (
			SELECT set_config('idle_in_transaction_session_timeout', ?, true), pg_advisory_xact_lock(?)
		)
		SELECT clock_timestamp() FROM held`
	var at time.Time
	err := tx.Raw(statement, idleUnderLock, revisionLock).Scan(&at).Error
	return at.UTC(), err
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
func (e postgres) extend(ctx context.Context, s *Store, r renewal) (grant revision.Grant, held bool, err error) {
	life, _ := e.life()
	statement := `
		WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
		oldest AS MATERIALIZED (
			SELECT $1 AND EXISTS (
				SELECT 1 FROM (SELECT at FROM revisions WHERE id > $2 ORDER BY id LIMIT 1) AS missing
				WHERE at < now - $3 * interval '1 microsecond'
			) AS lags FROM clock
		)
		UPDATE leases SET acknowledged = greatest(acknowledged, $2),
			expires_at = CASE WHEN lags THEN expires_at ELSE greatest(expires_at, now + $4 * interval '1 microsecond') END
		FROM clock, oldest
		WHERE verifier = $5 AND ($2 = 0 OR $2 > 0 AND EXISTS (SELECT 1 FROM revisions WHERE id >= $2))
			AND (SELECT authority || '.' || ` + life + ` FROM deployment WHERE id = $6) = $7
		RETURNING lags, catch_up_to`
	var lags bool
	var catchUpTo int64
	err = s.db.Pipeline(ctx, []database.Statement{{SQL: statement, Args: []any{
		!mutant.Is(mutant.NeverRefuse), r.acknowledged, r.patience.Microseconds(), r.ttl.Microseconds(), r.verifier,
		theDeployment, r.authority,
	}}}, func(row database.Row) error {
		held = true
		return row.Scan(&lags, &catchUpTo)
	})
	if err != nil || !held || lags {
		return revision.Grant{}, held, public(err)
	}
	return revision.Grant{Extended: true, CatchUpTo: catchUpTo}, true, nil
}

// standing is one statement: a barrier looks often. It deletes what has ended; where a renewal under way holds such a row it
// waits, and leaves the row alone if that extended it. All rows of its snapshot that it did not delete count as live, with what
// they acknowledged then: nobody is overlooked who was there when it began.
func (postgres) standing(ctx context.Context, s *Store) (revision.Standing, error) {
	const statement = `
		WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
		ended AS (DELETE FROM leases USING clock WHERE expires_at <= clock.now RETURNING verifier, acknowledged),
		noted AS (INSERT INTO lease_table (id, since) SELECT 1, now FROM clock ON CONFLICT DO NOTHING)
		SELECT 'age', '', (extract(epoch FROM now - coalesce(since, now)) * 1000000)::bigint
			FROM clock LEFT JOIN lease_table ON true
		UNION ALL SELECT 'longest', '', micros FROM lease_length
		UNION ALL SELECT 'lapsed', '', acknowledged FROM ended
		UNION ALL SELECT 'live', verifier, acknowledged FROM leases WHERE verifier NOT IN (SELECT verifier FROM ended)`
	var found revision.Standing
	err := s.db.Pipeline(ctx, []database.Statement{{SQL: statement}}, func(row database.Row) error {
		var what, verifier string
		var value int64
		if err := row.Scan(&what, &verifier, &value); err != nil {
			return err
		}
		switch what {
		case "age":
			found = revision.Standing{Age: time.Duration(value) * time.Microsecond, Acknowledged: map[string]int64{}}
		case "longest":
			found.Longest = time.Duration(value) * time.Microsecond
		case "lapsed":
			found.Lapsed = append(found.Lapsed, value)
		default:
			found.Acknowledged[verifier] = value
		}
		return nil
	})
	if err != nil {
		return revision.Standing{}, public(fmt.Errorf("reading leases: %w", err))
	}
	return found, nil
}

// lockChain skips rather than waits: who seals next finds what this one would have. A replica that stands still loses the lock.
func (postgres) lockChain(tx *gorm.DB) (chainRow, bool, error) {
	var rows []chainRow
	err := tx.Exec("SELECT set_config('idle_in_transaction_session_timeout', ?, true)", idleUnderLock).Error
	if err == nil {
		err = tx.Raw("SELECT * FROM audit_chain WHERE id = ? FOR UPDATE SKIP LOCKED", theChain).Scan(&rows).Error
	}
	if err != nil || len(rows) == 0 {
		return chainRow{}, false, err
	}
	return rows[0], true, nil
}

func (postgres) holdChain(tx *gorm.DB) error {
	if err := tx.Exec("SET LOCAL statement_timeout = 0").Error; err != nil {
		return err
	}
	return tx.Exec("SELECT 1 FROM audit_chain WHERE id = ? FOR UPDATE", theChain).Error
}

func (postgres) announce(tx *gorm.DB) error {
	return tx.Exec("SELECT pg_notify(?, (SELECT max(id) FROM revisions)::text)", revisionChannel).Error
}

func (postgres) findKeys(seals [][]byte) (string, []any) {
	// One array rather than a list of parameters: one statement to prepare, whatever the number of seals. Unnested, because
	// "= ANY" of an array that is not known when the statement is planned compares every row of a small table with each element.
	const statement = `
		SELECT r.as_of, r.at, ` + foundColumns + `
		FROM (
			SELECT coalesce((SELECT id FROM revisions ORDER BY id DESC LIMIT 1), 0) AS as_of,
				(extract(epoch FROM now()) * 1000000)::bigint AS at
		) AS r
		LEFT JOIN (
			unnest($1::bytea[]) AS asked (seal) JOIN keys k ON k.digest_hmac = asked.seal
			` + foundJoins + `
		) ON true`
	return statement, []any{seals}
}

func (postgres) query(ctx context.Context, s *Store, statement string, args []any, read func(database.Row) error) error {
	return s.db.Pipeline(ctx, []database.Statement{{SQL: statement, Args: args}}, read)
}

func (postgres) findTargets(seals [][]byte, ids []string) (string, []any) {
	const statement = `
		SELECT ` + targetColumns + `
		FROM unnest($1::bytea[], $2::text[]) AS asked (seal, principal)
		JOIN keys k ON k.digest_hmac = asked.seal
		JOIN principals p ON p.context_id = k.context_id AND p.id = asked.principal`
	return statement, []any{seals, ids}
}
