package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// revokePath is where credentials are revoked by their digests.
const revokePath = "/api/v1/keys/revoke"

// hashOf is the digest of a credential, in hexadecimal digits.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// digestOf is the same as it is named where what has leaked is revoked.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// verdictOn is what the authority says of any text.
func (s *server) verdictOn(t *testing.T, text string) introspection.Verdict {
	t.Helper()
	request := introspection.Request{Digests: []apikey.Digest{apikey.DigestOf(text)}}
	return into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), request), http.StatusOK).Verdicts[0]
}

// What an operator sets on a key is what the authority says from then on, and rotation changes nothing about it.
func TestSettingsHoldFromTheNextQuestion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		text := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated).Key
		want := caller.Limits{}
		rate := &caller.RateLimit{Requests: 5, Per: time.Minute, Burst: 7}
		networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::7/128")}
		for _, step := range []struct {
			body   string
			active bool
			set    func()
		}{
			{`{"rate_limit":{"requests":5,"per_seconds":60,"burst":7}}`, true, func() { want.RateLimit = rate }},
			{`{"allowed_cidrs":["::ffff:10.1.2.3/104","2001:db8::7"]}`, true, func() { want.AllowedCIDRs = networks }},
			{`{"enabled":false}`, false, func() {}},
			{`{"allowed_cidrs":[]}`, false, func() { want.AllowedCIDRs = nil }},
			{`{"enabled":true}`, true, func() {}},
			{`{"rate_limit":null}`, true, func() { want.RateLimit = nil }},
		} {
			into[struct{}](t, s.operate("PATCH", keys+"/k", step.body), http.StatusOK)
			step.set()
			for _, when := range []string{"at once", "rotated"} {
				if when == "rotated" {
					text = into[httpapi.MintedKey](t, s.operate("POST", keys+"/k/rotate", nil), http.StatusOK).Key
				}
				got := s.verdictOn(t, text)
				if got.Active != step.active {
					t.Errorf("%s %s: active %t", step.body, when, got.Active)
				}
				limits := caller.Limits{}
				if got.Limits != nil {
					limits = *got.Limits
				}
				if step.active && !cmp.Equal(limits, want, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
					t.Errorf("%s %s: limits %+v, want %+v", step.body, when, limits, want)
				}
			}
		}
	})
}

// Whoever holds a key that is disabled or limited cannot mint its way out of that.
func TestSettingsHoldForErrands(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		who := s.identity(t, s.first)
		into[struct{}](t, s.operate("PATCH", keys+"/default", `{"rate_limit":{"requests":5,"per_seconds":60},"allowed_cidrs":["10.0.0.0/8"]}`), http.StatusOK)
		issued := into[introspection.IssuedKey](t, s.run(t, who, introspection.MintKeyPath), http.StatusOK)
		before, made := s.verdictOn(t, s.first), s.verdictOn(t, issued.Key)
		if !made.Active || before.Limits == nil || !cmp.Equal(made.Limits, before.Limits, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
			t.Errorf("a minted key has the limits %+v, its maker %+v", made.Limits, before.Limits)
		}
		into[struct{}](t, s.operate("PATCH", keys+"/default", `{"enabled":false}`), http.StatusOK)
		for _, path := range errandPaths {
			if a := s.run(t, who, path); a.status != http.StatusUnauthorized {
				t.Errorf("%s by a key that is disabled: %d", path, a.status)
			}
		}
		if !s.verdictOn(t, issued.Key).Active {
			t.Error("another key of the principal is disabled, too")
		}
	})
}

// What has leaked is revoked by its digest, whatever it is, but for the key of whoever revokes.
func TestWhatHasLeakedIsRevoked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated).Key
		rotated := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k/rotate", nil), http.StatusOK).Key
		const foreign = "another-system_0123456789"
		into[struct{}](t, s.operate("POST", keys+"/import", `{"keys":[{"name":"i","hash":"`+hashOf(foreign)+`"}]}`), http.StatusOK)
		into[struct{}](t, s.operate("PATCH", keys+"/i", `{"enabled":false}`), http.StatusOK)
		texts := []string{minted, s.management, s.first, foreign}
		body := fmt.Sprintf(`{"digests":[%q,%q,%q,%q],"reason":"in a log"}`, digestOf(texts[0]), digestOf(texts[1]), digestOf(texts[2]), digestOf(texts[3]))
		revoked := into[[]httpapi.RevokedKey](t, s.operate("POST", revokePath, body), http.StatusOK)
		want := []httpapi.RevokedKeyOutcome{
			httpapi.RevokedKeyOutcomeUnknown, httpapi.RevokedKeyOutcomeRefused, httpapi.RevokedKeyOutcomeRevoked, httpapi.RevokedKeyOutcomeRevoked,
		}
		for i, r := range revoked {
			if r.Outcome != want[i] {
				t.Errorf("credential %d: %s, want %s", i, r.Outcome, want[i])
			}
		}
		if !s.verdictOn(t, rotated).Active {
			t.Error("the key that the leaked text was rotated to is gone, too")
		}
		if s.verdictOn(t, s.first).Active {
			t.Error("a revoked key opens its context")
		}
		// The management key still works, and what was disabled cannot be enabled any more.
		into[struct{}](t, s.operate("PATCH", keys+"/i", `{"enabled":true}`), http.StatusNotFound)
	})
}

// An import gives nobody more than its principal has, nor anything that exists another name.
func TestImportsWiden(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		p := s.principal(t, `{"display_name":"p","grants":{"memory:read":["a/*"]}}`)
		hash := func(i int) string { return hashOf(fmt.Sprintf("another-system_%010d", i)) }
		items := []struct{ item, status string }{
			{`{"name":"narrower","hash":"` + hash(1) + `","principal_id":"` + p.Id + `","grants":{"memory:read":["a/b"]}}`, "created"},
			{`{"name":"wider","hash":"` + hash(2) + `","principal_id":"` + p.Id + `","grants":{"memory:read":["/*"]}}`, "error"},
			{`{"name":"other verb","hash":"` + hash(3) + `","principal_id":"` + p.Id + `","grants":{"memory:write":["a/b"]}}`, "error"},
			{`{"name":"nobody","hash":"` + hash(4) + `","principal_id":"nobody"}`, "error"},
			{`{"name":"past","hash":"` + hash(5) + `","expires_at":"2020-01-01T00:00:00Z"}`, "error"},
			{`{"name":"management","hash":"` + hashOf(s.management) + `"}`, "conflict"},
			{`{"name":"first","hash":"` + hashOf(s.first) + `"}`, "conflict"},
			{`{"name":"default","hash":"` + hash(6) + `"}`, "conflict"},
			{`{"name":"twice","hash":"` + hash(1) + `"}`, "conflict"},
			{`{"name":"narrower","hash":"` + hash(1) + `"}`, "exists"},
		}
		for _, each := range items {
			got := into[httpapi.ImportedKeys](t, s.operate("POST", keys+"/import", `{"keys":[`+each.item+`]}`), http.StatusOK)
			if string(got.Keys[0].Status) != each.status {
				t.Errorf("%s: %s, want %s", got.Keys[0].Name, got.Keys[0].Status, each.status)
			}
			if each.status == "exists" && (got.Revision == nil || got.Propagation == nil) {
				t.Error("a repeated import does not tell verifiers again: the answer to the first may have been lost")
			}
		}
		for i := 2; i < 7; i++ {
			if s.verdictOn(t, fmt.Sprintf("another-system_%010d", i)).Active {
				t.Errorf("key %d was not imported, and opens its context", i)
			}
		}
	})
}
