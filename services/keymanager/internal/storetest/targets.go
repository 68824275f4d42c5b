package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// targets: principals are found in the context of the key that asks, and in no other.
func targets(t *testing.T, subject Subject) {
	s := subject.Store
	minted := map[string]key.Key{}
	for _, id := range []string{"acme", "beta"} {
		create(t, s, id)
		k := sealed(t, id, "only-"+id, "k")
		p := principal.Principal{
			ContextID: id, ID: "only-" + id, DisplayName: id, Kind: caller.Supervisor, Grants: grant.Over(scope.Everything, grant.ScopeRead), OwnerKey: k.ID,
		}
		if _, _, err := s.MintKey(t.Context(), id, p, func(time.Time, tenant.Config) key.Key { return k }); err != nil {
			t.Fatal(err)
		}
		minted[id] = k
	}
	stranger := sealed(t, "", "", "").Seal
	seals := []secret.Seal{minted["acme"].Seal, minted["beta"].Seal, stranger}
	var asked []key.Target
	for _, seal := range seals {
		for _, id := range []string{"only-acme", "only-beta", "admin", "system", "nobody", "", `"],["`, "'"} {
			asked = append(asked, key.Target{Seal: seal, ID: id})
		}
	}
	for i := range 600 { // more than a statement may have parameters on some engines
		asked = append(asked, key.Target{Seal: stranger, ID: fmt.Sprint(i)})
	}
	snapshot, err := s.FindKeysAndTargets(t.Context(), seals, asked)
	if err != nil || len(snapshot.Found) != 2 || snapshot.At.IsZero() {
		t.Fatalf("%d keys found at %v, %v", len(snapshot.Found), snapshot.At, err)
	}
	want := map[key.Target]*caller.Principal{}
	for _, id := range []string{"acme", "beta"} {
		seal := minted[id].Seal
		want[key.Target{Seal: seal, ID: "only-" + id}] = &caller.Principal{
			ID: "only-" + id, DisplayName: id, Kind: caller.Supervisor, Grants: grant.Over(scope.Everything, grant.ScopeRead),
		}
		want[key.Target{Seal: seal, ID: "admin"}] = &caller.Principal{ID: "admin", DisplayName: "admin", Kind: caller.Human, Grants: grant.All()}
		want[key.Target{Seal: seal, ID: "system"}] = &caller.Principal{ID: "system", DisplayName: "system", Kind: caller.Service, Grants: grant.Map{}}
	}
	if diff := cmp.Diff(want, snapshot.Targets, cmp.Comparer(scope.Region.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	none, err := s.FindKeysAndTargets(t.Context(), seals, nil)
	if err != nil || len(none.Targets) != 0 || len(none.Found) != 2 {
		t.Errorf("without targets: %+v, %v", none, err)
	}
}
