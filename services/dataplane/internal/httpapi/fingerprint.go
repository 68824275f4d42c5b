package httpapi

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

type fingerprintKey struct{}

// fingerprintBody puts the fingerprint of the request's body, as parsed JSON, where the handler finds it: clients in two
// languages write the same request in different bytes. Only idempotent writes pay for it.
func fingerprintBody(c *gin.Context) {
	body, ok := c.Request.Body.(interface{ ValidatedValue() any })
	if !ok || len(c.Request.Header.Values("Idempotency-Key")) == 0 {
		return
	}
	sum, err := fingerprintOf(body.ValidatedValue())
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), fingerprintKey{}, sum))
}

// fingerprintOf writes a JSON value in one of the ways it can be written: names sorted, 1.0 as 1.
func fingerprintOf(parsed any) (sum fingerprint.Sum, err error) {
	text, err := json.Marshal(plain(parsed))
	if err != nil {
		return sum, err
	}
	return fingerprint.Of(string(text)), nil
}

// plain returns parsed with its fractions as doubles, which are written in one way. An integer has only one way, and may have
// more digits than a double.
func plain(parsed any) any {
	switch parsed := parsed.(type) {
	case json.Number:
		if fraction, err := parsed.Float64(); err == nil && strings.ContainsAny(parsed.String(), ".eE") {
			return fraction
		}
		return parsed
	case []any:
		out := make([]any, len(parsed))
		for i, each := range parsed {
			out[i] = plain(each)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(parsed))
		for name, each := range parsed {
			out[name] = plain(each)
		}
		return out
	default:
		return parsed
	}
}

func bodyFingerprint(ctx context.Context) fingerprint.Sum {
	sum, _ := ctx.Value(fingerprintKey{}).(fingerprint.Sum) // the zero value equals no body's
	return sum
}
