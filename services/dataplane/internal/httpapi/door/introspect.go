package door

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/verifier"
)

// formType is the content type of a question.
const formType = "application/x-www-form-urlencoded"

// introspect answers what a key is worth, as RFC 7662 has it.
func (s server) introspect(c *gin.Context) {
	answer, err := s.ask(c)
	if err != nil {
		s.answers.WithLabelValues("introspect", outcome(err)).Inc()
		refuse(c, err)
		return
	}
	told := "inactive"
	if answer.Active {
		told = "active"
	}
	s.answers.WithLabelValues("introspect", told).Inc()
	c.JSON(http.StatusOK, answer)
}

func (s server) ask(c *gin.Context) (Introspection, error) {
	key, name, ok := credential(c.Request)
	if !ok {
		return Introspection{}, fault.BadCredential()
	}
	asker, err := s.Authenticate(c, key)
	if err != nil {
		return Introspection{}, err
	}
	if name != nil && !named(asker.Caller, *name) {
		return Introspection{}, fault.BadCredential()
	}
	about, err := subject(c.Request)
	if err != nil {
		return Introspection{}, err
	}
	// The body may have come so slowly that the asker's own key was revoked meanwhile.
	if asker, err = s.Check(c.Request.Context(), key); err != nil {
		return Introspection{}, err
	}
	found, err := s.Check(c.Request.Context(), about)
	switch {
	case errors.Is(err, fault.Unauthenticated):
		return Introspection{}, nil
	case err != nil:
		return Introspection{}, err
	case found.Caller.Context != asker.Caller.Context || found.Caller.Incarnation != asker.Caller.Incarnation:
		return Introspection{}, nil
	}
	return s.describe(found), nil
}

// credential returns the key that the caller shows, and as whom it shows it where the scheme has a name.
func credential(r *http.Request) (key string, name *string, ok bool) {
	if user, password, basic := r.BasicAuth(); basic && len(r.Header.Values("Authorization")) == 1 {
		// RFC 6749, section 2.3.1: both are form-encoded before they are put together.
		id, idErr := url.QueryUnescape(user)
		secret, secretErr := url.QueryUnescape(password)
		return secret, &id, idErr == nil && secretErr == nil && secret != ""
	}
	key, ok = bearer(r)
	return key, nil, ok
}

// bearer returns the key of the one Authorization header. Its characters are the verifier's business: the chosen token of a service
// account may have any.
func bearer(r *http.Request) (key string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, key, found := strings.Cut(values[0], " ")
	key = strings.TrimLeft(key, " ")
	return key, found && key != "" && strings.EqualFold(scheme, "Bearer")
}

// named reports whether who may call itself name.
func named(who *caller.Caller, name string) bool {
	return name == who.KeyID || name == who.KeyName || name == who.Principal.ID
}

// subject reads which key the question is about.
func subject(r *http.Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
		return "", fault.New(fault.Invalid, "the body must be %s", formType)
	}
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return "", err
		}
		return "", fault.New(fault.Invalid, "the form is malformed")
	}
	tokens := r.PostForm["token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return "", fault.New(fault.Invalid, "the form must have token once")
	}
	return tokens[0], nil
}

func (s server) describe(found verifier.Verdict) Introspection {
	who := found.Caller
	scopes, kind, grants := strings.Join(scopesOf(who.Effective), " "), string(who.Principal.Kind), map[string][]string{}
	for verb, region := range who.Effective {
		for _, pattern := range region {
			grants[string(verb)] = append(grants[string(verb)], pattern.String())
		}
	}
	answer := Introspection{
		Active: true, Scope: &scopes, ClientID: &who.KeyID, Username: &who.Principal.ID, Sub: new(assertion.Subject(who)), TokenType: new("Bearer"),
		Context: &who.Context, KeyName: &who.KeyName, PrincipalKind: &kind, PrincipalName: &who.Principal.DisplayName, Grants: &grants,
	}
	if s.Issuer != "" {
		answer.Iss = &s.Issuer
	}
	if account := who.Principal.ServiceAccount; account != nil {
		answer.Actors = &account.Actors
	}
	if !found.Ends.IsZero() {
		// Two readings of one clock apart, not the wall clock of when it was asked.
		now := s.Now()
		answer.Exp = new(now.Add(found.Ends.Sub(now)).Unix())
	}
	return answer
}

// refuse answers as RFC 6749, section 5.2, has it, where it has.
func refuse(c *gin.Context, err error) {
	var code OAuthErrorError
	switch fault.KindOf(err) { //nolint:exhaustive // the others are no affair of OAuth
	case fault.Unauthenticated:
		code = OAuthErrorErrorInvalidClient
		realm := ` realm="spectron"`
		c.Writer.Header().Add("WWW-Authenticate", "Bearer"+realm)
		c.Writer.Header().Add("WWW-Authenticate", "Basic"+realm)
	case fault.Invalid:
		code = OAuthErrorErrorInvalidRequest
	default:
		web.Fail(c, err)
		return
	}
	problem := fault.ProblemOf(err, "", "")
	c.AbortWithStatusJSON(problem.Status, OAuthError{Error: code, ErrorDescription: problem.Detail})
}
