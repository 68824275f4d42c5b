// Package session is conversations: a session holds turns, each one thing said, in the order in which they were written. A
// session lives where its scope sets say, and only who may write there may append to it.
package session

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// Role says who spoke.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	System    Role = "system"
	Tool      Role = "tool"
)

// Session is one conversation.
type Session struct {
	ID string
	// Sets never change after the session was made.
	Sets scope.Sets
	// Principal is the id of who made it.
	Principal string
	CreatedAt time.Time
}

// Turn is one thing said in a session. The store numbers it.
type Turn struct {
	ID        string
	Role      Role
	Content   string
	Principal string
	CreatedAt time.Time
}

// ErrAbsent says that there is no such session in the context.
var ErrAbsent = errors.New("no such session")

// Store finds sessions.
type Store interface {
	// Session returns the session with the given id of the context, or ErrAbsent.
	Session(ctx context.Context, incarnation, id string) (Session, error)
}

// New returns a session that does not exist yet.
func New(who *caller.Caller, sets scope.Sets, at time.Time) Session {
	return Session{ID: NewID(), Sets: sets, Principal: who.Principal.ID, CreatedAt: at}
}

// NewID returns an id for a row. Later ids sort behind earlier ones, which keeps an index over them compact.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Pinned returns the session that who names to append to. A session that does not exist and one that who may not write to
// get the same answer.
func Pinned(ctx context.Context, store Store, who *caller.Caller, id string) (Session, error) {
	found, err := store.Session(ctx, who.Incarnation, id)
	switch {
	case errors.Is(err, ErrAbsent):
		return Session{}, Refused()
	case err != nil:
		return Session{}, err
	case grant.AuthorizeSets(who, grant.MemoryWrite, found.Sets) != nil:
		return Session{}, Refused()
	}
	return found, nil
}

// Refused is the answer to a session that is absent or not the caller's to write to.
func Refused() error {
	return fault.New(fault.Forbidden, "session_id: no session of this id may be written to by this caller")
}
