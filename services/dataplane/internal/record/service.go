package record

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// MaxPage is the most records that one answer has.
	MaxPage = 10000
	// MaxImport is the most records that are imported at once.
	MaxImport = 1000
)

// Addition is a record that is about to be stored.
type Addition struct {
	// Record lacks its Seq, and its Clock and ID where NextClock is set.
	Record
	NextClock bool
	// Want, if not empty, is the id that it must get.
	Want string
}

// Settle returns the record of a, given the last clock of its actor on its thread, or nil if there is none, or what keeps it
// from being stored.
func (a Addition) Settle(last *int64) (Record, error) {
	switch {
	case a.NextClock && last == nil:
		a.Clock = 1
	case a.NextClock && *last >= MaxClock:
		return Record{}, coded(fault.Conflict, CodeClock, "clock: the actor's clock on this thread has come to its end")
	case a.NextClock:
		a.Clock = *last + 1
	case last != nil && a.Clock < *last:
		return Record{}, clockFell(*last)
	}
	return a.named()
}

// named returns the record of a with its id.
func (a Addition) named() (Record, error) {
	id, err := a.id()
	if err != nil {
		return Record{}, err
	}
	if a.Want != "" && a.Want != id {
		return Record{}, invalid("id", "is not that of this record, which is %s", id)
	}
	a.ID = id
	return a.Record, nil
}

// State says what became of a record that was imported.
type State int

// What becomes of them.
const (
	// Refused: it is not as a record must be, or may not come from elsewhere.
	Refused State = iota
	// Stored: it is new.
	Stored
	// Known: it was here before.
	Known
	// Deleted: its thread was deleted here.
	Deleted
)

// Outcome is what became of one record that was imported. Err says why it was not stored; nil for what is here now.
type Outcome struct {
	ID    string
	State State
	Err   error
}

// Selection narrows the records of a space to those that meet all its conditions; empty ones let everything through.
type Selection struct {
	Thread, Actor string
	Act           Act
	// From and To bound the clock, both included.
	From, To *int64
	// Public leaves the records of reserved threads out.
	Public bool
}

// Page is a part of the records of a space, in the order of their arrival.
type Page struct {
	Records []Record
	// Next is the cursor to go on behind: that of the last record, or the one asked with where there was none.
	Next string
	// More reports whether there are more records now.
	More bool
}

// Order is one that the records of a thread are read in.
type Order int

// The orders.
const (
	// ByArrival is the order in which they became visible here.
	ByArrival Order = iota
	// ByClock is the order of (clock, id), which is the same on every daemon that has the same records.
	ByClock
)

// Store keeps records. Every space has a lock, which a change of its records or threads holds until it is visible; what is
// read by any method leaves out the records of deleted threads.
type Store interface {
	// AppendRecord stores what a settles on, and its thread if there is none, unless a record of the same id is there, which
	// it returns with created false. It returns ThreadDeleted, or what Settle returned.
	AppendRecord(ctx context.Context, space string, a Addition) (stored Record, created bool, err error)
	// ImportRecords stores those of records that are not there, in this order, and returns for each what became of it.
	ImportRecords(ctx context.Context, space string, records []Record) ([]State, error)
	// RecordsSince returns the records behind the one with number seq that selection lets through, in the order of Seq: limit
	// at most, fewer where they are large, but one at least if there is any, and whether there are more.
	RecordsSince(ctx context.Context, space string, selection Selection, seq int64, limit int) (found []Record, more bool, err error)
	// QueryRecords does the same with the records that q asks for, in its order.
	QueryRecords(ctx context.Context, space string, q Query) (found []Record, more bool, err error)
	// FindRecords returns those of the records with the given ids that are there, in the order of Seq.
	FindRecords(ctx context.Context, space string, ids []string) ([]Record, error)
	// EachRecord calls each with every record of a thread, in the given order, until it returns an error.
	EachRecord(ctx context.Context, space, thread string, order Order, each func(Record) error) error
	// LastSeq returns the number of the last record of a space; 0 when there is none.
	LastSeq(ctx context.Context, space string) (int64, error)
}

