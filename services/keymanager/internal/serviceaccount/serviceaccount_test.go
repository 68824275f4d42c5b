package serviceaccount_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

var at = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func draft(change func(*introspection.AccountDraft)) introspection.AccountDraft {
	d := introspection.AccountDraft{Name: "grafana", Actors: []string{"did:sync:svc:grafana"}, Scopes: []string{"records:read"}}
	change(&d)
	return d
}

// token is what must be in no field.
func token(t *testing.T) string {
	t.Helper()
	text, err := apikey.MintToken("prod", apikey.NewAccountID())
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

func TestWhatAnAccountMayBe(t *testing.T) {
	t.Parallel()
	many := make([]string, 256)
	for i := range many {
		many[i] = "did:" + strings.Repeat("x", i)
	}
	long := make([]string, 70)
	for i := range long {
		long[i] = strings.Repeat("x", 500) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	for name, tt := range map[string]struct {
		change func(*introspection.AccountDraft)
		field  string // of the fault; empty when it may be
	}{
		"plain":               {func(*introspection.AccountDraft) {}, ""},
		"no actors":           {func(d *introspection.AccountDraft) { d.Actors = nil }, ""},
		"no scopes asked":     {func(d *introspection.AccountDraft) { d.Scopes = nil }, ""},
		"no scopes":           {func(d *introspection.AccountDraft) { d.Scopes = []string{} }, "scopes"},
		"an unknown scope":    {func(d *introspection.AccountDraft) { d.Scopes = []string{"admin", "records:*"} }, "scopes"},
		"a verb":              {func(d *introspection.AccountDraft) { d.Scopes = []string{"memory:read"} }, "scopes"},
		"no name":             {func(d *introspection.AccountDraft) { d.Name = "" }, "name"},
		"a padded name":       {func(d *introspection.AccountDraft) { d.Name = " x" }, "name"},
		"a name with a line":  {func(d *introspection.AccountDraft) { d.Name = "a\nb" }, "name"},
		"a broken name":       {func(d *introspection.AccountDraft) { d.Name = "a\xff" }, "name"},
		"a longest name":      {func(d *introspection.AccountDraft) { d.Name = strings.Repeat("ü", 128) }, ""},
		"too long a name":     {func(d *introspection.AccountDraft) { d.Name = strings.Repeat("x", 129) }, "name"},
		"a token as name":     {func(d *introspection.AccountDraft) { d.Name = "my " + token(t) }, "name"},
		"a token as actor":    {func(d *introspection.AccountDraft) { d.Actors = []string{token(t)} }, "actors"},
		"an empty actor":      {func(d *introspection.AccountDraft) { d.Actors = []string{""} }, "actors"},
		"an actor with space": {func(d *introspection.AccountDraft) { d.Actors = []string{"did:a b"} }, "actors"},
		"an actor with blank": {func(d *introspection.AccountDraft) { d.Actors = []string{"did:a\u00a0b"} }, "actors"},
		"a longest actor":     {func(d *introspection.AccountDraft) { d.Actors = []string{strings.Repeat("x", 512)} }, ""},
		"too long an actor":   {func(d *introspection.AccountDraft) { d.Actors = []string{strings.Repeat("x", 513)} }, "actors"},
		"most actors":         {func(d *introspection.AccountDraft) { d.Actors = many[:200] }, ""},
		"too many actors":     {func(d *introspection.AccountDraft) { d.Actors = append(slices.Clone(many), "did") }, "actors"},
		"too much of actors":  {func(d *introspection.AccountDraft) { d.Actors = long }, "actors"},
	} {
		a, err := serviceaccount.New("default", draft(tt.change), at)
		var field string
		if err != nil {
			var e *fault.Error
			e, _ = err.(*fault.Error) //nolint:errorlint // it must be one itself, to be told
			if e == nil || e.Kind != fault.Invalid {
				t.Errorf("%s: %v", name, err)
				continue
			}
			field = e.Field
			if strings.Contains(e.Message, "spl_") {
				t.Errorf("%s: the answer shows the input", name)
			}
		}
		if field != tt.field || (err == nil) != apikey.ValidAccountID(a.ID) {
			t.Errorf("%s: refused %q (%v), want %q", name, field, err, tt.field)
		}
	}
	if err := serviceaccount.CheckReason("no longer with us: " + token(t)); err == nil {
		t.Error("a token is a reason")
	}
	_, err := serviceaccount.New("default", draft(func(d *introspection.AccountDraft) { d.Scopes = []string{"root"} }), at)
	for _, verb := range grant.Scopes() {
		if !strings.Contains(err.Error(), string(verb)) {
			t.Errorf("the refusal of a scope does not name %s", verb)
		}
	}
}

// Whatever is taken is what was given: each scope and each actor once.
func TestAccountsAreWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		verbs := rapid.SliceOfN(rapid.SampledFrom(grant.Scopes()), 1, 9).Draw(t, "scopes")
		actors := rapid.SliceOfN(rapid.StringMatching(`did:[a-c]{1,2}`), 0, 8).Draw(t, "actors")
		d := introspection.AccountDraft{Name: rapid.StringMatching(`[a-z]([a-z ]{0,5}[a-z])?`).Draw(t, "name"), Actors: actors}
		for _, verb := range verbs {
			d.Scopes = append(d.Scopes, string(verb))
		}
		a, err := serviceaccount.New("default", d, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range grant.Scopes() {
			if slices.Contains(verbs, verb) != slices.Contains(a.Scopes, verb) {
				t.Fatalf("%v became %v", verbs, a.Scopes)
			}
		}
		seen := map[string]bool{}
		for _, actor := range a.Actors {
			if seen[actor] || !slices.Contains(actors, actor) {
				t.Fatalf("%v became %v", actors, a.Actors)
			}
			seen[actor] = true
		}
		for _, actor := range actors {
			if !seen[actor] {
				t.Fatalf("%v became %v", actors, a.Actors)
			}
		}
		if a.Actors == nil || a.Name != d.Name || len(a.Principal().Grants) != 0 || a.Principal().Kind != "service" {
			t.Fatalf("%+v", a)
		}
	})
}

