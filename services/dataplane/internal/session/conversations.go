package session

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// maxMetadata is the most bytes of metadata that a session carries along.
const maxMetadata = 64 << 10

// Overview is a session as its readers see it.
type Overview struct {
	Session
	// Metadata is the JSON that was given; nil when none was.
	Metadata json.RawMessage
	// Turns is how many there are.
	Turns int64
}

// Said is a turn in its place.
type Said struct {
	Turn
	// Seq counts from 1.
	Seq int64
}

// Page is a part of a list: Limit rows at most, behind the first Offset; counted from the end of the list if FromEnd.
type Page struct {
	Limit, Offset int
	FromEnd       bool
}

// Conversation names a session and what of its context may be read.
type Conversation struct {
	Incarnation string
	// Region is in normal form. What lies outside it is absent.
	Region scope.Region
	ID     string
}

// Conversations keeps sessions for their readers.
type Conversations interface {
	Store
	// CreateSession stores a session without turns.
	CreateSession(ctx context.Context, incarnation string, made Overview) error
	// Sessions returns a page of the sessions in region, the newest first.
	Sessions(ctx context.Context, incarnation string, region scope.Region, page Page) ([]Overview, error)
	// Overview returns one session, or ErrAbsent.
	Overview(ctx context.Context, which Conversation) (Overview, error)
	// Turns returns a page of the turns of a session that were not forgotten, the oldest first, or ErrAbsent.
	Turns(ctx context.Context, which Conversation, page Page) ([]Said, error)
	// DeleteSession deletes a session and its turns, or returns ErrAbsent.
	DeleteSession(ctx context.Context, incarnation, id string) error
}

// Registry knows where rows may live.
type Registry interface {
	// Destination returns where a row that who writes will live; errors are faults.
	Destination(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) (scope.Sets, error)
}

// Service keeps sessions on behalf of callers.
type Service struct {
	store    Conversations
	registry Registry
	now      func() time.Time
}

// NewService returns a Service.
func NewService(store Conversations, registry Registry, now func() time.Time) *Service {
	return &Service{store, registry, now}
}

// Create begins a session at sets, which who calls by the name field; without them, wherever who may write.
func (s *Service) Create(ctx context.Context, who *caller.Caller, field string, sets scope.Sets, metadata json.RawMessage) (Overview, error) {
	if len(metadata) > maxMetadata {
		return Overview{}, fault.InvalidField("metadata", "at most %d bytes", maxMetadata)
	}
	sets, err := s.registry.Destination(ctx, who, field, sets)
	if err != nil {
		return Overview{}, err
	}
	at := s.now().UTC().Truncate(time.Microsecond)
	made := Overview{Session: New(who, sets, at), Metadata: metadata}
	return made, s.store.CreateSession(ctx, who.Incarnation, made)
}

// List returns a page of the sessions that who may read, the newest first.
func (s *Service) List(ctx context.Context, who *caller.Caller, page Page) ([]Overview, error) {
	return s.store.Sessions(ctx, who.Incarnation, who.Effective[grant.MemoryRead].Normal(), page)
}

// Get returns a session that who may read.
func (s *Service) Get(ctx context.Context, who *caller.Caller, id string) (Overview, error) {
	found, err := s.store.Overview(ctx, readBy(who, id))
	return found, public(err)
}

// Turns returns a page of the turns of a session that who may read, the oldest first.
func (s *Service) Turns(ctx context.Context, who *caller.Caller, id string, page Page) ([]Said, error) {
	turns, err := s.store.Turns(ctx, readBy(who, id), page)
	return turns, public(err)
}

// Latest returns the last few turns of a session that who may read, the oldest of them first.
func (s *Service) Latest(ctx context.Context, who *caller.Caller, id string, few int) ([]Said, error) {
	return s.Turns(ctx, who, id, Page{Limit: few, FromEnd: true})
}

// Delete deletes a session that who may read, with its turns. It needs memory:write over its scopes.
func (s *Service) Delete(ctx context.Context, who *caller.Caller, id string) error {
	found, err := s.Get(ctx, who, id)
	if err != nil {
		return err
	}
	if err := grant.AuthorizeSets(who, grant.MemoryWrite, found.Sets); err != nil {
		return err
	}
	return public(s.store.DeleteSession(ctx, who.Incarnation, id))
}

func readBy(who *caller.Caller, id string) Conversation {
	return Conversation{who.Incarnation, who.Effective[grant.MemoryRead].Normal(), id}
}

// public gives an absent session, and one that the caller cannot see, their one public face.
func public(err error) error {
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.NotFound, "there is no such session within this caller's reach")
	}
	return err
}
