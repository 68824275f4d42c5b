package introspection

import "time"

// Where the key manager is asked about service accounts. The first two are asked by a service for itself, by GET and by POST; the
// others are errands, each by POST, for a caller that has the scope admin, or, while authentication is off, for the local
// operator: an [Identity] that has a Context and no KeyID.
const (
	StandingPath         = "/internal/v1/service-accounts/standing"
	StandingContextParam = "context"
	FirstAccountPath     = "/internal/v1/service-accounts/first"

	ListAccountsPath  = "/internal/v1/errands/service-accounts/list"
	GetAccountPath    = "/internal/v1/errands/service-accounts/get"
	CreateAccountPath = "/internal/v1/errands/service-accounts/create"
	EditAccountPath   = "/internal/v1/errands/service-accounts/edit"
	RevokeAccountPath = "/internal/v1/errands/service-accounts/revoke"
	ListTokensPath    = "/internal/v1/errands/tokens/list"   //nolint:gosec // a path, no credential
	MintTokenPath     = "/internal/v1/errands/tokens/mint"   //nolint:gosec // a path, no credential
	RotateTokensPath  = "/internal/v1/errands/tokens/rotate" //nolint:gosec // a path, no credential
	RevokeTokenPath   = "/internal/v1/errands/tokens/revoke" //nolint:gosec // a path, no credential
)

// The codes of refusals that are told to the caller as they are.
const (
	// CodeBootstrapClosed: the context has service accounts, so none is made without a credential.
	CodeBootstrapClosed = "BOOTSTRAP_CLOSED"
	// CodeScopeForbidden: the caller's token lacks a scope.
	CodeScopeForbidden = "SCOPE_FORBIDDEN"
)

// Standing says how a context stands with its service accounts.
type Standing struct {
	Context     string `json:"context"`
	Incarnation string `json:"incarnation"`
	// Accounts counts all that ever were, Active those that have not been revoked.
	Accounts int `json:"accounts"`
	Active   int `json:"active"`
	// Open says that a first account may be made now without a credential.
	Open bool `json:"open"`
}

// Account is a service account as lists show it.
type Account struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
	Actors []string `json:"actors"`
	// Tokens counts those that have not been revoked.
	Tokens    int       `json:"tokens"`
	CreatedAt time.Time `json:"created_at"`
	// RevokedAt is nil for an account that has not been revoked.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

// AccountDraft describes a service account to make. Without Scopes (nil) it may read and write records. An empty EnvTag is
// [apikey.DefaultEnv].
type AccountDraft struct {
	Name      string   `json:"name"`
	Actors    []string `json:"actors"`
	Scopes    []string `json:"scopes"`
	WithToken bool     `json:"with_token,omitempty"`
	EnvTag    string   `json:"env_tag,omitempty"`
}

// FirstAccount asks for the first service account of a context.
type FirstAccount struct {
	Context string       `json:"context"`
	Draft   AccountDraft `json:"draft"`
}

// IssuedAccount is a service account right after it was made. Token is nil when none was asked for.
type IssuedAccount struct {
	Account
	Token *IssuedToken `json:"token,omitempty"`
}

// AccountErrand names a service account. Reason is why it is to be revoked, in words that nobody reads but people.
type AccountErrand struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// AccountEdit says what is to become of a service account; what is nil stays. Scopes reach tokens minted later, actors every token
// at once.
type AccountEdit struct {
	ID     string    `json:"id"`
	Name   *string   `json:"name,omitempty"`
	Scopes *[]string `json:"scopes,omitempty"`
	Actors *[]string `json:"actors,omitempty"`
}

// Token is a token as lists show it.
type Token struct {
	ID          string `json:"id"`
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name"`
	EnvTag      string `json:"env_tag"`
	// Scopes are those of the account when the token was minted.
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	// LastUsedAt is to the minute, and nil when the token was never used.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	// ValidUntil is nil when the token has no end. It has one where the context caps the time to live of what is minted.
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	// RevokedAt is nil for a live token. One dies with its account, too.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

// TokenListErrand asks for the tokens of one account, or of all when that is empty: at most Limit, those after the id After.
type TokenListErrand struct {
	AccountID string `json:"account_id,omitempty"`
	ListErrand
}

// TokenDraft asks for a token of an account. An empty EnvTag is [apikey.DefaultEnv]. Reason is why tokens are rotated.
type TokenDraft struct {
	AccountID string `json:"account_id"`
	EnvTag    string `json:"env_tag,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// TokenErrand names a token to revoke.
type TokenErrand struct {
	AccountID string `json:"account_id"`
	TokenID   string `json:"token_id"`
	Reason    string `json:"reason,omitempty"`
}

// IssuedToken is a token right after it was minted. It alone holds the text of one, on its way to whoever asked.
type IssuedToken struct {
	Token
	Text string `json:"token"`
}

// RotatedTokens is what a rotation made and what it revoked.
type RotatedTokens struct {
	IssuedToken
	// Revoked are the ids of the tokens that were live before.
	Revoked []string `json:"revoked"`
	Changed
}

// EditedAccount is a service account after a change.
type EditedAccount struct {
	Account
	Changed
}

// RevokedAccount is a service account after its revocation.
type RevokedAccount struct {
	Account
	// Revoked are the ids of the tokens that died with it now.
	Revoked []string `json:"revoked"`
	// Already says that it had been revoked before, so that nothing has changed but that every verifier knows.
	Already bool `json:"already,omitempty"`
	Changed
}

// RevokedToken is a token after its revocation. Already is as in [RevokedAccount].
type RevokedToken struct {
	Token
	Already bool `json:"already,omitempty"`
	Changed
}

// Changed says how a change reached the verifiers before it was answered.
type Changed struct {
	Revision    int64       `json:"revision"`
	Propagation Propagation `json:"propagation"`
}
