package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Keys does what callers ask of keys, as those callers. Errors are the key manager's, meant for the caller;
// fault.AuthorityUnavailable when it cannot be reached.
type Keys interface {
	ListKeys(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.OwnKey, error)
	MintKey(ctx context.Context, who introspection.Identity, errand introspection.MintErrand) (introspection.IssuedKey, error)
	RotateKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) (introspection.IssuedKey, error)
	DeleteKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) error
}

// Principals does what callers ask of principals, as those callers. Errors as those of [Keys].
type Principals interface {
	ListPrincipals(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]caller.Principal, error)
	GetPrincipal(ctx context.Context, who introspection.Identity, errand introspection.PrincipalErrand) (caller.Principal, error)
	Effective(ctx context.Context, who introspection.Identity, errand introspection.EffectiveErrand) (introspection.Effective, error)
	AddGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error)
	RemoveGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error)
}

// identityKey is where the identity travels by which the key manager is asked.
type identityKey struct{}

// identify notes by which secret the caller was verified, for the key manager to verify it again. Only routes that ask it as the
// caller pay for that.
func identify(c *gin.Context) {
	token, _ := web.Bearer(c.Request)
	if _, err := apikey.Parse(token); err != nil && !apikey.IsForeign(token) {
		web.Fail(c, fault.BadCredential().Because(err))
		return
	}
	who, err := callerOf(c.Request.Context())
	if err != nil {
		web.Fail(c, err)
		return
	}
	identity := introspection.IdentityOf(who, apikey.DigestOf(token))
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), identityKey{}, identity))
}

func identityOf(ctx context.Context) (introspection.Identity, error) {
	who, ok := ctx.Value(identityKey{}).(introspection.Identity)
	if !ok {
		return who, errors.New("a route without identify asked for the identity")
	}
	return who, nil
}

// maxRows is the most rows of one answer, and how many there are when nobody asks.
const maxRows = introspection.MaxRows - 1

// listOf reads the parameters of a list by name or id. It asks for one row more than is answered, which shows whether there is
// another page. The document has checked the limit.
func listOf(limit *Limit, cursor *Cursor) (errand introspection.ListErrand, err error) {
	errand.Limit = maxRows + 1
	if limit != nil {
		errand.Limit = int(*limit) + 1
	}
	if cursor == nil {
		return errand, nil
	}
	after, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil || !utf8.Valid(after) || strings.ContainsRune(string(after), 0) {
		return errand, fault.InvalidField("cursor", "is not one that was given out")
	}
	errand.After = string(after)
	return errand, nil
}

// linked cuts the row that was asked for on top, and returns the Link header that leads on where there was one.
func linked[T any](who introspection.Identity, route string, errand introspection.ListErrand, rows []T, name func(T) string) ([]T, *string) {
	limit := errand.Limit - 1
	if len(rows) <= limit {
		return rows, nil
	}
	rows = rows[:limit]
	cursor := base64.RawURLEncoding.EncodeToString([]byte(name(rows[limit-1])))
	query := url.Values{"limit": {fmt.Sprint(limit)}, "cursor": {cursor}}.Encode()
	link := fmt.Sprintf(`</api/v1/%s/%s?%s>; rel="next"`, url.PathEscape(who.Context), route, query)
	return rows, &link
}
