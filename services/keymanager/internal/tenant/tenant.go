// Package tenant is about contexts: isolated tenants, each opened by its own keys. (The word context belongs to Go.) It
// promises that an id names one context at a time, and that a context which is deleted and created again is another one:
// its incarnation differs, and nothing of the first is seen through the second.
package tenant

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// reservedIDs are the segments that follow /api/v1/ beside contexts, and those kept for the future. audit is not among them: there were
// contexts of that name before, and below /api/v1/audit nothing lies.
var reservedIDs = map[string]bool{
	"contexts": true, "verbs": true, "migrations": true, "health": true, "internal": true, "mcp": true,
	"webhooks": true, "keys": true,
}

// reservedNamespace belongs to the service itself.
const reservedNamespace = "spectron"

// incarnationLen is the length of the random part of an incarnation: 60 bits.
const incarnationLen = 12

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Context is a tenant.
type Context struct {
	ID string
	// Incarnation names this life of the id. It is told to the other plane and to nobody else.
	Incarnation string
	Namespace   string
	Database    string
	DisplayName string
	Description string
	Config      Document
	// EnforcementBlocked refuses the calls that need a language model.
	EnforcementBlocked bool
	CreatedAt          time.Time
}

// CheckID returns an Unprocessable fault when id cannot name a context.
func CheckID(id string) error {
	err := fault.New(fault.Unprocessable, "context_id: must match %s", validID)
	if reservedIDs[id] {
		err = fault.New(fault.Unprocessable, "context_id: %q is reserved", id)
	} else if validID.MatchString(id) {
		return nil
	}
	err.Field = "context_id"
	return err
}

// NotFound is the answer about a context that does not exist.
func NotFound(id string) error { return fault.New(fault.NotFound, "there is no context %q", id) }

// Taken is the answer to a creation whose id is in use.
func Taken(id string) error { return fault.New(fault.Conflict, "the context %q exists already", id) }

// Draft describes a context to create. Only the id is required.
type Draft struct {
	ID, Namespace, Database           string
	DisplayName, Description          string
	Config                            json.RawMessage
	AdminExternalID, AdminDisplayName string
}

// New returns the context that draft describes and the principals that it begins with. Errors are public faults that
// name the field.
func New(draft Draft) (Context, []principal.Principal, error) {
	if err := CheckID(draft.ID); err != nil {
		return Context{}, nil, err
	}
	c := Context{
		ID:          draft.ID,
		Incarnation: draft.ID + "." + secret.NewID(incarnationLen),
		Namespace:   orElse(draft.Namespace, draft.ID),
		Database:    orElse(draft.Database, draft.ID),
		DisplayName: draft.DisplayName,
		Description: draft.Description,
	}
	if c.Namespace == reservedNamespace {
		err := fault.New(fault.Unprocessable, "namespace: %q is reserved", reservedNamespace)
		err.Field = "namespace"
		return Context{}, nil, err
	}
	var err error
	if c.Config, err = Document(nil).Patch(draft.Config); err != nil {
		return Context{}, nil, err
	}
	principals, err := principal.Reserved(c.ID, draft.AdminDisplayName, draft.AdminExternalID)
	return c, principals, err
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Store keeps contexts.
type Store interface {
	// CreateContext returns c as it is stored. Errors: [Taken].
	CreateContext(ctx context.Context, c Context, principals []principal.Principal) (Context, error)
	// Context returns one context. Errors: [NotFound].
	Context(ctx context.Context, id string) (Context, error)
	// Contexts returns at most limit contexts by id, those after the id after.
	Contexts(ctx context.Context, after string, limit int) ([]Context, error)
	// ChangeContext stores what change makes of a context, alone with it, and returns the result. When the policy of its
	// keys has changed, or whether enforcement blocks, that takes a revision; otherwise the revision is the newest there is, which
	// another change of the same may have taken. Errors: [NotFound], and those of change.
	ChangeContext(ctx context.Context, id string, change func(Context) (Context, error)) (Context, int64, error)
	// DeleteContext removes a context and everything in it, asks the other plane to purge it, and returns the revision.
	// Errors: [NotFound].
	DeleteContext(ctx context.Context, id string) (int64, error)
	// Migrated returns the state of the schema.
	Migrated(ctx context.Context) (Migrated, error)
}

// Barrier is the wait between a change and its answer.
type Barrier interface {
	// Await returns when no verifier answers from what was true before the revision. Errors: Unavailable.
	Await(ctx context.Context, revision int64) (revision.Propagation, error)
	// Settle does the same for all that has been changed so far. Errors: Unavailable.
	Settle(ctx context.Context) error
}

// Registry is the use of contexts.
type Registry struct {
	store   Store
	barrier Barrier
	now     func() time.Time
}

// NewRegistry returns the registry of the contexts in store, which answers a change behind barrier. now tells the month.
func NewRegistry(store Store, barrier Barrier, now func() time.Time) *Registry {
	return &Registry{store, barrier, now}
}

// Create creates a context. Errors: Unprocessable, Invalid, Conflict.
func (r *Registry) Create(ctx context.Context, draft Draft) (Context, error) {
	c, principals, err := New(draft)
	if err != nil {
		return Context{}, err
	}
	return r.store.CreateContext(ctx, c, principals)
}

// Get returns a context. Errors: NotFound.
func (r *Registry) Get(ctx context.Context, id string) (Context, error) {
	return r.store.Context(ctx, id)
}

// List returns at most limit contexts by id, those after the id after.
func (r *Registry) List(ctx context.Context, after string, limit int) ([]Context, error) {
	return r.store.Contexts(ctx, after, limit)
}

// Patch is a change of a context. What is nil stays.
type Patch struct {
	Config             json.RawMessage
	EnforcementBlocked *bool
}

// Patch changes a context. Errors: NotFound, Invalid.
func (r *Registry) Patch(ctx context.Context, id string, patch Patch) (Context, error) {
	changed, revised, err := r.store.ChangeContext(ctx, id, func(c Context) (Context, error) {
		var err error
		if c.Config, err = c.Config.Patch(patch.Config); err != nil {
			return Context{}, err
		}
		if patch.EnforcementBlocked != nil {
			c.EnforcementBlocked = *patch.EnforcementBlocked
		}
		return c, nil
	})
	if err != nil {
		return Context{}, err
	}
	_, err = r.barrier.Await(ctx, revised)
	return changed, err
}

// Delete removes a context with everything in it. Errors: NotFound, Unavailable.
func (r *Registry) Delete(ctx context.Context, id string) error {
	revised, err := r.store.DeleteContext(ctx, id)
	if errors.Is(err, fault.NotFound) { // perhaps because of a deletion that failed to say that every verifier knows of it
		return cmp.Or(r.barrier.Settle(ctx), err)
	}
	if err != nil {
		return err
	}
	_, err = r.barrier.Await(ctx, revised)
	return err
}
