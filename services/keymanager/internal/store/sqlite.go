package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// sqlite is the engine of a single process.
type sqlite struct {
	now    func() time.Time
	opened string // a random name of when the file was opened
}

// openedLen is the length of that name: 60 bits.
const openedLen = 12

func (e sqlite) clock(*gorm.DB) (time.Time, error) {
	return e.now().UTC().Truncate(time.Microsecond), nil
}

// lockRevisions has nothing to lock: a write transaction is alone from its first statement.
func (e sqlite) lockRevisions(tx *gorm.DB) (time.Time, error) { return e.clock(tx) }

// life is another one after each start: while nobody has it open, anything may be done to a file.
func (e sqlite) life() (expression string, args []any) { return "CAST(? AS text)", []any{e.opened} }

// extend leaves it to RenewLease, whose statements cost little where there is no network between them.
func (sqlite) extend(context.Context, *Store, renewal) (revision.Grant, bool, error) {
	return revision.Grant{}, false, nil
}

func (sqlite) standing(ctx context.Context, s *Store) (revision.Standing, error) {
	var standing revision.Standing
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		standing = revision.Standing{}
		var ended []leaseRow
		if err := tx.Clauses(clause.Returning{}).Where("expires_at <= ?", at).Delete(&ended).Error; err != nil {
			return fmt.Errorf("removing lapsed leases: %w", err)
		}
		for _, row := range ended {
			standing.Lapsed = append(standing.Lapsed, row.Acknowledged)
		}
		var live []leaseRow
		if err := tx.Find(&live).Error; err != nil {
			return fmt.Errorf("reading leases: %w", err)
		}
		standing.Acknowledged = make(map[string]int64, len(live))
		for _, row := range live {
			standing.Acknowledged[row.Verifier] = row.Acknowledged
		}
		var table leaseTableRow
		if err := errors.Join(complete(tx, at), tx.Take(&table, 1).Error); err != nil {
			return fmt.Errorf("reading the age of the leases: %w", err)
		}
		standing.Age = at.Sub(table.Since)
		var length []leaseLengthRow
		if err := tx.Find(&length).Error; err != nil {
			return fmt.Errorf("reading the length of leases: %w", err)
		}
		for _, row := range length {
			standing.Longest = time.Duration(row.Micros) * time.Microsecond
		}
		return nil
	})
	return standing, err
}

func (sqlite) rotate(ctx context.Context, s *Store, contextID, name string, rotate key.Rotation) (rotated key.Key, revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		policy, err := findPolicy(tx, contextID)
		if err != nil {
			return err
		}
		current, err := findKey(tx, contextID, name)
		if err != nil {
			return err
		}
		if rotated, err = rotate(at, policy, current); err != nil {
			return err
		}
		revised, err = replaceSecret(tx, at, rotated)
		return err
	})
	return rotated, revised, err
}

// lockChain has nothing to lock: see lockRevisions.
func (sqlite) lockChain(tx *gorm.DB) (chainRow, bool, error) {
	var row chainRow
	err := tx.Take(&row, theChain).Error
	return row, err == nil, err
}

// holdChain has nothing to lock, and no limit to lift.
func (sqlite) holdChain(*gorm.DB) error { return nil }

// announce has nobody to tell: there is one process.
func (sqlite) announce(*gorm.DB) error { return nil }

func (e sqlite) findKeys(seals [][]byte) (string, []any) {
	// One JSON array rather than a list of parameters: one statement to prepare, whatever the number of seals.
	const statement = `
		SELECT r.as_of, r.at, ` + foundColumns + `
		FROM (SELECT coalesce(max(id), 0) AS as_of, CAST(? AS integer) AS at FROM revisions) r
		LEFT JOIN keys k ON k.digest_hmac IN (SELECT unhex(value) FROM json_each(?))
		` + foundJoins
	var list strings.Builder
	list.WriteByte('[')
	for i, seal := range seals {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(`"` + hex.EncodeToString(seal) + `"`)
	}
	list.WriteByte(']')
	return statement, []any{e.now().UnixMicro(), list.String()}
}

func (sqlite) query(ctx context.Context, s *Store, statement string, args []any, read func(database.Row) error) error {
	return query(ctx, s.db.Reader(ctx), statement, args, read)
}

func (sqlite) findTargets(seals [][]byte, ids []string) (string, []any) {
	const statement = `
		SELECT ` + targetColumns + `
		FROM json_each(?) AS asked
		JOIN keys k ON k.digest_hmac = unhex(asked.value ->> 0)
		JOIN principals p ON p.context_id = k.context_id AND p.id = asked.value ->> 1`
	pairs := make([][2]string, len(seals))
	for i, seal := range seals {
		pairs[i] = [2]string{hex.EncodeToString(seal), ids[i]}
	}
	list, _ := json.Marshal(pairs) // texts always can be encoded
	return statement, []any{string(list)}
}
