package scope_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
)

func path(tb testing.TB, text string) scope.Path {
	tb.Helper()
	p, err := scope.ParsePath(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func pattern(tb testing.TB, text string) scope.Pattern {
	tb.Helper()
	p, err := scope.ParsePattern(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", scope.MaxSegment+1)
	tests := []struct{ in, want string }{
		{"/", "/"},
		{"org", "org/"},
		{"org/acme", "org/acme/"},
		{"org/acme/", "org/acme/"},
		{"/org/acme", "org/acme/"},
		{"org/acme:eu@1.2_3-4", "org/acme:eu@1.2_3-4/"},
		{"org/åse", "org/åse/"},
		{"", ""},
		{"//", ""},
		{"org//acme", ""},
		{"org/acme//", ""},
		{"org/*", ""},
		{"org/a*", ""},
		{"org/../acme", ""},
		{"org/.", ""},
		{"org/a b", ""},
		{"org/a\nb", ""},
		{"org/\x00", ""},
		{"org/\xff", ""},
		{"org/" + long, ""},
		{strings.Repeat("a/", scope.MaxDepth), strings.Repeat("a/", scope.MaxDepth)},
		{strings.Repeat("a/", scope.MaxDepth+1), ""},
		{strings.Repeat(strings.Repeat("a", 100)+"/", 11), ""},
	}
	for _, tt := range tests {
		got, err := scope.ParsePath(tt.in)
		if got.String() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParsePath(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestParsePattern(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"*", "/*"},
		{"/*", "/*"},
		{"/", "/"},
		{"org/acme", "org/acme"},
		{"org/acme/", "org/acme"},
		{"org/acme/*", "org/acme/*"},
		{"/org/acme/*", "org/acme/*"},
		{"", ""},
		{"org*", ""},
		{"org/*/acme", ""},
		{"org/**", ""},
		{"**", ""},
		{"//*", ""},
	}
	for _, tt := range tests {
		got, err := scope.ParsePattern(tt.in)
		if err == nil && got.String() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParsePattern(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestPatternMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"org/acme", "org/acme", true},
		{"org/acme", "org/acme/user", false},
		{"org/acme", "org", false},
		{"org/acme/*", "org/acme", true},
		{"org/acme/*", "org/acme/user/alice", true},
		{"org/acme/*", "org/acmex", false},
		{"org/acme/*", "org", false},
		{"org/acme/*", "/", false},
		{"/*", "/", true},
		{"/*", "org/acme", true},
		{"/", "/", true},
		{"/", "org", false},
	}
	for _, tt := range tests {
		if got := pattern(t, tt.pattern).Matches(path(t, tt.path)); got != tt.want {
			t.Errorf("%s matches %s: %t", tt.pattern, tt.path, got)
		}
	}
}

func TestPathFamily(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range path(t, "org/acme/user/alice").Ancestors() {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"org/", "org/acme/", "org/acme/user/"}, got); diff != "" {
		t.Error(diff)
	}
	if a := scope.Root.Ancestors(); len(a) != 0 {
		t.Errorf("the root has ancestors %v", a)
	}
	child, err := path(t, "org").Child("acme")
	if err != nil || child != path(t, "org/acme") {
		t.Errorf("Child: %v, %v", child, err)
	}
	for _, bad := range []string{"", "a/b", "/", "..", "*", "a b"} {
		for _, parent := range []scope.Path{scope.Root, path(t, "org")} {
			if got, err := parent.Child(bad); err == nil {
				t.Errorf("%v.Child(%q) = %v", parent, bad, got)
			}
		}
	}
}

func TestClausesWireForm(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`"a"`, `[["a/"]]`},
		{`["a","b"]`, `[["a/"],["b/"]]`},
		{`[["a","b"]]`, `[["a/","b/"]]`},
		{`["a",["b","c"]]`, `[["a/"],["b/","c/"]]`},
		{`[]`, `[]`},
		{`null`, `null`},
		{`[[]]`, ``},
		{`[["a",[]]]`, ``},
		{`[null]`, ``},
		{`""`, ``},
		{`{}`, ``},
		{`1`, ``},
		{`[1]`, ``},
		{`["a/*"]`, ``},
		{`[` + strings.Repeat(`"a",`, scope.MaxClauses) + `"a"]`, ``},
		{`[[` + strings.Repeat(`"a",`, scope.MaxNodes) + `"a"]]`, ``},
	}
	for _, tt := range tests {
		var got scope.Sets
		err := json.Unmarshal([]byte(tt.in), &got)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s was taken as %v", tt.in, got)
			}
			continue
		}
		text, marshalErr := json.Marshal(got)
		if err != nil || marshalErr != nil || string(text) != tt.want {
			t.Errorf("%s became %s, %v; want %s", tt.in, text, err, tt.want)
		}
	}
	var lens scope.Lens
	if err := json.Unmarshal([]byte(`["org/acme/*"]`), &lens); err != nil || lens[0][0] != pattern(t, "org/acme/*") {
		t.Errorf("a lens of a pattern: %v, %v", lens, err)
	}
}

