package door

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/verifier"
)

// conditions are what a proxy wants of a request beyond a good key.
type conditions struct {
	verb     grant.Verb // empty: nothing
	path     scope.Path // the root, unless another is named
	context  string     // empty: any
	audience string     // of the assertion; empty: the first one
}

// verify answers a proxy whether a request may pass. Who calls is asked first: nobody without a key learns what is wanted here.
func (s server) verify(c *gin.Context) {
	err := s.allow(c)
	if err == nil {
		s.answers.WithLabelValues("verify", "allowed").Inc()
		c.Status(http.StatusOK)
		return
	}
	s.answers.WithLabelValues("verify", outcome(err)).Inc()
	web.Fail(c, err)
}

func (s server) allow(c *gin.Context) error {
	key, ok := bearer(c.Request)
	if !ok {
		return fault.BadCredential()
	}
	found, err := s.Authenticate(c, key)
	if err != nil {
		return err
	}
	want, err := conditionsOf(c.Request.URL)
	if err != nil {
		return err
	}
	if want.audience != "" && (s.Signer == nil || !s.Signer.Knows(want.audience)) {
		return fault.InvalidField("audience", "is none that assertions are made for")
	}
	if want.context != "" && want.context != found.Caller.Context {
		return fault.BadCredential()
	}
	if want.verb != "" {
		if err := grant.Authorize(found.Caller, want.verb, want.path); err != nil {
			return err
		}
	}
	return s.identify(c.Writer.Header(), found, want)
}

// conditionsOf reads the conditions in the URL by which a proxy asks. Anything that might have been meant as one and is not understood
// is an error: a proxy whose configuration has a typing error lets nobody pass.
func conditionsOf(u *url.URL) (want conditions, err error) {
	text := u.RawQuery
	if rest, below := strings.CutPrefix(u.EscapedPath(), verifyPath+"/"); below {
		// The rest, and so the query, is the client's own, but for a first segment that says otherwise.
		first, _, _ := strings.Cut(rest, "/")
		given, some := strings.CutPrefix(first, "if;")
		if !some {
			return want, misplaced(rest, u)
		}
		text = strings.ReplaceAll(given, ";", "&")
	}
	query, err := url.ParseQuery(text)
	if err != nil {
		return want, fault.New(fault.Invalid, "the parameters are malformed")
	}
	for name, values := range query {
		switch {
		case len(values) != 1:
			return want, fault.InvalidField(name, "must be given once")
		case values[0] == "":
			return want, fault.InvalidField(name, "must not be empty")
		}
		if err := want.set(name, values[0]); err != nil {
			return want, err
		}
	}
	if want.verb == "" && want.path != (scope.Path{}) {
		return want, fault.InvalidField("path", "takes a verb")
	}
	if want.path == (scope.Path{}) {
		want.path = scope.Root
	}
	return want, nil
}

// parameters are the names of all conditions.
var parameters = []string{"verb", "path", "context", "audience"}

func (w *conditions) set(name, value string) (err error) {
	switch name {
	case "verb":
		err = w.verb.UnmarshalText([]byte(value))
	case "path":
		w.path, err = scope.ParsePath(value)
	case "context":
		w.context = value
	case "audience":
		w.audience = value
	default:
		return fault.New(fault.Invalid, "there is no such parameter; there are %s", strings.Join(parameters, ", "))
	}
	if err != nil {
		return fault.InvalidField(name, "%v", err)
	}
	return nil
}

// misplaced refuses the one slip of the pen that would turn all conditions into a query of the client's: a slash too many.
func misplaced(rest string, u *url.URL) error {
	if rest != "" {
		return nil
	}
	query := u.Query()
	if slices.ContainsFunc(parameters, query.Has) {
		return fault.New(fault.Invalid, "parameters belong behind %s, without a slash", verifyPath)
	}
	return nil
}

// identify writes who asks into the headers of an answer. All of them are always there, so a proxy that copies them leaves none of the
// client's own.
func (s server) identify(header http.Header, found verifier.Verdict, want conditions) error {
	who := found.Caller
	scopes, cut := fitting(scopesOf(who.Effective))
	signed := ""
	if s.Signer != nil {
		said := assertion.Statement{
			Caller: who, Ends: found.Ends, Audience: want.audience, Verb: string(want.verb), Scope: scopes, ScopeCut: cut,
		}
		if want.verb != "" {
			said.Path = want.path.String()
		}
		var err error
		if signed, err = s.Signer.Sign(said); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{
		"X-Spectron-Context":        encode(who.Context),
		"X-Spectron-Principal":      encode(who.Principal.ID),
		"X-Spectron-Principal-Kind": encode(string(who.Principal.Kind)),
		"X-Spectron-On-Behalf-Of":   encode(onBehalfOf(who)),
		"X-Spectron-Key-Id":         encode(who.KeyID),
		"X-Spectron-Key-Name":       encode(who.KeyName),
		"X-Spectron-Scopes":         scopes,
		"X-Spectron-Scopes-Cut":     strconv.FormatBool(cut),
		"X-Spectron-Verdict":        string(found.Source),
		"X-Spectron-As-Of":          strconv.FormatInt(found.AsOf, 10),
		"X-Spectron-Assertion":      signed,
	} {
		header.Set(name, value)
	}
	return nil
}

func onBehalfOf(who *caller.Caller) string {
	if who.OnBehalfOf == nil {
		return ""
	}
	return who.OnBehalfOf.ID
}