// Guard decides on a record that a caller wants to add to a reserved thread; errors are faults. ctx is that of the request.
type Guard func(ctx context.Context, space string, draft Content) error

// Service keeps records.
type Service struct {
	store     Store
	now       func() time.Time
	namespace string
	guards    map[string]Guard
	followers map[string]func(space string)
	waiting   *waiting
}

// DefaultNamespace is what every server calls its own namespace, whatever else it is called.
const DefaultNamespace = "default"

// New returns a Service of records whose namespace, if they name one, is the given one or [DefaultNamespace].
func New(store Store, now func() time.Time, namespace string) *Service {
	return &Service{store, now, namespace, map[string]Guard{}, map[string]func(string){}, newWaiting()}
}

// Protect makes guard decide on what callers add to a reserved thread; without one, they add nothing. It is called before the
// service is used.
func (s *Service) Protect(thread string, guard Guard) { s.guards[thread] = guard }

// Follow makes the service call added, with the space, after it has added a record to a thread and before it answers for it. It is
// called before the service is used.
func (s *Service) Follow(thread string, added func(space string)) { s.followers[thread] = added }

// Append stores a caller's record. One that is there already is returned with created false, and nothing is changed.
func (s *Service) Append(ctx context.Context, space string, draft Draft) (stored Record, created bool, err error) {
	if draft.Content, err = draft.normal(); err != nil {
		return Record{}, false, err
	}
	if draft.Actor == System {
		return Record{}, false, actorReserved()
	}
	if err := s.checkNamespace(draft); err != nil {
		return Record{}, false, err
	}
	if Reserved(draft.Thread) {
		guard := s.guards[draft.Thread]
		if guard == nil {
			return Record{}, false, ThreadReserved(draft.Thread)
		}
		if err := guard(ctx, space, draft.Content); err != nil {
			return Record{}, false, err
		}
	}
	return s.add(ctx, space, draft)
}

// AppendSystem stores a record of the engine itself. body is what encoding/json makes an object of.
func (s *Service) AppendSystem(ctx context.Context, space, thread string, act Act, body any) (Record, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Record{}, fmt.Errorf("writing a record of the engine: %w", err)
	}
	draft := Draft{Content: Content{Thread: thread, Actor: System, Act: act, Body: text}, NextClock: true}
	if draft.Content, err = draft.normal(); err != nil {
		return Record{}, fmt.Errorf("writing a record of the engine: %w", err)
	}
	stored, _, err := s.add(ctx, space, draft)
	return stored, err
}

// add stores a draft that is normal and allowed.
func (s *Service) add(ctx context.Context, space string, draft Draft) (stored Record, created bool, err error) {
	if err := checkJudge(draft.JudgedBy); err != nil {
		return Record{}, false, err
	}
	a := Addition{Record: s.received(draft.Content, draft.JudgedBy), NextClock: draft.NextClock, Want: draft.ID}
	if !a.NextClock {
		if a.Record, err = a.named(); err != nil {
			return Record{}, false, err
		}
	}
	if stored, created, err = s.store.AppendRecord(ctx, space, a); err != nil {
		return Record{}, false, err
	}
	if created {
		s.waiting.wake(space, stored.Seq)
		if added := s.followers[stored.Thread]; added != nil {
			added(space)
		}
	}
	return stored, created, nil
}

func (s *Service) received(content Content, judgedBy string) Record {
	return Record{Content: content, JudgedBy: judgedBy, ReceivedAt: s.now().UTC().Truncate(time.Microsecond)}
}

func checkJudge(judge string) error {
	if judge == "" {
		return nil
	}
	return checkActor("judged_by", judge)
}

// checkNamespace refuses a record of another namespace.
func (s *Service) checkNamespace(draft Draft) error {
	var body struct {
		Namespace any `json:"namespace"`
	}
	if err := json.Unmarshal(draft.Body, &body); err != nil {
		return fmt.Errorf("looking for the namespace of a record: %w", err)
	}
	var named []any
	if draft.Namespace != "" {
		named = append(named, draft.Namespace)
	}
	if body.Namespace != nil {
		named = append(named, body.Namespace)
	}
	for _, each := range named {
		if each != s.namespace && each != DefaultNamespace {
			return namespaceRejected(s.namespace)
		}
	}
	return nil
}

