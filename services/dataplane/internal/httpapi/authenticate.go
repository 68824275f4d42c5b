package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier"
)

// authenticate lets requests with the key of a principal pass; where the path names a context, with a key of that one. All
// others get the same answer, so that nobody can find out which contexts exist. A service account's token is a bad key here: it has
// scopes, which say nothing about memory.
func (p Parts) authenticate(c *gin.Context) {
	token, ok := web.Bearer(c.Request)
	if !ok || apikey.IsToken(token) {
		web.Fail(c, fault.BadCredential())
		return
	}
	verdict, err := p.admitted(c, token)
	if err != nil {
		web.Fail(c, err)
		return
	}
	ctx := caller.With(c.Request.Context(), verdict.Caller)
	c.Request = c.Request.WithContext(context.WithValue(ctx, verdictKey{}, verdict))
}

// confirm looks at the caller again behind a body, which may have been sent so slowly that its key was revoked meanwhile, or has lost
// what it was allowed.
func (p Parts) confirm(c *gin.Context) {
	if c.Request.ContentLength == 0 {
		return
	}
	token, _ := web.Bearer(c.Request)
	target, err := onBehalfOf(c.Request.Header)
	if err != nil {
		web.Fail(c, err)
		return
	}
	verdict, err := p.Verifier.Recheck(c.Request.Context(), token, target)
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Request = c.Request.WithContext(caller.With(c.Request.Context(), verdict.Caller))
}

// gather waits for all of a body that is read elsewhere, so that the caller is confirmed behind it.
func gather(c *gin.Context) {
	data, err := io.ReadAll(c.Request.Body)
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Request.Body, c.Request.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
}

// admitted tells what token is worth on behalf of whom the request names, and refuses a request that the limits of its key do not let
// pass. Those come before anything is said of that name, or a key could be used to find names more often than its limits allow, and from
// elsewhere. Only the holder of a good key of the right context learns of either.
func (p Parts) admitted(c *gin.Context, token string) (verifier.Verdict, error) {
	verdict, misnamed, err := p.check(c, token)
	if err != nil {
		return verifier.Verdict{}, err
	}
	if err := atHome(c, verdict.Caller); err != nil {
		return verifier.Verdict{}, err
	}
	if err := p.admit(c, verdict.Caller); err != nil {
		return verifier.Verdict{}, err
	}
	return verdict, misnamed
}

// admit holds who to the limits of its key, and tells how it stands. Behind the check, so that nobody but the holder of a good key
// learns of them.
func (p Parts) admit(c *gin.Context, who *caller.Caller) error {
	if who.Limits == nil {
		return nil
	}
	decision, err := p.Gate.Admit(who, web.ClientAddr(c.Request))
	decision.SetHeaders(c.Writer.Header())
	return err
}

// check tells what token is worth on behalf of whom the request names. Where that name is wrong it tells how, and what token is worth
// by itself.
func (p Parts) check(c *gin.Context, token string) (verdict verifier.Verdict, misnamed, err error) {
	ctx := c.Request.Context()
	target, misnamed := onBehalfOf(c.Request.Header)
	if target != "" && misnamed == nil {
		verdict, err = p.Verifier.CheckOnBehalf(ctx, token, target)
		if !errors.Is(err, fault.Forbidden) {
			return verdict, nil, err
		}
		misnamed = err
	}
	verdict, err = p.Verifier.Check(ctx, token)
	return verdict, misnamed, err
}

// contextID is what the id of a context looks like.
var contextID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// atHome refuses a caller of another context than the path names. That an id can be nobody's tells nothing of anybody's, so the
// holder of a good key is told.
func atHome(c *gin.Context, who *caller.Caller) error {
	id, named := c.Params.Get("context_id")
	switch {
	case !named || id == who.Context:
		return nil
	case !contextID.MatchString(id):
		return &fault.Error{Kind: fault.Unprocessable, Field: "context_id", Message: "context_id: must be lower-case letters, digits, - and _, 63 at most"}
	default:
		return fault.BadCredential()
	}
}

// verdictKey is where the verdict on the request's key travels.
type verdictKey struct{}

// maxOnBehalfOf is the longest name of a principal to act for, with its prefix.
const maxOnBehalfOf = 137

// onBehalfOf returns the id of the principal that the request is made for; empty when the caller acts for itself. The header
// has two names, by clients of two generations.
func onBehalfOf(header http.Header) (id string, err error) {
	for _, name := range []string{"X-Spectron-On-Behalf-Of", "X-Memory-On-Behalf-Of"} {
		for _, value := range header.Values(name) {
			given := strings.TrimPrefix(value, "principal:")
			switch {
			case given == "" || len(value) > maxOnBehalfOf:
				return "", fault.InvalidField(name, "must be the id of a principal")
			case id != "" && given != id:
				return "", fault.InvalidField(name, "names another principal than was named before it")
			}
			id = given
		}
	}
	return id, nil
}

// callerOf returns the caller that authenticate found.
func callerOf(ctx context.Context) (*caller.Caller, error) {
	who, ok := caller.From(ctx)
	if !ok {
		return nil, errors.New("a route without authentication asked for the caller")
	}
	return who, nil
}
