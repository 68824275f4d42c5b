package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

func register(t *testing.T, s Store, incarnation, text string) scopetree.Node {
	t.Helper()
	node, err := s.Register(t.Context(), incarnation, scopetree.Node{Path: path(t, text), CreatedAt: start})
	if err != nil {
		t.Fatalf("registering %s: %v", text, err)
	}
	return node
}

func tombstone(t *testing.T, s Store, incarnation, text string) {
	t.Helper()
	if err := s.Tombstone(t.Context(), incarnation, path(t, text), start.Add(time.Minute)); err != nil {
		t.Fatalf("tombstoning %s: %v", text, err)
	}
}

func listed(t *testing.T, s Store, incarnation string, in scope.Region, page scopetree.Page) []string {
	t.Helper()
	nodes, err := s.Nodes(t.Context(), incarnation, in, page)
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	var out []string
	for _, node := range nodes {
		out = append(out, node.Path.String())
	}
	return out
}

var wholePage = scopetree.Page{Limit: scopetree.MaxPage}

func testRegister(t *testing.T, f Fixture) {
	in := incarnation()
	want := scopetree.Node{
		Path: path(t, "org/acme/user/alice"), DisplayName: "Alice", Description: "of Acme", CreatedAt: start,
	}
	got, err := f.Store.Register(t.Context(), in, want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b scope.Path) bool { return a == b })); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	all := listed(t, f.Store, in, region(t, "/*"), wholePage)
	if diff := cmp.Diff([]string{"org/", "org/acme/", "org/acme/user/", "org/acme/user/alice/"}, all); diff != "" {
		t.Errorf("with its ancestors (-want +got):\n%s", diff)
	}
	if root := register(t, f.Store, in, "/"); root.Path != scope.Root {
		t.Errorf("the root reads %s", root.Path)
	}
}

func testRegisterAgain(t *testing.T, f Fixture) {
	in := incarnation()
	node := scopetree.Node{Path: path(t, "org/acme"), DisplayName: "Acme", Description: "first", CreatedAt: start}
	if _, err := f.Store.Register(t.Context(), in, node); err != nil {
		t.Fatal(err)
	}
	tombstone(t, f.Store, in, "org/acme/")
	node.DisplayName, node.Description, node.CreatedAt = "", "second", start.Add(time.Hour)
	got, err := f.Store.Register(t.Context(), in, node)
	if err != nil {
		t.Fatal(err)
	}
	if got.DisplayName != "Acme" || got.Description != "second" || !got.CreatedAt.Equal(start) || !got.TombstonedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
}

func testNodes(t *testing.T, f Fixture) {
	in := incarnation()
	for _, text := range []string{"/", "org/acme/x", "org/acme-2", "org/acme0", "org/acmex", "org/acme.y", "org/beta/é", "org/%/_"} {
		register(t, f.Store, in, text)
	}
	tombstone(t, f.Store, in, "org/acme/x/")
	for _, tt := range []struct {
		name   string
		region scope.Region
		page   scopetree.Page
		want   []string
	}{
		{"nothing", nil, wholePage, nil},
		{"a node", region(t, "org/acme"), wholePage, []string{"org/acme/"}},
		{"a subtree", region(t, "org/acme/*"), wholePage, []string{"org/acme/", "org/acme/x/"}},
		{"wildcards are letters", region(t, "org/%/*"), wholePage, []string{"org/%/", "org/%/_/"}},
		{"several", region(t, "org/beta/*", "/", "org/acmex"), wholePage, []string{"/", "org/acmex/", "org/beta/", "org/beta/é/"}},
		{"a page", region(t, "/*"), scopetree.Page{After: "org/acme.y/", Limit: 2}, []string{"org/acme/", "org/acme/x/"}},
	} {
		if diff := cmp.Diff(tt.want, listed(t, f.Store, in, tt.region, tt.page)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func testLiving(t *testing.T, f Fixture) {
	in := incarnation()
	register(t, f.Store, in, "a")
	register(t, f.Store, in, "dead")
	tombstone(t, f.Store, in, "dead/")
	living, err := f.Store.Living(t.Context(), in, []scope.Path{path(t, "a"), path(t, "dead"), path(t, "unknown")})
	if err != nil {
		t.Fatal(err)
	}
	if alive, registered := living[path(t, "dead")]; len(living) != 2 || !living[path(t, "a")] || alive || !registered {
		t.Errorf("living: %v", living)
	}
}
