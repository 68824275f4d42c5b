// Package serviceaccount is about principals that are machines' own: what such an account may be called, may do and may claim
// to be, and about its credentials, which are called tokens.
//
// It promises that a token keeps the scopes that its account had when it was minted, while whom it may claim to be is told by
// the account at every request; that a revoked account is revoked for good, with every token it ever had; and that of all who
// want to make the first account of a context, one does.
package serviceaccount

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// Limits of what people write, in characters.
const (
	maxName   = 128
	maxReason = 512
	maxActor  = 512
	// maxActors is how many identities an account may claim, maxActorBytes how long they may be together: all of them travel
	// with every verdict on a token.
	maxActors     = 256
	maxActorBytes = 32 << 10
)

// Account is a service account.
type Account struct {
	ContextID, ID string
	// Name is for people; several accounts may have the same.
	Name string
	// Scopes are what a token is minted with, in display order.
	Scopes []grant.Verb
	// Actors are whom its tokens may claim to be.
	Actors    []string
	CreatedAt time.Time
	// RevokedAt is zero until it is revoked; Reason is why it was.
	RevokedAt time.Time
	Reason    string
}

// Listed is an account with how many live tokens it has.
type Listed struct {
	Account
	Tokens int
}

// NotFound is the answer about an account that does not exist.
func NotFound(id string) error {
	return fault.New(fault.NotFound, "there is no service account %q", id)
}

// Closed is the answer to whoever wants to make the first account of a context that has had one.
func Closed() error {
	err := fault.New(fault.Conflict, "this namespace has a service account already, so another one takes a token with the scope admin")
	err.Code = introspection.CodeBootstrapClosed
	return err
}

// Revoked reports whether a has been revoked.
func (a Account) Revoked() bool { return !a.RevokedAt.IsZero() }

// Live returns a Conflict fault for an account that has been revoked.
func (a Account) Live() error {
	if a.Revoked() {
		return fault.New(fault.Conflict, "the service account %q has been revoked, for good; create another one", a.ID)
	}
	return nil
}

// Principal returns the principal that a is.
func (a Account) Principal() principal.Principal {
	return principal.Principal{
		ContextID: a.ContextID, ID: a.ID, DisplayName: a.Name, Kind: caller.Service, Grants: grant.Map{}, CreatedAt: a.CreatedAt,
	}
}

// defaultScopes are those of an account for which none are asked.
var defaultScopes = []grant.Verb{grant.RecordsRead, grant.RecordsWrite}

// New returns the account that draft describes. Errors are Invalid faults that name the field.
func New(contextID string, draft introspection.AccountDraft, at time.Time) (Account, error) {
	a := Account{ContextID: contextID, ID: apikey.NewAccountID(), Scopes: defaultScopes, CreatedAt: at}
	edit := introspection.AccountEdit{Name: &draft.Name, Actors: &draft.Actors}
	if draft.Scopes != nil {
		edit.Scopes = &draft.Scopes
	}
	return a.Edited(edit)
}

// Edited returns what edit makes of a. Errors: Invalid, naming the field; Conflict when a has been revoked.
func (a Account) Edited(edit introspection.AccountEdit) (_ Account, err error) {
	if edit.Name != nil {
		if a.Name, err = checkName(*edit.Name); err != nil {
			return Account{}, err
		}
	}
	if edit.Scopes != nil {
		if a.Scopes, err = parseScopes(*edit.Scopes); err != nil {
			return Account{}, err
		}
	}
	if edit.Actors != nil {
		if a.Actors, err = checkActors(*edit.Actors); err != nil {
			return Account{}, err
		}
	}
	return a, a.Live()
}

func checkName(name string) (string, error) {
	if name == "" || strings.TrimSpace(name) != name || !apikey.Presentable(name, maxName) {
		return "", fault.InvalidField("name", "must have 1 to %d printable characters, no space at either end, and not be a secret", maxName)
	}
	return name, nil
}

// parseScopes returns the scopes, each once and in display order.
func parseScopes(texts []string) ([]grant.Verb, error) {
	asked := map[grant.Verb]bool{}
	for _, text := range texts {
		verb, err := grant.ParseScope(text)
		if err != nil {
			return nil, fault.InvalidField("scopes", "%s", apikey.Redact(err.Error()))
		}
		asked[verb] = true
	}
	if len(asked) == 0 {
		return nil, fault.InvalidField("scopes", "must name at least one of %v", grant.Scopes())
	}
	return slices.DeleteFunc(slices.Clone(grant.Scopes()), func(v grant.Verb) bool { return !asked[v] }), nil
}

// checkActors returns the actors, each once and in the order given.
func checkActors(actors []string) ([]string, error) {
	out, size := []string{}, 0
	for _, actor := range actors {
		if actor == "" || !apikey.Presentable(actor, maxActor) || strings.ContainsFunc(actor, unicode.IsSpace) {
			return nil, fault.InvalidField("actors", "each must have 1 to %d printable characters, no space, and not be a secret", maxActor)
		}
		if !slices.Contains(out, actor) {
			out = append(out, actor)
			size += len(actor)
		}
		if len(out) > maxActors || size > maxActorBytes {
			return nil, fault.InvalidField("actors", "at most %d, of %d bytes together", maxActors, maxActorBytes)
		}
	}
	return out, nil
}

// CheckReason returns an Invalid fault when reason cannot be kept: it is shown in lists.
func CheckReason(reason string) error {
	if !apikey.Presentable(reason, maxReason) {
		return fault.InvalidField("reason", "must have at most %d printable characters and not be a secret", maxReason)
	}
	return nil
}
