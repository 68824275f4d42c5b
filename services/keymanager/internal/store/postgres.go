package store

import (
	"time"

	"gorm.io/gorm"
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
