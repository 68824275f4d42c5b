package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// MaxMessages is the most messages of one batch.
const MaxMessages = 1000

// Batch is a conversation to remember, all of it or nothing.
type Batch struct {
	Messages []Message
	Infer    Infer
	// SessionID, Sets, SetsField, Labels and Once are those of a Fact, for all messages alike.
	SessionID string
	Sets      scope.Sets
	SetsField string
	Labels    []string
	Once      *idempotency.Key
}

// Message is one thing said in a conversation.
type Message struct {
	Role    session.Role
	Content string
	// At is when it was said; zero when nobody knows.
	At time.Time
}

// BatchWrite is what the store is to keep of a batch. The chunk at each place is of the turn at the same place.
type BatchWrite struct {
	Incarnation string
	Session     session.Session
	// NewSession says that the session does not exist yet.
	NewSession bool
	Turns      []session.Turn
	Chunks     []Chunk
	// Once is nil when the caller did not name the write.
	Once *idempotency.Key
}

// BatchReceipt says where a batch was stored.
type BatchReceipt struct {
	SessionID string   `json:"session_id"`
	TurnIDs   []string `json:"turn_ids"`
}

// RememberAll stores the messages of batch in their order, as Remember stores a text each. The receipt of a preview names
// nothing but the session, if the caller did.
func (s *Service) RememberAll(ctx context.Context, who *caller.Caller, batch Batch) (BatchReceipt, error) {
	if err := batch.check(); err != nil {
		return BatchReceipt{}, err
	}
	if err := checkBlocked(who, batch.Infer); err != nil {
		return BatchReceipt{}, err
	}
	sets, home, at, err := s.settle(ctx, who, batch.SetsField, batch.Sets, batch.SessionID)
	if err != nil {
		return BatchReceipt{}, err
	}
	if batch.Infer == Preview {
		return BatchReceipt{SessionID: batch.SessionID}, nil
	}
	write := BatchWrite{
		Incarnation: who.Incarnation, Session: home, NewSession: batch.SessionID == "", Once: batch.Once,
	}
	for i, message := range batch.Messages {
		// One microsecond apart, so that what sorts by time keeps the order in which it was said.
		said := at.Add(time.Duration(i) * time.Microsecond)
		write.Turns = append(write.Turns, session.Turn{
			ID: session.NewID(), Role: message.Role, Content: message.Content, Principal: who.Principal.ID, CreatedAt: said,
		})
		write.Chunks = append(write.Chunks, Chunk{
			ID: session.NewID(), Sets: sets, Text: message.Content, Labels: batch.Labels, ObservedAt: message.At.UTC(), CreatedAt: said,
		})
	}
	receipt, err := s.store.RememberAll(ctx, write)
	if errors.Is(err, session.ErrAbsent) {
		return BatchReceipt{}, session.Refused()
	}
	return receipt, err
}

// check refuses what nobody may store and fills in what was left out.
func (batch *Batch) check() error {
	batch.Infer = cmp.Or(batch.Infer, Full)
	switch {
	case batch.Infer == Triples:
		return fault.InvalidField("infer", "messages hold no triples; send those to POST …/facts, and messages with infer none or full")
	case batch.Infer != Full && batch.Infer != None && batch.Infer != Preview:
		return fault.InvalidField("infer", "want full, none or preview")
	case len(batch.Messages) == 0:
		return fault.InvalidField("messages", "must have at least 1 item")
	case len(batch.Messages) > MaxMessages:
		return fault.InvalidField("messages", "must have at most %d items", MaxMessages)
	}
	for i, message := range batch.Messages {
		if err := checkText(fmt.Sprintf("messages.%d.content", i), message.Content); err != nil {
			return err
		}
	}
	if err := checkSessionID(batch.SessionID); err != nil {
		return err
	}
	labels, err := parseLabels("labels", batch.Labels)
	batch.Labels = labels
	return err
}
