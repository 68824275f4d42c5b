package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A token is the credential of a service account. It reads spl_<env>_<account>_<secret>: env says where it was meant to be used,
// the account is named by its id, sa_ and sixteen characters of lower-case base32, and the secret is that of a key, 29 random
// characters and a checksum of all before. An account has many tokens, so a token is named by the SHA-256 of its secret.
//
// One account, [BootstrapAccount], has a token whose secret a person has chosen: it has no checksum, and no name that could be
// computed from it, because a name is no secret and a chosen word could be guessed from it.
const (
	tokenPrefix   = "spl_"
	accountPrefix = "sa_"
	// BootstrapAccount is the id of the account that a chosen token opens.
	BootstrapAccount = "sa-bootstrap-env"
	// MinChosen is the length of the shortest chosen secret in characters.
	MinChosen = 16
	// MaxChosen is the length of the longest.
	MaxChosen = 256

	// DefaultEnv is the tag of a token for which none was asked.
	DefaultEnv = "prod"
	maxEnv     = 16

	accountLen = len(accountPrefix) + idLen
	secretLen  = randomLen + checksumLen
	// MaxTokenLen is the length of the longest token in bytes.
	MaxTokenLen = len(tokenPrefix) + maxEnv + 1 + len(BootstrapAccount) + 1 + MaxChosen
	// TokenIDLen is the length of a token's id.
	TokenIDLen = 2 * sha256.Size
)

// The reasons to refuse a token's text. None says anything about the text itself.
var (
	// ErrMalformedToken: the text has not the form of a token.
	ErrMalformedToken = errors.New("invalid format: want spl_<env>_sa_<id>_<secret>")
	// ErrTokenChecksum: the text has the form of a token, but its checksum is wrong.
	ErrTokenChecksum = errors.New("invalid format: the checksum does not match, so a character is wrong or missing")
	// ErrEnv: the text cannot be the tag of a token.
	ErrEnv = fmt.Errorf("must have 1 to %d lower-case letters, digits and hyphens", maxEnv)
	// ErrChosen: the text cannot be a chosen secret.
	ErrChosen = fmt.Errorf("must have %d to %d printable ASCII characters and no space", MinChosen, MaxChosen)
)

// Token is a well-formed token. The zero value is none.
type Token struct{ text, env, account string }

// NewAccountID returns a random id for a new service account.
func NewAccountID() string { return accountPrefix + NewID() }

// ValidAccountID reports whether id has the form of a service account's.
func ValidAccountID(id string) bool {
	bare, ok := strings.CutPrefix(id, accountPrefix)
	return ok && ValidID(bare) || id == BootstrapAccount
}

// ValidTokenID reports whether id has the form of a token's.
func ValidTokenID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(id) == TokenIDLen
}

// CheckEnv returns ErrEnv when env cannot tag a token.
func CheckEnv(env string) error {
	for i := range len(env) {
		if c := env[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return ErrEnv
		}
	}
	if env == "" || len(env) > maxEnv {
		return ErrEnv
	}
	return nil
}

// MintToken returns a new random token of an account, whose id must come from [NewAccountID] or be [BootstrapAccount]. That one's
// have no [Token.ID], as if somebody had chosen them. Errors: ErrEnv.
func MintToken(env, account string) (Token, error) {
	if err := CheckEnv(env); err != nil {
		return Token{}, err
	}
	if !ValidAccountID(account) {
		return Token{}, fmt.Errorf("minting a token: malformed account %q", account)
	}
	body := tokenPrefix + env + "_" + account + "_" + randomText(secretAlphabet, randomLen)
	return Token{string(appendChecksum([]byte(body), body)), env, account}, nil
}

// ChosenToken returns the token of [BootstrapAccount] with the given secret. Errors: ErrChosen.
func ChosenToken(secret string) (Token, error) {
	if !validChosen(secret) {
		return Token{}, ErrChosen
	}
	return Token{tokenPrefix + DefaultEnv + "_" + BootstrapAccount + "_" + secret, DefaultEnv, BootstrapAccount}, nil
}

// IsToken reports whether text begins as tokens do, and keys do not.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenPrefix) }

// ParseToken checks the form of text, and its checksum where it has one.
func ParseToken(text string) (Token, error) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(text) > MaxTokenLen {
		return Token{}, ErrMalformedToken
	}
	env, rest, ok := strings.Cut(rest, "_")
	if !ok || CheckEnv(env) != nil {
		return Token{}, ErrMalformedToken
	}
	if secret, chosen := strings.CutPrefix(rest, BootstrapAccount+"_"); chosen {
		if !validChosen(secret) {
			return Token{}, ErrMalformedToken
		}
		return Token{text, env, BootstrapAccount}, nil
	}
	if len(rest) != accountLen+1+secretLen || rest[accountLen] != '_' || !ValidAccountID(rest[:accountLen]) || !isBase62(rest[accountLen+1:]) {
		return Token{}, ErrMalformedToken
	}
	var sum [checksumLen]byte
	if body := len(text) - checksumLen; string(appendChecksum(sum[:0], text[:body])) != text[body:] {
		return Token{}, ErrTokenChecksum
	}
	return Token{text, env, rest[:accountLen]}, nil
}

// PeekToken returns what the id of text is written from and what comes before the secret, if text looks like a token that has an id:
// its length, the account's prefix and the separator of the secret are looked at, and nothing else. It is for recognising a known
// token. It allocates nothing.
func PeekToken(text string) (sum [sha256.Size]byte, head string, ok bool) {
	// The tag is what varies in length, so all places are counted from the end.
	secret := len(text) - secretLen
	account := secret - 1 - accountLen
	if tag := account - 1 - len(tokenPrefix); tag < 1 || tag > maxEnv {
		return sum, "", false
	}
	if !IsToken(text) || text[secret-1] != '_' || text[account-1:account+len(accountPrefix)] != "_"+accountPrefix {
		return sum, "", false
	}
	return sha256.Sum256(view(text[secret:])), text[:secret], true
}

func validChosen(secret string) bool {
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] > '~' {
			return false
		}
	}
	return len(secret) >= MinChosen && len(secret) <= MaxChosen
}

// Env returns the token's tag.
func (t Token) Env() string { return t.env }

// Account returns the id of the token's account.
func (t Token) Account() string { return t.account }

// ID returns the token's id, which is not secret: 64 hexadecimal digits, or nothing for a token of [BootstrapAccount].
func (t Token) ID() string {
	if t.account == BootstrapAccount {
		return ""
	}
	sum := sha256.Sum256(view(t.text[len(t.text)-secretLen:]))
	return hex.EncodeToString(sum[:])
}

// Digest returns the SHA-256 of the token's text: what crosses between the planes in its place.
func (t Token) Digest() Digest { return DigestOf(t.text) }

// Reveal returns the secret text. Call it only where the token is the answer, or is sent to be verified.
func (t Token) Reveal() string { return t.text }

// Masked returns the token without its secret, for people to recognise.
func (t Token) Masked() string { return MaskedToken(t.env, t.account) }

// MaskedToken returns what all tokens of an account with that tag look like without their secrets.
func MaskedToken(env, account string) string { return tokenPrefix + env + "_" + account + "_****" }

// String returns REDACTED.
func (Token) String() string { return redacted }

// GoString returns REDACTED.
func (Token) GoString() string { return redacted }

// Format writes REDACTED, whatever the verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns REDACTED.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns REDACTED.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }
