package memory

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// MaxText is the most bytes of one text.
const MaxText = 64 << 10

// Infer says what is to be made of a text. The zero value means Full.
type Infer string

// What can be made of a text.
const (
	// Full stores it and extracts what a language model finds in it: nothing, where there is none.
	Full Infer = "full"
	// None stores it as it is.
	None Infer = "none"
	// Preview extracts and stores nothing.
	Preview Infer = "preview"
	// Triples stores facts that the caller has extracted; see package entity.
	Triples Infer = "triples"
)

// Category says what a memory is about; empty when the writer did not say.
type Category string

// The categories.
const (
	Identity  Category = "identity"
	Knowledge Category = "knowledge"
	Context   Category = "context"
)

// Fact is a text to remember.
type Fact struct {
	// Text may be empty for Triples only.
	Text  string
	Infer Infer
	// SessionID names the session to append to; empty makes a new one.
	SessionID string
	// Sets says where the text is to live; empty means wherever the caller may write.
	Sets scope.Sets
	// SetsField is what the caller calls Sets, for messages.
	SetsField string
	// Role is who said it; the zero value means session.User.
	Role       session.Role
	Category   Category
	Labels     []string
	ObservedAt time.Time
	// Once is nil when the caller did not name the write.
	Once *idempotency.Key
}

// Remember stores fact on behalf of who, who needs memory:write over all of its nodes. The receipt of a preview names
// nothing but the session, if the caller did.
func (s *Service) Remember(ctx context.Context, who *caller.Caller, fact Fact) (Receipt, error) {
	if fact.Infer == Triples {
		return Receipt{}, fault.InvalidField("infer", "want full, none or preview")
	}
	write, err := s.Prepare(ctx, who, fact)
	if err != nil {
		return Receipt{}, err
	}
	if fact.Infer == Preview {
		return Receipt{SessionID: fact.SessionID}, nil
	}
	receipt, err := s.store.Remember(ctx, write)
	if errors.Is(err, session.ErrAbsent) {
		return Receipt{}, session.Refused()
	}
	return receipt, err
}

// Prepare returns what the store is to keep when who remembers fact, or says why who may not.
func (s *Service) Prepare(ctx context.Context, who *caller.Caller, fact Fact) (Write, error) {
	if err := fact.check(); err != nil {
		return Write{}, err
	}
	if err := checkBlocked(who, fact.Infer); err != nil {
		return Write{}, err
	}
	sets, home, at, err := s.settle(ctx, who, fact.SetsField, fact.Sets, fact.SessionID)
	if err != nil {
		return Write{}, err
	}
	return Write{
		Incarnation: who.Incarnation,
		Session:     home,
		NewSession:  fact.SessionID == "",
		Turn: session.Turn{
			ID: session.NewID(), Role: fact.Role, Content: fact.Text, Principal: who.Principal.ID, CreatedAt: at,
		},
		Chunk: Chunk{
			ID: session.NewID(), Sets: sets, Text: fact.Text, Category: fact.Category, Labels: fact.Labels,
			ObservedAt: fact.ObservedAt.UTC(), CreatedAt: at,
		},
		Once: fact.Once,
	}, nil
}

// settle returns where something that is written now goes: what it is tagged with, and the session of that id, or a new one where
// there is none. Errors are those of the registry and of session.Pinned.
func (s *Service) settle(
	ctx context.Context, who *caller.Caller, field string, asked scope.Sets, sessionID string,
) (sets scope.Sets, home session.Session, at time.Time, err error) {
	if sets, err = s.registry.Destination(ctx, who, field, asked); err != nil {
		return nil, session.Session{}, time.Time{}, err
	}
	at = s.now().UTC().Truncate(time.Microsecond) // as fine as Postgres keeps it
	home = session.New(who, sets, at)
	if sessionID != "" {
		home, err = session.Pinned(ctx, s.store, who, sessionID)
	}
	return sets, home, at, err
}

// check refuses what nobody may store and fills in what was left out.
func (fact *Fact) check() error {
	fact.Infer, fact.Role = cmp.Or(fact.Infer, Full), cmp.Or(fact.Role, session.User)
	switch {
	case fact.Infer != Full && fact.Infer != None && fact.Infer != Preview && fact.Infer != Triples:
		return fault.InvalidField("infer", "want full, triples, none or preview")
	case fact.Infer == Triples && fact.Text == "": // the facts may have been said in no words
	default:
		if err := checkText("text", fact.Text); err != nil {
			return err
		}
	}
	if err := checkSessionID(fact.SessionID); err != nil {
		return err
	}
	labels, err := parseLabels("labels", fact.Labels)
	fact.Labels = labels
	return err
}

// checkText refuses what cannot be kept as a text.
func checkText(field, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fault.InvalidField(field, "must not be empty")
	case len(text) > MaxText:
		return fault.InvalidField(field, "at most %d bytes; send a longer text in parts", MaxText)
	case strings.ContainsRune(text, 0):
		return fault.InvalidField(field, "must not hold the character U+0000")
	}
	return nil
}

func checkSessionID(id string) error {
	if strings.ContainsRune(id, 0) {
		return fault.InvalidField("session_id", "must not hold the character U+0000")
	}
	return nil
}

// checkBlocked refuses what a language model would be asked for where the context's operator has stopped that.
func checkBlocked(who *caller.Caller, infer Infer) error {
	if who.Blocked() && (infer == Full || infer == Preview) {
		return fault.New(fault.RateLimited, "this context's calls that need a language model are stopped; infer none stores the text as it is")
	}
	return nil
}
