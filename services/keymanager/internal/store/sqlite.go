package store

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"
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

// lockRevisions has nothing to do: a write transaction is alone from its first statement.
func (sqlite) lockRevisions(*gorm.DB) error { return nil }

// life is another one after each start: while nobody has it open, anything may be done to a file.
func (e sqlite) life() (expression string, args []any) { return "CAST(? AS text)", []any{e.opened} }

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
