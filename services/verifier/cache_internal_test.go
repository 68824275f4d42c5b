package verifier

import (
	"strconv"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// answered is a question about one key, with its answer.
func answered(id string, verdict introspection.Verdict) *question {
	return &question{
		credentials: []credential{{id: id, mark: apikey.DigestOf(id)}},
		verdicts:    []introspection.Verdict{verdict}, callers: make([]*caller.Caller, 1), asOf: 1,
	}
}

func good(id, principal string) introspection.Verdict {
	return introspection.Verdict{Active: true, Context: "c" + principal, KeyID: id, Principal: &caller.Principal{ID: principal}}
}

func begun(limit int) *cache {
	c := newCache(limit, limit)
	c.targets = newTargets(limit)
	c.reset(1, 0)
	return c
}

// However many principals and contexts come by, those of keys that are not remembered are forgotten.
func TestPrincipalsGoWithTheirKeys(t *testing.T) {
	t.Parallel()
	const limit = 10
	c := begun(limit)
	for i := range 100 * limit {
		id := strconv.Itoa(i)
		c.fill(answered(id, good(id, strconv.Itoa(i/2))), 0, time.Hour)
		if len(c.tenants) > limit {
			t.Fatalf("%d contexts of %d keys", len(c.tenants), limit)
		}
	}
	for i := range 100 * limit {
		c.drop(introspection.Event{Revision: int64(i + 2), Kind: introspection.SubjectKey, ID: strconv.Itoa(i)})
	}
	if len(c.tenants) != 0 || c.good.count != 0 {
		t.Errorf("%d contexts of no key, %d keys", len(c.tenants), c.good.count)
	}
}

// A refusal is forgotten when the same key turns out to be good, so that it is not found should the good answer be evicted, and when
// any context changes: it may be the key's.
func TestRefusalsAreForgotten(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*cache){
		"good": func(c *cache) { c.fill(answered("k", good("k", "p")), 0, time.Hour) },
		"context": func(c *cache) {
			c.drop(introspection.Event{Revision: 2, Kind: introspection.SubjectContext, Context: "cp"})
		},
	} {
		c := begun(10)
		c.fill(answered("k", introspection.Verdict{}), 0, time.Hour)
		digest := apikey.DigestOf("k")
		if _, found := recall(c.bad, hashOf("k"), &digest, 0); found != refusal {
			t.Fatal("a refusal is not remembered")
		}
		forget(c)
		if _, found := recall(c.bad, hashOf("k"), &digest, 0); found != nil {
			t.Errorf("%s: the refusal is still remembered", name)
		}
	}
}

// The store finds entries by the id in the key's text. An answer that names another id would not be found by the revision that
// touches it.
func TestAnAnswerOfAnotherIDIsNotRemembered(t *testing.T) {
	t.Parallel()
	c := begun(10)
	q := answered("k", good("another", "p"))
	c.fill(q, 0, time.Hour)
	if q.callers[0] == nil || c.good.count != 0 {
		t.Errorf("accepted %t, %d remembered", q.callers[0] != nil, c.good.count)
	}
}
