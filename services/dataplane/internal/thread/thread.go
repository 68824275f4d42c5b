// Package thread keeps threads, what records belong to, and tells what the records of one come to. A thread begins with its
// first record, or is created without any. Deleting it hides it and its records from every reader, and it takes nothing more;
// other daemons keep what they have read of it before. What is told of a thread depends on which records it has, not on the
// order in which they came.
package thread

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const (
	// MaxPage is the most threads that one answer lists.
	MaxPage = 1000

	maxTitle = 256
)

// Thread is one thread.
type Thread struct {
	ID, Title string
	// Records is how many it has.
	Records   int64
	CreatedAt time.Time
	// LastRecordAt is zero while there is none.
	LastRecordAt time.Time
}

// Participant is an actor that has written in a thread.
type Participant struct {
	Actor   string
	Records int64
	// First and Last are the lowest and the highest of its clocks.
	First, Last int64
}

// Counts is how much a space has, deleted threads and their records left out.
type Counts struct{ Threads, Records int64 }

// ErrAbsent says that there is no such thread in the space, or none any more.
var ErrAbsent = errors.New("no such thread")

// Store keeps threads.
type Store interface {
	// CreateThread stores a thread unless there is one of the same id, and returns the one that is there then, or
	// record.ThreadDeleted.
	CreateThread(ctx context.Context, space string, made Thread) (Thread, error)
	// Thread returns one thread, or ErrAbsent.
	Thread(ctx context.Context, space, id string) (Thread, error)
	// Threads returns the threads whose id is behind after, by id, limit at most, and whether there are more.
	Threads(ctx context.Context, space, after string, limit int) (found []Thread, more bool, err error)
	// DeleteThread hides a thread from the given time on, unless it is hidden already, or returns ErrAbsent where there never
	// was one.
	DeleteThread(ctx context.Context, space, id string, at time.Time) error
	// Participants returns the actors of a thread, by name.
	Participants(ctx context.Context, space, id string) ([]Participant, error)
	// CountThreads counts what a space has.
	CountThreads(ctx context.Context, space string) (Counts, error)
}

// Records reads the records of a thread.
type Records interface {
	// Fold calls each with every record of a thread, in the given order, until it returns an error.
	Fold(ctx context.Context, space, thread string, order record.Order, each func(record.Record) error) error
}

// Service keeps threads.
type Service struct {
	store   Store
	records Records
	now     func() time.Time
}

// New returns a Service.
func New(store Store, records Records, now func() time.Time) *Service {
	return &Service{store, records, now}
}

// Create makes a thread without records; one of that id that exists is returned as it is. Without an id it gets one that
// nobody guesses.
func (s *Service) Create(ctx context.Context, space, id, title string) (Thread, error) {
	if id == "" {
		id = "th_" + fingerprint.Address([]byte(uuid.NewString()+uuid.NewString()))
	}
	if err := record.CheckThread("id", id); err != nil {
		return Thread{}, uncoded(err)
	}
	if record.Reserved(id) {
		return Thread{}, record.ThreadReserved(id)
	}
	if utf8.RuneCountInString(title) > maxTitle {
		return Thread{}, fault.InvalidField("title", "must have at most %d characters", maxTitle)
	}
	return s.store.CreateThread(ctx, space, Thread{ID: id, Title: title, CreatedAt: s.now().UTC().Truncate(time.Microsecond)})
}

// uncoded returns the fault err without a code: it is not about a record.
func uncoded(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	plain := *e
	plain.Code = ""
	return &plain
}

// List returns the threads behind the one with id after, by id, and whether there are more.
func (s *Service) List(ctx context.Context, space, after string, limit int) (found []Thread, more bool, err error) {
	return s.store.Threads(ctx, space, after, min(max(limit, 1), MaxPage))
}

// Get returns one thread.
func (s *Service) Get(ctx context.Context, space, id string) (Thread, error) {
	found, err := s.store.Thread(ctx, space, id)
	return found, public(err)
}

// Delete hides a thread and its records, for good. Again is done already.
func (s *Service) Delete(ctx context.Context, space, id string) error {
	if record.Reserved(id) {
		return record.ThreadReserved(id)
	}
	return public(s.store.DeleteThread(ctx, space, id, s.now().UTC().Truncate(time.Microsecond)))
}

// Participants returns the actors of a thread, by name.
func (s *Service) Participants(ctx context.Context, space, id string) ([]Participant, error) {
	if _, err := s.Get(ctx, space, id); err != nil {
		return nil, err
	}
	return s.store.Participants(ctx, space, id)
}

// Count counts what a space has.
func (s *Service) Count(ctx context.Context, space string) (Counts, error) {
	return s.store.CountThreads(ctx, space)
}

// public gives an absent thread its public face.
func public(err error) error {
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.NotFound, "there is no such thread")
	}
	return err
}
