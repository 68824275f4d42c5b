package engineconfig

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// Thread is the thread whose records are the configuration.
const Thread = record.EngineConfig

// learn is the act of the records that say something.
const learn = string(record.Learn)

// Entry is a record on the thread.
type Entry struct {
	ID, Actor, Act string
	Body           json.RawMessage
}

// Log is the records on the thread, of a space, which is an incarnation of a context.
type Log interface {
	// Learn appends a LEARN record of actor with this body, and returns it. It is new, even if the same was said before.
	Learn(ctx context.Context, space, actor string, body json.RawMessage) (Entry, error)
	// After returns what came to the thread behind a cursor, in the order in which it came, and the cursor behind the last of it. The
	// empty cursor is before all. It may return less than there is, but something unless there is nothing more. A cursor that
	// means nothing is fault.Invalid.
	After(ctx context.Context, space, cursor string) (entries []Entry, next string, err error)
}

// read reads what an entry says, without compiling an expression: that was done when it was written, and is done once more if it
// still holds.
func (e Entry) read() (change, error) {
	if e.Act != learn {
		return change{}, fault.InvalidField("act", "must be %s on %s", learn, Thread)
	}
	return parse(e.Body)
}

// Admit decides on a record that who wants to add to the thread as actor by itself, as any other record. Errors are faults.
func (s *Service) Admit(ctx context.Context, who grant.Holder, space string, entry Entry) error {
	if grant.Authorize(who, grant.ConfigWrite, scope.Root) != nil {
		return &fault.Error{
			Kind: fault.Forbidden, Code: introspection.CodeScopeForbidden, RequiredScope: string(grant.ConfigWrite),
			Message: "records on " + Thread + " are the configuration: writing them needs the scope " + string(grant.ConfigWrite),
		}
	}
	if err := s.Allow(ctx, Ask{Space: space, Actor: entry.Actor, Resource: ConfigWrite}); err != nil {
		return err
	}
	said, err := entry.read()
	if err == nil && said.Topic == aboutRule {
		err = inBody(said.rule().validate())
	}
	if err != nil {
		return err
	}
	current, err := s.Current(ctx, space)
	switch {
	case err != nil:
		return err
	case said.Topic == aboutRule:
		return current.room(said.rule())
	case said.Topic == aboutPermissions && *said.Enabled && !current.PermissionsEnabled:
		return s.preflight(ctx, current, entry.Actor)
	default:
		return nil
	}
}

// inBody names the field that err is about as it is named in a record, where a rule is the body.
func inBody(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Field == "" {
		return err
	}
	named := *e
	named.Field, named.Message = "body."+e.Field, "body."+e.Message
	return &named
}
