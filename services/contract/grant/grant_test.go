package grant_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// holder is a Map that may be asked.
type holder grant.Map

func (h holder) Authority() grant.Map { return grant.Map(h) }

func parse(tb testing.TB, raw map[string][]string) grant.Map {
	tb.Helper()
	m, err := grant.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestTheVerbsAreExactlyTheSeven(t *testing.T) {
	t.Parallel()
	var got []string
	for _, v := range grant.Verbs() {
		got = append(got, string(v))
		if v.Description() == "" {
			t.Errorf("%s has no description", v)
		}
	}
	want := "memory:read memory:write memory:forget scope:read scope:create scope:delete grant:manage"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
	for _, flat := range []string{"read", "write", "manage", "key:create", "", "Memory:Read", "memory:read "} {
		if _, err := grant.ParseVerb(flat); err == nil {
			t.Errorf("%q was taken", flat)
		}
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	h := holder(parse(t, map[string][]string{"memory:read": {"org/acme/*"}, "memory:write": {"org/acme/user/alice"}}))
	tests := []struct {
		verb  grant.Verb
		path  string
		allow bool
	}{
		{grant.MemoryRead, "org/acme", true},
		{grant.MemoryRead, "org/acme/user/bob", true},
		{grant.MemoryRead, "org/acmex", false},
		{grant.MemoryRead, "/", false},
		{grant.MemoryWrite, "org/acme/user/alice", true},
		{grant.MemoryWrite, "org/acme/user/alice/notes", false},
		{grant.MemoryForget, "org/acme/user/alice", false},
		{grant.GrantManage, "/", false},
	}
	for _, tt := range tests {
		path, err := scope.ParsePath(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		err = grant.Authorize(h, tt.verb, path)
		if (err == nil) != tt.allow || err != nil && !errors.Is(err, fault.Forbidden) {
			t.Errorf("%s over %s: %v", tt.verb, tt.path, err)
		}
	}
}

func TestAuthorizeSetsWantsEveryNode(t *testing.T) {
	t.Parallel()
	h := holder(parse(t, map[string][]string{"memory:write": {"org/acme/*"}}))
	for wire, allow := range map[string]bool{
		`[["org/acme"],["org/acme/user/alice"]]`: true,
		`[["org/acme"],["org/beta"]]`:            false,
		`[["org/acme","org/beta"]]`:              false,
		`[]`:                                     true,
	} {
		var sets scope.Sets
		if err := json.Unmarshal([]byte(wire), &sets); err != nil {
			t.Fatal(err)
		}
		if err := grant.AuthorizeSets(h, grant.MemoryWrite, sets); (err == nil) != allow {
			t.Errorf("%s: %v", wire, err)
		}
	}
}

func TestWithinNamesTheFirstOffender(t *testing.T) {
	t.Parallel()
	outer := parse(t, map[string][]string{"memory:read": {"org/acme/*", "org/beta"}})
	tests := []struct {
		name  string
		inner map[string][]string
		allow bool
	}{
		{"same", map[string][]string{"memory:read": {"org/acme/*"}}, true},
		{"deeper", map[string][]string{"memory:read": {"org/acme/user/*", "org/beta"}}, true},
		{"nothing", map[string][]string{}, true},
		{"wider", map[string][]string{"memory:read": {"org/*"}}, false},
		{"subtree of an exact grant", map[string][]string{"memory:read": {"org/beta/*"}}, false},
		{"another verb", map[string][]string{"memory:write": {"org/acme"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := parse(t, tt.inner).Within(outer)
			if (err == nil) != tt.allow || err != nil && !errors.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestParseNamesTheBadEntry(t *testing.T) {
	t.Parallel()
	long := make([]string, 128)
	for i := range long {
		long[i] = fmt.Sprintf("%0128d/%0128d/%0128d/%0128d", i, i, i, i)
	}
	tests := []struct {
		raw   map[string][]string
		field string
	}{
		{map[string][]string{"read": {"/*"}}, "grants"},
		{map[string][]string{"memory:read": {"/*", "a*"}}, "grants.memory:read.1"},
		{map[string][]string{"memory:read": make([]string, grant.MaxPatterns+1)}, "grants.memory:read"},
		{map[string][]string{"memory:read": long}, "grants"},
	}
	for _, tt := range tests {
		_, err := grant.Parse(tt.raw)
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Field != tt.field {
			t.Errorf("got %v, want field %q", err, tt.field)
		}
	}
}

func genMap() *rapid.Generator[grant.Map] {
	patterns := []string{"/*", "/", "a", "a/*", "a/b", "a/b/*", "ab/*", "c"}
	return rapid.Custom(func(t *rapid.T) grant.Map {
		raw := rapid.MapOfN(
			rapid.SampledFrom([]string{"memory:read", "memory:write", "grant:manage"}),
			rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 4), 0, 3).Draw(t, "grants")
		m, err := grant.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func equal(a, b grant.Map) bool {
	x, errX := json.Marshal(a.Normal())
	y, errY := json.Marshal(b.Normal())
	return errX == nil && errY == nil && string(x) == string(y)
}

func TestMapProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genMap().Draw(t, "a"), genMap().Draw(t, "b"), genMap().Draw(t, "c")
		if !equal(a.Meet(b), b.Meet(a)) {
			t.Fatal("meet is not commutative")
		}
		if !equal(a.Meet(b).Meet(c), a.Meet(b.Meet(c))) {
			t.Fatal("meet is not associative")
		}
		if !equal(a.Meet(a), a) || !equal(a.Meet(grant.All()), a) {
			t.Fatal("meet is not idempotent, or All is not neutral")
		}
		if err := a.Meet(b).Within(a); err != nil {
			t.Fatalf("meet widens: %v", err)
		}
		if !equal(grant.Effective(a, nil), a) || !equal(grant.Effective(a, b), a.Meet(b)) {
			t.Fatal("effective authority is not the meet")
		}
		text, err := json.Marshal(a)
		var back grant.Map
		if err != nil || json.Unmarshal(text, &back) != nil || !equal(a, back) {
			t.Fatalf("%s does not read back", text)
		}
	})
}

func TestJSONRefusesUnknownVerbsAndShapes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"read":["/*"]}`, `{"memory:read":"/*"}`, `{"memory:read":[{"org":"acme"}]}`, `["memory:read"]`, `{"memory:read":["a*"]}`,
	} {
		var m grant.Map
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s was taken as %v", text, m)
		}
	}
}
