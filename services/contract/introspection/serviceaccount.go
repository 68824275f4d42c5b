package introspection

import "time"

// Where the key manager is asked about service accounts. The first two are asked by a service for itself, by GET and by POST; the
// others are errands, each by POST, for a caller that has the scope admin, or for whoever asks while authentication is off.
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
	// Tokens counts those that are live.
	Tokens    int       `json:"tokens"`
	CreatedAt time.Time `json:"created_at"`
	// RevokedAt is nil for an account that has not been revoked.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

// AccountDraft describes a service account to make. An empty EnvTag is [apikey.DefaultEnv].
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

// Changed says how a change reached the verifiers before it was answered.
type Changed struct {
	Revision    int64       `json:"revision"`
	Propagation Propagation `json:"propagation"`
}
