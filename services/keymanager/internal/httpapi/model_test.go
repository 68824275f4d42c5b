package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// TestAgainstAModel sends random operations to a server and to a naive model of it, and compares: every status, the list of
// keys, and what each secret that was ever shown is worth.
func TestAgainstAModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		s := founded(t, database)
		var runs atomic.Int64
		rapid.Check(t, func(t *rapid.T) {
			// Each run has contexts of its own, so that the server need not be emptied.
			m := &model{server: s, prefix: fmt.Sprintf("%s/r%d-", contextsPath, runs.Add(1)), contexts: map[string]*modelContext{}}
			for range rapid.IntRange(1, 16).Draw(t, "steps") {
				m.step(t)
			}
			m.check(t)
		})
	})
}

type model struct {
	server   *server
	prefix   string
	contexts map[string]*modelContext
	// secrets are all that were ever shown, with where they were shown.
	secrets []modelSecret
}

type modelContext struct {
	limit time.Duration // of times to live; 0 is none
	keys  map[string]*modelKey
}

type modelKey struct {
	id, principal, secret string
	ends                  time.Time // zero is never
}

type modelSecret struct{ context, name, text string }

// slack is how far the clocks of the model and of the server may differ.
const slack = 20 * time.Second

func (m *model) step(t *rapid.T) {
	context := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "context")
	name := rapid.SampledFrom([]string{"k1", "k 2", "ключ/1"}).Draw(t, "name")
	ttl := rapid.SampledFrom([]int{0, 100, 5000}).Draw(t, "ttl") // 0 is not given
	switch rapid.SampledFrom([]string{"create", "mint", "mint", "rotate", "rotate", "delete key", "limit", "delete"}).Draw(t, "operation") {
	case "create":
		m.create(t, context)
	case "mint":
		m.mint(t, context, name, ttl)
	case "rotate":
		m.rotate(t, context, name, ttl)
	case "delete key":
		m.deleteKey(t, context, name)
	case "limit":
		m.limit(t, context, ttl)
	case "delete":
		m.delete(t, context)
	}
}

func (m *model) create(t *rapid.T, context string) {
	want := http.StatusCreated
	if m.contexts[context] != nil {
		want = http.StatusConflict
	}
	into[struct{}](t, m.server.operate("POST", m.prefix+context, nil), want)
	if m.contexts[context] == nil {
		m.contexts[context] = &modelContext{keys: map[string]*modelKey{}}
	}
}

func (m *model) mint(t *rapid.T, context, name string, ttl int) {
	a := m.server.operate("POST", m.target(context, name, "", ttl), nil)
	c := m.contexts[context]
	switch {
	case c == nil:
		into[struct{}](t, a, http.StatusNotFound)
	case c.keys[name] != nil:
		into[struct{}](t, a, http.StatusConflict)
	default:
		minted := into[httpapi.MintedKey](t, a, http.StatusCreated)
		c.keys[name] = &modelKey{id: minted.Id, principal: minted.PrincipalId}
		m.shown(t, context, name, c.end(ttl, time.Time{}), minted)
	}
}

func (m *model) rotate(t *rapid.T, context, name string, ttl int) {
	a := m.server.operate("POST", m.target(context, name, "/rotate", ttl), nil)
	c := m.contexts[context]
	if c == nil || c.keys[name] == nil {
		into[struct{}](t, a, http.StatusNotFound)
		return
	}
	rotated := into[httpapi.MintedKey](t, a, http.StatusOK)
	m.shown(t, context, name, c.end(ttl, c.keys[name].ends), rotated)
}

