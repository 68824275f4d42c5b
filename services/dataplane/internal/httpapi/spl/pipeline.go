package spl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	"github.com/spectron-hq/spectron/services/verifier"
)

// actorHeader names the identity that a request claims to come from.
const actorHeader = "X-Syncropel-Actor"

// defaultOperator is who calls while authentication is off and nobody says anything else.
const defaultOperator = "did:sync:user:operator"

const realm = `Bearer realm="spl"`

// The refusals of the first stages. The second is the same whatever is wrong with a token: nobody can tell a token that was
// revoked from one that never was.
var (
	errNoToken  = &fault.Error{Kind: fault.Unauthenticated, Code: "AUTH_REQUIRED", Message: "a token is required: send Authorization: Bearer spl_…"}
	errBadToken = &fault.Error{Kind: fault.Unauthenticated, Code: "AUTH_INVALID", Message: "the token is malformed, unknown or revoked"}
)

// stages are those of the pipeline before the parameters and the body.
func (s server) stages(r route) []gin.HandlerFunc {
	return []gin.HandlerFunc{s.authenticate, requireScope(r.scope), s.claimActor(r.resource == recordWrite), s.askRules(r.resource)}
}

// authenticate finds out who calls.
func (s server) authenticate(c *gin.Context) {
	found, err := s.callerOf(c.Request, s.Verifier.Check)
	if err != nil {
		refuse(c, err)
		return
	}
	setClaim(c, found)
}

func setClaim(c *gin.Context, found claim) {
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), claimKey{}, found))
}

// check is how the verifier is asked.
type check func(ctx context.Context, token string) (verifier.Verdict, error)

func (s server) callerOf(r *http.Request, ask check) (claim, error) {
	if s.AuthenticationOff {
		if err := s.ofThisMachine(r); err != nil {
			return claim{}, err
		}
		return s.operator(r.Context())
	}
	text, sent := bearer(r.Header.Values("Authorization"))
	if !sent {
		return claim{}, errNoToken
	}
	token, err := apikey.ParseToken(text)
	if err != nil {
		return claim{}, errBadToken.Because(err)
	}
	verdict, err := ask(r.Context(), text)
	if err != nil {
		return claim{}, err
	}
	who := verdict.Caller
	if who.Context != s.Context || who.Principal.ServiceAccount == nil {
		return claim{}, errBadToken
	}
	return claim{caller: who, space: who.Incarnation, identity: introspection.IdentityOf(who, token.Digest()), ends: verdict.Ends}, nil
}

// operator is who everybody is while authentication is off.
func (s server) operator(ctx context.Context) (claim, error) {
	standing, err := s.Accounts.Standing(ctx, s.Context)
	if err != nil {
		return claim{}, err
	}
	return claim{
		caller: &caller.Caller{
			Context: s.Context, Incarnation: standing.Incarnation,
			Principal: &caller.Principal{ID: "operator", DisplayName: s.DisplayName, Kind: caller.Human},
			Effective: grant.OfScopes(grant.Scopes()...),
		},
		space: standing.Incarnation, identity: introspection.Identity{Context: s.Context}, off: true,
	}, nil
}

// bearer returns what follows the scheme. Without a header of the scheme Bearer nothing was sent. It asks less of its characters than
// RFC 6750 does: the secret of a chosen token may have any that can be printed.
func bearer(headers []string) (text string, sent bool) {
	for _, header := range headers {
		scheme, rest, _ := strings.Cut(header, " ")
		if strings.EqualFold(scheme, "Bearer") {
			text, sent = strings.TrimLeft(rest, " "), true
		}
	}
	if len(headers) > 1 {
		return "", sent // which of them is meant is not for us to guess
	}
	return text, sent
}

func hasScope(who grant.Holder, verb grant.Verb) bool {
	return grant.Authorize(who, verb, scope.Root) == nil
}

// requireScope lets callers with a scope pass; all, where it is empty.
func requireScope(verb grant.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		found, err := claimOf(c.Request.Context())
		if err == nil && verb != "" && !found.has(verb) {
			err = lacks(verb)
		}
		if err != nil {
			refuse(c, err)
		}
	}
}

func lacks(verb grant.Verb) error {
	return &fault.Error{
		Kind: fault.Forbidden, Code: introspection.CodeScopeForbidden, RequiredScope: string(verb), Message: "this needs the scope " + string(verb),
	}
}