// Import stores records of another daemon as they are: no rule of clocks is asked of them. Each has its own outcome, in the
// order of records, of which there are [MaxImport] at most.
func (s *Service) Import(ctx context.Context, space string, records []Foreign) ([]Outcome, error) {
	if len(records) > MaxImport {
		return nil, invalid("records", "must have at most %d items", MaxImport)
	}
	out := make([]Outcome, len(records))
	var good []Record
	var places []int
	for i, foreign := range records {
		checked, err := s.foreign(foreign)
		out[i] = Outcome{ID: checked.ID, Err: err}
		if err == nil {
			good, places = append(good, checked), append(places, i)
		}
	}
	if len(good) == 0 {
		return out, nil
	}
	states, err := s.store.ImportRecords(ctx, space, good)
	if err != nil {
		return nil, err
	}
	for i, state := range states {
		out[places[i]].State = state
		if state == Deleted {
			out[places[i]].Err = ThreadDeleted()
		}
	}
	if slices.Contains(states, Stored) {
		s.waiting.wake(space, 0)
	}
	return out, nil
}

// Check says what keeps a record of another daemon from being imported, as far as it can be told from the record alone. It
// returns the record as it would be stored.
func (s *Service) Check(foreign Foreign) (Record, error) { return s.foreign(foreign) }

func (s *Service) foreign(foreign Foreign) (Record, error) {
	content, err := foreign.normal()
	if err != nil {
		return Record{ID: foreign.ID}, err
	}
	if Reserved(content.Thread) {
		return Record{ID: foreign.ID}, ThreadReserved(content.Thread)
	}
	if content.Actor == System {
		return Record{ID: foreign.ID}, actorReserved()
	}
	if err := checkJudge(foreign.JudgedBy); err != nil {
		return Record{ID: foreign.ID}, err
	}
	checked, err := Addition{Record: s.received(content, foreign.JudgedBy), Want: foreign.ID}.named()
	if err != nil {
		return Record{ID: foreign.ID}, err
	}
	return checked, nil
}

// Since returns the records behind a cursor, in the order of their arrival: limit at most, or [MaxPage], fewer where they are
// large. The empty cursor is the beginning.
func (s *Service) Since(ctx context.Context, space string, selection Selection, cursor string, limit int) (Page, error) {
	seq, err := parseCursor(space, cursor)
	if err != nil {
		return Page{}, err
	}
	found, more, err := s.store.RecordsSince(ctx, space, selection, seq, min(max(limit, 1), MaxPage))
	if err != nil {
		return Page{}, err
	}
	if len(found) > 0 {
		return Page{found, Cursor(space, found[len(found)-1].Seq), more}, nil
	}
	last, err := s.store.LastSeq(ctx, space)
	if err != nil {
		return Page{}, err
	}
	if last < seq {
		// A store that was set back, to a copy, has fewer records than the cursor has seen: they are not those that were.
		return Page{}, strayed()
	}
	return Page{Next: Cursor(space, seq)}, nil
}

// Query returns the records that q asks for.
func (s *Service) Query(ctx context.Context, space string, q Query) (Page, error) {
	found, more, err := s.store.QueryRecords(ctx, space, q)
	return Page{Records: found, More: more}, err
}

// Get returns one record.
func (s *Service) Get(ctx context.Context, space, id string) (Record, error) {
	found, err := s.store.FindRecords(ctx, space, []string{id})
	if err != nil {
		return Record{}, err
	}
	if len(found) == 0 {
		return Record{}, Absent()
	}
	return found[0], nil
}

// Find returns those of the records with the given ids that are here, in the order of their arrival.
func (s *Service) Find(ctx context.Context, space string, ids []string) ([]Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.store.FindRecords(ctx, space, ids)
}

// Fold calls each with every record of a thread, until it returns an error. A thread that is not there has none. each must not
// use the service.
func (s *Service) Fold(ctx context.Context, space, thread string, order Order, each func(Record) error) error {
	return s.store.EachRecord(ctx, space, thread, order, each)
}
