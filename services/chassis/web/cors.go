package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what it was allowed.
const preflightAge = 10 * time.Minute

// Origins are the pages that may call a server from a browser; none may when it is empty.
type Origins []*regexp.Regexp

// ParseOrigins reads origins such as https://app.example.com. In one, * stands for any characters, as in
// https://*.example.com; the rest must match from end to end. Everybody at once, which is * alone, is refused: whoever holds a
// key in a browser would hold it for every page.
func ParseOrigins(texts []string) (Origins, error) {
	var out Origins
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if strings.Trim(text, "*") == "" {
			return nil, fmt.Errorf("the origin %q would let every page in: list those that may call", text)
		}
		// A port that is *, like any other, is no port to a parser.
		parsed, err := url.Parse(strings.ReplaceAll(text, ":*", ""))
		if err != nil || parsed.Scheme == "" || strings.Contains(parsed.Scheme, "*") || parsed.Host == "" || strings.Trim(parsed.Host, "*.") == "" ||
			parsed.Path != "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
			return nil, fmt.Errorf("%q is not an origin, such as https://app.example.com or https://*.example.com", text)
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.ToLower(text)), `\*`, `[^/]*`)
		out = append(out, regexp.MustCompile(`\A`+pattern+`\z`))
	}
	return out, nil
}

// Allow reports whether origin is one of o.
func (o Origins) Allow(origin string) bool {
	origin = strings.ToLower(origin)
	for _, pattern := range o {
		if pattern.MatchString(origin) {
			return true
		}
	}
	return false
}

// crossOrigin lets the pages of both lists call, with any header but without cookies, which nothing here looks at. What a browser
// asks before a call is answered here, without credentials, unless nobody may call at all. Requests that ElsewhereCORS picks are left
// to another server.
func crossOrigin(options Options) gin.HandlerFunc {
	more := func(r *http.Request) Origins {
		if options.MoreOrigins == nil || r.Header.Get("Origin") == "" {
			return nil
		}
		return options.MoreOrigins(r)
	}
	policy := cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (bool, []string) {
			return options.Origins.Allow(origin) || more(r).Allow(origin), nil
		},
		AllowedMethods: []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{
			traceHeader, "Link", "Retry-After", "Mcp-Session-Id",
			"RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
		},
		MaxAge: int(preflightAge.Seconds()),
	})
	return func(c *gin.Context) {
		if options.ElsewhereCORS != nil && options.ElsewhereCORS(c.Request) {
			return
		}
		if len(options.Origins) == 0 && len(more(c.Request)) == 0 {
			return
		}
		policy.HandlerFunc(c.Writer, c.Request)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			c.Abort()
		}
	}
}