// shown notes a secret, which takes the place of the key's last one.
func (m *model) shown(t *rapid.T, context, name string, ends time.Time, got httpapi.MintedKey) {
	k := m.contexts[context].keys[name]
	if got.Name != name || got.Id != k.id || got.PrincipalId != k.principal || got.Key == k.secret {
		t.Fatalf("key %s is now key %s, %q", k.id, got.Id, got.Name)
	}
	if ends.IsZero() != (got.ValidUntil == nil) || got.ValidUntil != nil && got.ValidUntil.Sub(ends).Abs() > slack {
		t.Fatalf("key %q ends at %v, want %v", name, got.ValidUntil, ends)
	}
	k.secret, k.ends = got.Key, ends
	m.secrets = append(m.secrets, modelSecret{context, name, got.Key})
}

// end is the end of a key that is minted or rotated now.
func (c *modelContext) end(ttl int, kept time.Time) time.Time {
	end := kept
	if ttl > 0 {
		end = time.Now().Add(time.Duration(ttl) * time.Second)
	}
	if latest := time.Now().Add(c.limit); c.limit > 0 && (end.IsZero() || end.After(latest)) {
		return latest
	}
	return end
}

func (m *model) deleteKey(t *rapid.T, context, name string) {
	want := http.StatusNotFound
	if c := m.contexts[context]; c != nil && c.keys[name] != nil {
		want = http.StatusNoContent
		delete(c.keys, name)
	}
	into[struct{}](t, m.server.operate("DELETE", m.target(context, name, "", 0), nil), want)
}

func (m *model) limit(t *rapid.T, context string, seconds int) {
	body := `{"config":{"max_token_ttl_seconds":null}}`
	if seconds > 0 {
		body = fmt.Sprintf(`{"config":{"max_token_ttl_seconds":%d}}`, seconds)
	}
	want := http.StatusNotFound
	if c := m.contexts[context]; c != nil {
		want = http.StatusOK
		c.limit = time.Duration(seconds) * time.Second
	}
	into[struct{}](t, m.server.operate("PATCH", m.prefix+context, body), want)
}

func (m *model) delete(t *rapid.T, context string) {
	want := http.StatusNotFound
	if m.contexts[context] != nil {
		want = http.StatusNoContent
		delete(m.contexts, context)
	}
	into[struct{}](t, m.server.operate("DELETE", m.prefix+context, nil), want)
}

func (m *model) target(context, name, action string, ttl int) string {
	target := m.prefix + context + "/keys/" + url.PathEscape(name) + action
	if ttl > 0 {
		target += fmt.Sprintf("?ttl_seconds=%d", ttl)
	}
	return target
}

// check compares all that can be seen.
func (m *model) check(t *rapid.T) {
	for _, context := range []string{"a", "b"} {
		a := m.server.operate("GET", m.prefix+context+"/keys", nil)
		c := m.contexts[context]
		if c == nil {
			into[struct{}](t, a, http.StatusNotFound)
			continue
		}
		var want, got []string
		for name, k := range c.keys {
			want = append(want, name+" "+k.id+" "+k.principal)
		}
		slices.Sort(want)
		for _, k := range into[[]httpapi.Key](t, a, http.StatusOK) {
			got = append(got, k.Name+" "+k.Id+" "+k.PrincipalId)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("keys (-model +server):\n%s", diff)
		}
	}
	texts := make([]string, len(m.secrets))
	for i, secret := range m.secrets {
		texts[i] = secret.text
	}
	for i, verdict := range m.server.introspect(t, texts...).Verdicts {
		shown := m.secrets[i]
		c := m.contexts[shown.context]
		want := c != nil && c.keys[shown.name] != nil && c.keys[shown.name].secret == shown.text
		if verdict.Active != want {
			t.Fatalf("secret %d, of %q in %q: active %v, want %v", i, shown.name, shown.context, verdict.Active, want)
		}
		if want && (verdict.KeyName != shown.name || verdict.KeyID != c.keys[shown.name].id ||
			(verdict.ExpiresInMicros == 0) != c.keys[shown.name].ends.IsZero()) {
			t.Fatalf("secret %d is worth %+v", i, verdict)
		}
	}
}