// claimActor finds out as whom the caller calls, and whether it may. authored says that the body is a record, which names its author.
func (s server) claimActor(authored bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		found, err := claimOf(c.Request.Context())
		if err != nil {
			refuse(c, err)
			return
		}
		var unread error
		if authored {
			found.draft, unread = readAhead(c.Request)
		}
		author, _ := found.draft["actor"].(string)
		claimed := c.Request.Header.Values(actorHeader)
		if found.off {
			found.actor = cmp.Or(append(slices.Clone(claimed), author, s.Actor, defaultOperator)...)
		} else {
			found.actor, err = prove(found.caller.Principal.ServiceAccount.Actors, claimed, author)
		}
		if err = cmp.Or(err, unread); err != nil {
			refuse(c, err)
			return
		}
		setClaim(c, found)
	}
}

// prove returns the identity that a request claims by its header, or else as the author of its record, or else because its account
// has no other. The list is the whole truth: exact texts, no patterns, and no scope that makes up for what is not in it.
func prove(allowed, headers []string, author string) (string, error) {
	claimed := author
	switch {
	case len(allowed) == 0:
		return "", denied("this service account has no actors, so its tokens may do nothing; whoever has the scope admin can give it some")
	case len(headers) > 1:
		return "", denied("the header " + actorHeader + " is there more than once")
	case len(headers) == 1:
		claimed = headers[0]
		if author != "" && author != claimed {
			return "", denied("the actor of the record is another than the one in the header " + actorHeader)
		}
	case author == "" && len(allowed) == 1:
		claimed = allowed[0]
	case author == "":
		return "", denied("this service account has several actors: say which one in the header " + actorHeader)
	}
	if !slices.Contains(allowed, claimed) {
		return "", denied("the claimed actor is not one of this service account")
	}
	return claimed, nil
}

func denied(message string) error {
	return &fault.Error{Kind: fault.Forbidden, Code: "DID_CLAIM_DENIED", Message: message}
}

// readAhead returns the body as far as it is a JSON object, and leaves it to be read again. The names of its fields are taken exactly
// as they are, which is how they are bound later; a name that appears twice is refused there.
func readAhead(r *http.Request) (map[string]any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	var draft map[string]any
	if json.Unmarshal(data, &draft) != nil {
		return nil, nil //nolint:nilerr // what is wrong with it is said when its turn comes
	}
	return draft, nil
}

// askRules asks the permission rules, where there are any.
func (s server) askRules(about engineconfig.Resource) gin.HandlerFunc {
	return func(c *gin.Context) {
		if s.Rules == nil {
			return
		}
		found, err := claimOf(c.Request.Context())
		if err == nil {
			err = s.Rules.Allow(c.Request.Context(), engineconfig.Ask{Space: found.space, Actor: found.actor, Resource: about, Record: found.draft})
		}
		if err != nil {
			refuse(c, err)
		}
	}
}

// confirm looks at the caller again behind a body, which may have been sent so slowly that the token was revoked meanwhile.
func (s server) confirm(verb grant.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		found, err := claimOf(c.Request.Context())
		if err == nil && !found.off && c.Request.ContentLength != 0 {
			author, _ := found.draft["actor"].(string)
			var now claim
			if now, err = s.again(c.Request, verb, author); err == nil && now.actor != found.actor {
				err = denied("the claimed actor is not one of this service account any more")
			}
		}
		if err != nil {
			refuse(c, err)
		}
	}
}

// again goes through the stages before the permission rules once more, for a request that has passed them a while ago.
func (s server) again(r *http.Request, verb grant.Verb, author string) (claim, error) {
	found, err := s.callerOf(r, func(ctx context.Context, token string) (verifier.Verdict, error) {
		return s.Verifier.Recheck(ctx, token, "")
	})
	switch {
	case err != nil || found.off:
		return found, err
	case verb != "" && !found.has(verb):
		return claim{}, lacks(verb)
	}
	found.actor, err = prove(found.caller.Principal.ServiceAccount.Actors, r.Header.Values(actorHeader), author)
	return found, err
}

// refuse answers with err and, where a token is what is wrong, says so as RFC 6750 has it.
func refuse(c *gin.Context, err error) {
	var e *fault.Error
	switch {
	case !errors.As(err, &e):
	case e.Kind == fault.Unauthenticated && e.Code == errNoToken.Code:
		c.Header("WWW-Authenticate", realm)
	case e.Kind == fault.Unauthenticated:
		// The key manager says it in other words.
		c.Header("WWW-Authenticate", realm+`, error="invalid_token"`)
		err = errBadToken.Because(err)
	case e.RequiredScope != "":
		c.Header("WWW-Authenticate", realm+`, error="insufficient_scope", scope=`+strconv.Quote(e.RequiredScope))
	}
	web.Fail(c, err)
}

// elsewhere asks who calls before it lets anybody know that there is nothing under a path of this face.
func (s server) elsewhere(c *gin.Context) {
	if within(c.Request.URL.EscapedPath()) {
		s.authenticate(c)
	}
}