// Arbitrary text is refused or kept as it is, and what is kept can be shown.
func TestArbitraryTextIsRefusedOrKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if a, err := serviceaccount.New("default", introspection.AccountDraft{Name: text}, at); err == nil && (a.Name != text || !utf8.ValidString(text)) {
			t.Fatalf("%q became %q", text, a.Name)
		}
		a, err := serviceaccount.New("default", introspection.AccountDraft{Name: "x", Actors: []string{text}}, at)
		if err == nil && (a.Actors[0] != text || strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, " \n\x00")) {
			t.Fatalf("%q became %q", text, a.Actors[0])
		}
	})
}

func TestATokenIsOfItsAccount(t *testing.T) {
	t.Parallel()
	ring, err := secret.ParseKeyring("a pepper for tests that is long enough")
	if err != nil {
		t.Fatal(err)
	}
	a, err := serviceaccount.New("default", draft(func(*introspection.AccountDraft) {}), at)
	if err != nil {
		t.Fatal(err)
	}
	for env, want := range map[string]string{"": "prod", "dev": "dev"} {
		m, err := a.Mint(ring, env, at, tenant.Config{})
		if err != nil {
			t.Fatal(err)
		}
		seal, _ := ring.Seal(m.Text.Digest())
		if m.EnvTag != want || m.Text.Account() != a.ID || m.ID != m.Text.ID() || m.Key.ID != m.ID || m.Key.Name != m.ID || m.Key.Seal != seal ||
			m.Key.PrincipalID != a.ID || m.Key.ContextID != "default" || !m.Key.ExpiresAt.IsZero() || !m.Key.Grants.Equal(grant.OfScopes(grant.RecordsRead)) {
			t.Errorf("%q: %+v", env, m.Token)
		}
	}
	if _, err := a.Mint(ring, "Prod", at, tenant.Config{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an odd tag: %v", err)
	}
	// The context's cap on what is minted holds here, too.
	if m, err := a.Mint(ring, "", at, tenant.Config{MaxTokenTTL: 60}); err != nil || !m.Key.ExpiresAt.Equal(at.Add(time.Minute)) {
		t.Errorf("under a cap: %v, %v", m.Key.ExpiresAt, err)
	}
	a.RevokedAt = at
	if _, err := a.Mint(ring, "", at, tenant.Config{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("of a revoked account: %v", err)
	}
	if _, err := a.Edited(introspection.AccountEdit{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("editing a revoked account: %v", err)
	}
}
