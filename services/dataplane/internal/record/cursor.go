package record

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

// A cursor is a place in the order of one space. It names the space, in a few bytes of a hash, because the places of another
// one, such as a daemon's that was set up anew, mean something else: whoever reads on from there would miss records.

const cursorTag = 6

// beginning is what readers of other feeds say for the place before all.
const beginning = "0"

// Cursor returns the place behind the record with number seq of a space.
func Cursor(space string, seq int64) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendVarint(tagOf(space), seq))
}

// parseCursor is the inverse of Cursor. The empty cursor is the beginning, and so is "0".
func parseCursor(space, cursor string) (seq int64, err error) {
	if cursor == "" || cursor == beginning {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(text) <= cursorTag {
		return 0, unreadable("since", "must be the next_cursor of an answer")
	}
	if !bytes.Equal(text[:cursorTag], tagOf(space)) {
		return 0, strayed()
	}
	seq, n := binary.Varint(text[cursorTag:])
	if n != len(text)-cursorTag || seq < 0 {
		return 0, unreadable("since", "must be the next_cursor of an answer")
	}
	return seq, nil
}

// strayed is the answer to a cursor that leads past all records. Its code lets a reader tell it from one that is malformed, and
// begin again by itself.
func strayed() error {
	e := unreadable("since", "this cursor is not of the records that are here now; begin again without it")
	e.Code = CodeCursor
	return e
}

func tagOf(space string) []byte {
	sum := fingerprint.Of("cursor", space)
	return sum[:cursorTag]
}
