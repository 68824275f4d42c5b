package serviceaccount

import (
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Token is a token, live or revoked, without its text.
type Token struct {
	ContextID, AccountID, ID string
	EnvTag                   string
	// Scopes are those of the account when the token was minted.
	Scopes    []grant.Verb
	CreatedAt time.Time
	// RevokedAt is zero for a live token; Reason is why it was revoked.
	RevokedAt time.Time
	Reason    string
}

// Revoked reports whether t has been revoked.
func (t Token) Revoked() bool { return !t.RevokedAt.IsZero() }

// ListedToken is a token as lists show it.
type ListedToken struct {
	Token
	AccountName string
	// LastUsedAt is zero when it was never used, ExpiresAt when it has no end or has been revoked.
	LastUsedAt, ExpiresAt time.Time
}

// TokenNotFound is the answer about a token that does not exist, or is another account's.
func TokenNotFound(id string) error { return fault.New(fault.NotFound, "there is no token %q", id) }

// Minted is a token right after it was made.
type Minted struct {
	Token
	// Key is what verifiers accept.
	Key key.Key
	// Text is the secret.
	Text apikey.Token
}

// Made is an account right after it was made, with its first token, if it was to have one.
type Made struct {
	Account Account
	Token   *Minted
}

// Make makes the account that draft describes and, where that is asked for, its first token. Errors: Invalid.
func Make(
	ring *secret.Keyring, contextID string, draft introspection.AccountDraft, at time.Time, policy tenant.Config,
) (made Made, err error) {
	if made.Account, err = New(contextID, draft, at); err != nil {
		return Made{}, err
	}
	if _, err := CheckEnv(draft.EnvTag); err != nil || !draft.WithToken {
		return made, err
	}
	token, err := made.Account.Mint(ring, draft.EnvTag, at, policy)
	made.Token = &token
	return made, err
}

// Mint makes a token of a as a is now, sealed with ring and subject to the policy of its context. An empty env is
// [apikey.DefaultEnv]. Errors: Invalid; Conflict when a has been revoked.
func (a Account) Mint(ring *secret.Keyring, env string, at time.Time, policy tenant.Config) (Minted, error) {
	env, err := CheckEnv(env)
	if err != nil {
		return Minted{}, err
	}
	text, err := apikey.MintToken(env, a.ID)
	if err != nil {
		return Minted{}, err
	}
	return a.mint(ring, text, at, policy)
}

// CheckEnv returns env, or [apikey.DefaultEnv] when it is empty, or an Invalid fault when it cannot tag a token.
func CheckEnv(env string) (string, error) {
	if env == "" {
		return apikey.DefaultEnv, nil
	}
	if err := apikey.CheckEnv(env); err != nil {
		return "", fault.InvalidField("env_tag", "%v", err)
	}
	return env, nil
}

func (a Account) mint(ring *secret.Keyring, text apikey.Token, at time.Time, policy tenant.Config) (Minted, error) {
	if err := a.Live(); err != nil {
		return Minted{}, err
	}
	id := text.ID()
	if id == "" { // it would tell of a secret that somebody may have chosen
		id = secret.NewTokenID()
	}
	seal, version := ring.Seal(text.Digest())
	return Minted{
		Token: Token{ContextID: a.ContextID, AccountID: a.ID, ID: id, EnvTag: text.Env(), Scopes: a.Scopes, CreatedAt: at},
		Key: key.Key{
			ID: id, Kind: key.Token, ContextID: a.ContextID, PrincipalID: a.ID, Name: id, Grants: grant.OfScopes(a.Scopes...),
			Seal: seal, Pepper: version, CreatedAt: at, ExpiresAt: key.Expiry(at, nil, policy, time.Time{}),
		},
		Text: text,
	}, nil
}
