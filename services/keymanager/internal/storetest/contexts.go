package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// racers is how many try at once where only one may succeed.
const racers = 50

func founding(t *testing.T, contextID string) deployment.Founding {
	t.Helper()
	c, principals, err := tenant.New(tenant.Draft{ID: contextID})
	if err != nil {
		t.Fatal(err)
	}
	management := sealed(t, "", "", "management")
	management.Kind = key.Management
	return deployment.Founding{
		Attempt: "attempt-" + contextID, Authority: "authority", Context: c, Principals: principals,
		Management: management, First: sealed(t, contextID, principal.Admin, "default"),
	}
}

func bootstrapOnce(t *testing.T, subject Subject) {
	s := subject.Store
	foundings := make([]deployment.Founding, racers)
	for i := range foundings {
		foundings[i] = founding(t, fmt.Sprintf("context-%d", i))
	}
	var winners atomic.Int64
	winner := make(chan int, racers)
	race(racers, func(i int) {
		switch err := s.Bootstrap(t.Context(), foundings[i]); {
		case err == nil:
			winners.Add(1)
			winner <- i
		case !errors.Is(err, fault.AlreadyDone):
			t.Errorf("a loser got %v, want AlreadyDone", err)
		}
	})
	if winners.Load() != 1 {
		t.Fatalf("%d bootstraps succeeded, want 1", winners.Load())
	}
	won := foundings[<-winner]
	for table, want := range map[string]int64{
		"deployment": 1, "contexts": 1, "principals": 2, "keys": 2, "revisions": 1, "audit_log": 1,
	} {
		if got := subject.Count(t, "SELECT count(*) FROM "+table); got != want {
			t.Errorf("%s has %d rows, want %d", table, got, want)
		}
	}
	if attempt, err := s.Bootstrapped(t.Context()); err != nil || attempt != won.Attempt {
		t.Errorf("the attempt that stands is %q, %v, want the winner's", attempt, err)
	}
	if found, snapshot := find(t, s, won.First.Seal); found == nil || found.Principal.ID != principal.Admin || snapshot.AsOf != 1 {
		t.Errorf("the first key is not found as the admin's at revision 1: %v at %d", found, snapshot.AsOf)
	}
}