// genPath draws from a tiny alphabet, so that nested and equal paths are common.
func genPath() *rapid.Generator[scope.Path] {
	return rapid.Custom(func(t *rapid.T) scope.Path {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "b"}), 0, 4).Draw(t, "segments")
		p, err := scope.ParsePath("/" + strings.Join(segments, "/"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
}

func genPattern() *rapid.Generator[scope.Pattern] {
	return rapid.Custom(func(t *rapid.T) scope.Pattern {
		node := genPath().Draw(t, "node")
		if rapid.Bool().Draw(t, "subtree") {
			return scope.Under(node)
		}
		return scope.Exactly(node)
	})
}

func genRegion() *rapid.Generator[scope.Region] {
	return rapid.Map(rapid.SliceOfN(genPattern(), 0, 5), func(r []scope.Pattern) scope.Region { return r })
}

func TestRegionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genRegion().Draw(t, "a"), genRegion().Draw(t, "b"), genRegion().Draw(t, "c")
		node := genPath().Draw(t, "node")
		if got, want := a.Meet(b).Matches(node), a.Matches(node) && b.Matches(node); got != want {
			t.Fatalf("meet decides %t about %s, its parts %t", got, node, want)
		}
		if !a.Meet(b).Equal(b.Meet(a)) {
			t.Fatal("meet is not commutative")
		}
		if !a.Meet(b).Meet(c).Equal(a.Meet(b.Meet(c))) {
			t.Fatal("meet is not associative")
		}
		if !a.Meet(a).Equal(a) {
			t.Fatal("meet is not idempotent")
		}
		if a.Normal().Matches(node) != a.Matches(node) || !a.Normal().Equal(a) {
			t.Fatal("the normal form is another region")
		}
		for _, p := range a.Meet(b) {
			if !a.Covers(p) || !b.Covers(p) {
				t.Fatalf("meet widened to %s", p)
			}
		}
	})
}

func TestPatternProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, q := genPattern().Draw(t, "p"), genPattern().Draw(t, "q")
		if back, err := scope.ParsePattern(p.String()); err != nil || back != p {
			t.Fatalf("%s reads back as %s, %v", p, back, err)
		}
		node := genPath().Draw(t, "node")
		if p.Covers(q) && q.Matches(node) && !p.Matches(node) {
			t.Fatalf("%s covers %s but not its node %s", p, q, node)
		}
		if p.Covers(q) && q.Covers(p) && p != q {
			t.Fatalf("%s and %s cover each other", p, q)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"/", "org/acme/", "a//b", "../x", "*", "a\u00a0b", "\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := scope.ParsePath(text)
		if err != nil {
			return
		}
		again, err := scope.ParsePath(p.String())
		if err != nil || again != p {
			t.Errorf("canonical form %q reads back as %q, %v", p, again, err)
		}
		if !strings.HasSuffix(p.String(), "/") || strings.Contains(p.String(), "//") {
			t.Errorf("%q is not canonical", p)
		}
	})
}

func FuzzClauses(f *testing.F) {
	f.Add([]byte(`["a",["b","c/*"]]`))
	f.Add([]byte(` `))
	f.Fuzz(func(t *testing.T, data []byte) {
		var lens scope.Lens
		if json.Unmarshal(data, &lens) != nil {
			return
		}
		text, err := json.Marshal(lens)
		var again scope.Lens
		if err != nil || json.Unmarshal(text, &again) != nil {
			t.Fatalf("%s does not read back: %v", text, err)
		}
		if diff := cmp.Diff(lens, again, cmp.Comparer(func(a, b scope.Pattern) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	})
}
