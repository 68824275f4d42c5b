package engineconfig

import (
	"context"
	"encoding/json"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Entry is a record on the thread.
type Entry struct {
	ID, Actor, Act string
	Body           json.RawMessage
}

// learn is the act of the records that say something.
const learn = "LEARN"

// Log is the records of the thread th_engine_config of a space, which is an incarnation of a context.
type Log interface {
	// Learn appends a LEARN record of actor with this body, and returns it. It must be new, even if the same was said before.
	Learn(ctx context.Context, space, actor string, body json.RawMessage) (Entry, error)
	// After returns what came to the thread behind a cursor, in the order in which it came, and the cursor behind the last of it. The
	// empty cursor is before all. It may return less than there is, and returns nothing only when there is nothing more.
	After(ctx context.Context, space, cursor string) (entries []Entry, next string, err error)
}

// understand reads what an entry says, without compiling what it says to evaluate: that was done when it was written, and is done
// once more for what still holds.
func understand(entry Entry) (change, error) {
	if entry.Act != learn {
		return change{}, fault.InvalidField("act", "must be %s on %s", learn, Thread)
	}
	var said change
	if err := decode(entry.Body, &said, (*json.Decoder).DisallowUnknownFields); err != nil {
		return change{}, fault.InvalidField("body", "%s", decodeReason(err)).Because(err)
	}
	return said, said.check()
}