func replaceManagement(t *testing.T, subject Subject) {
	s, next := subject.Store, sealed(t, "", "", "management")
	next.Kind = key.Management
	if err := s.ReplaceManagement(t.Context(), next); !errors.Is(err, fault.Conflict) {
		t.Errorf("before a bootstrap: %v, want Conflict", err)
	}
	first := founding(t, "acme")
	if err := s.Bootstrap(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceManagement(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if found, _ := find(t, s, first.Management.Seal); found != nil {
		t.Error("the previous management key is still there")
	}
	if found, _ := find(t, s, next.Seal); found == nil || found.Kind != key.Management {
		t.Errorf("the new one is not found as a management key: %v", found)
	}
	if found, _ := find(t, s, first.First.Seal); found == nil {
		t.Error("the key of the context is gone, too")
	}
	if got := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'management_key.replaced'"); got != 1 {
		t.Errorf("%d audit rows tell of it", got)
	}
}

func contexts(t *testing.T, subject Subject) {
	s := subject.Store
	draft := tenant.Draft{
		ID: "acme", Namespace: "n", Database: "d", DisplayName: "Acme", Description: "é",
		Config: json.RawMessage(`{"max_token_ttl_seconds":60,"models":{"a":{"b":[1,2.5,"x"]}},"providers":{"p":{"key":"hidden"}}}`),
	}
	want, principals, err := tenant.New(draft)
	if err != nil {
		t.Fatal(err)
	}
	if want, err = s.CreateContext(t.Context(), want, principals); err != nil {
		t.Fatal(err)
	}
	got, err := s.Context(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	sameDocument(t, &got, &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a context is not read as it was stored (-want +got):\n%s", diff)
	}
	if _, err := s.CreateContext(t.Context(), want, principals); !errors.Is(err, fault.Conflict) {
		t.Errorf("creating it again: %v, want Conflict", err)
	}
	if _, err := s.Context(t.Context(), "nobody"); !errors.Is(err, fault.NotFound) {
		t.Errorf("reading an unknown context: %v, want NotFound", err)
	}
	for _, id := range []string{"b_1", "b-2", "a"} {
		create(t, s, id)
	}
	var ids []string
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := s.Contexts(t.Context(), after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			ids = append(ids, c.ID)
		}
	}
	// By bytes: - comes before _, which the locales of some servers see otherwise.
	if diff := cmp.Diff([]string{"a", "acme", "b-2", "b_1"}, ids); diff != "" {
		t.Errorf("the list is not by id (-want +got):\n%s", diff)
	}
}

// sameDocument replaces both configurations by one of them when they mean the same: an engine may reformat it.
func sameDocument(t *testing.T, a, b *tenant.Context) {
	t.Helper()
	var documents [2]any
	for i, c := range []*tenant.Context{a, b} {
		if err := json.Unmarshal(c.Config, &documents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(documents[0], documents[1]); diff != "" {
		t.Errorf("the configurations differ:\n%s", diff)
	}
	a.Config = b.Config
}

func refusedChange(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	before := subject.Count(t, "SELECT count(*) FROM audit_log")
	refusal := fault.New(fault.Conflict, "no")
	_, _, err := s.ChangeContext(t.Context(), "acme", func(c tenant.Context) (tenant.Context, error) {
		c.EnforcementBlocked = true
		return c, refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("ChangeContext: %v, want the refusal", err)
	}
	_, _, err = s.RotateKey(t.Context(), "acme", "k", func(_ time.Time, _ tenant.Config, k key.Key) (key.Key, error) {
		return k, refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("RotateKey: %v, want the refusal", err)
	}
	c, err := s.Context(t.Context(), "acme")
	if err != nil || c.EnforcementBlocked {
		t.Errorf("after a refused change: %v, %v", c.EnforcementBlocked, err)
	}
	if after := subject.Count(t, "SELECT count(*) FROM audit_log"); after != before {
		t.Errorf("refused changes wrote %d audit entries", after-before)
	}
	if n := subject.Count(t, "SELECT count(*) FROM revisions"); n != 0 {
		t.Errorf("refused changes took %d revisions", n)
	}
}

func policyRevisions(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	for _, step := range []struct {
		patch string
		want  int64
	}{
		{`{"llm_extraction_enabled":true}`, 0},
		{`{"max_token_ttl_seconds":60}`, 1},
		{`{"max_token_ttl_seconds":60,"token_limit":5}`, 1},
		{`{"allow_self_service_keys":true}`, 1}, // the default
		{`{"allow_self_service_keys":false}`, 2},
		{`{"max_token_ttl_seconds":null}`, 3},
	} {
		_, _, err := s.ChangeContext(t.Context(), "acme", func(c tenant.Context) (tenant.Context, error) {
			var err error
			c.Config, err = c.Config.Patch(json.RawMessage(step.patch))
			return c, err
		})
		if err != nil {
			t.Fatalf("%s: %v", step.patch, err)
		}
		if got := subject.Count(t, "SELECT count(*) FROM revisions"); got != step.want {
			t.Errorf("after %s there are %d revisions, want %d", step.patch, got, step.want)
		}
	}
	_, _, err := s.ChangeContext(t.Context(), "nobody", func(c tenant.Context) (tenant.Context, error) { return c, nil })
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("changing an unknown context: %v, want NotFound", err)
	}
}

func deleteContext(t *testing.T, subject Subject) {
	s := subject.Store
	first := create(t, s, "acme")
	create(t, s, "other")
	gone, kept := mintKey(t, s, "acme", "k"), mintKey(t, s, "other", "k")
	if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if found, snapshot := find(t, s, gone.Seal); found != nil || snapshot.AsOf != 1 {
		t.Errorf("a key of a deleted context is found: %v at revision %d", found, snapshot.AsOf)
	}
	if found, _ := find(t, s, kept.Seal); found == nil {
		t.Error("a key of another context is gone, too")
	}
	if n := subject.Count(t, "SELECT count(*) FROM principals WHERE context_id = 'acme'"); n != 0 {
		t.Errorf("%d principals are left", n)
	}
	if _, err := s.DeleteContext(t.Context(), "acme"); !errors.Is(err, fault.NotFound) {
		t.Errorf("deleting it again: %v, want NotFound", err)
	}
	second := create(t, s, "acme")
	if second.Incarnation == first.Incarnation {
		t.Error("a context that was created again has the same incarnation")
	}
	if found, _ := find(t, s, gone.Seal); found != nil {
		t.Error("a key of the first life opens the second")
	}
	if keys, err := s.Keys(t.Context(), "acme", "", "", 10); err != nil || len(keys) != 0 {
		t.Errorf("the second life has %d keys, %v", len(keys), err)
	}
}

func purges(t *testing.T, subject Subject) {
	s := subject.Store
	c := create(t, s, "acme")
	if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	list, err := s.Purges(t.Context())
	if err != nil || len(list) != 1 || list[0].Incarnation != c.Incarnation || list[0].Age >= time.Minute {
		t.Fatalf("purges: %v, %v", list, err)
	}
	if err := s.RemovePurge(t.Context(), c.Incarnation, time.Minute); !errors.Is(err, fault.Conflict) {
		t.Errorf("removing a young purge: %v, want Conflict", err)
	}
	subject.Age(t, "purges", "deleted_at", time.Minute)
	if list, err := s.Purges(t.Context()); err != nil || list[0].Age < time.Minute {
		t.Errorf("after a minute: %v, %v", list, err)
	}
	for range 2 {
		if err := s.RemovePurge(t.Context(), c.Incarnation, time.Minute); err != nil {
			t.Errorf("removing an old purge: %v", err)
		}
	}
	if list, err := s.Purges(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("purges after it is done: %v, %v", list, err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'context.purged'"); n != 1 {
		t.Errorf("%d audit entries of the purge, want 1", n)
	}
}

func mintAgainstDeletion(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	var mu sync.Mutex // guards minted
	var minted []key.Key
	var deleted error
	race(9, func(i int) {
		if i == 4 {
			_, deleted = s.DeleteContext(t.Context(), "acme")
			return
		}
		k, _, err := tryMint(t, s, "acme", fmt.Sprint(i))
		if err != nil {
			if !errors.Is(err, fault.NotFound) {
				t.Errorf("a mint too late: %v, want NotFound", err)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		minted = append(minted, k)
	})
	if deleted != nil {
		t.Fatal(deleted)
	}
	for _, k := range minted {
		if found, _ := find(t, s, k.Seal); found != nil {
			t.Error("a key survived its context")
		}
	}
	if n := subject.Count(t, "SELECT count(*) FROM principals"); n != 0 {
		t.Errorf("%d principals survived their context", n)
	}
}

// race runs fn(0) to fn(n-1) at once and waits for all.
func race(n int, fn func(i int)) {
	start := make(chan struct{})
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wait.Wait()
}
