package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// firstAccountRace: of all who would make the first account, one does. Chosen ones race on a path of their own.
func firstAccountRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	taken := errors.New("taken")
	var won atomic.Int64
	race(racers, func(i int) {
		_, err := s.FoundAccount(t.Context(), "acme", i%2 == 0, func(at time.Time, policy tenant.Config, count serviceaccount.Count) (serviceaccount.Made, error) {
			if count.Total > 0 {
				return serviceaccount.Made{}, taken
			}
			return serviceaccount.Make(ring(t), "acme", introspection.AccountDraft{Name: "x", WithToken: true}, at, policy)
		})
		if err == nil {
			won.Add(1)
		} else if !errors.Is(err, taken) {
			t.Error(err)
		}
	})
	_, count, err := s.CountAccounts(t.Context(), "acme")
	if err != nil || won.Load() != 1 || count != (serviceaccount.Count{Total: 1, Active: 1}) {
		t.Errorf("%d were made; there are %+v, %v", won.Load(), count, err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM keys WHERE kind = 'token'"); n != 1 {
		t.Errorf("%d tokens are left by those who lost, or none", n)
	}
}

// firstAgainstCreation: an account that somebody makes by other ways is counted.
func firstAgainstCreation(t *testing.T, subject Subject) {
	s := subject.Store
	taken := errors.New("taken")
	for round := range 10 {
		before := subject.Count(t, "SELECT coalesce(max(id), 0) FROM audit_log")
		create(t, s, "acme")
		race(2, func(i int) {
			if i == 0 {
				account(t, s)
				return
			}
			_, err := s.FoundAccount(t.Context(), "acme", false, func(at time.Time, policy tenant.Config, count serviceaccount.Count) (serviceaccount.Made, error) {
				if count.Total > 0 {
					return serviceaccount.Made{}, taken
				}
				return serviceaccount.Make(ring(t), "acme", introspection.AccountDraft{Name: "first"}, at, policy)
			})
			if err != nil && !errors.Is(err, taken) {
				t.Error(err)
			}
		})
		// Both may be there only if the first one came first.
		n := subject.Count(t, fmt.Sprintf(`SELECT count(*) FROM audit_log f JOIN audit_log o ON o.id < f.id AND o.action = f.action
			AND CAST(o.detail AS text) NOT LIKE '%%first%%' AND o.id > %d
			WHERE f.action = 'service_account.created' AND CAST(f.detail AS text) LIKE '%%"first"%%'`, before))
		if n != 0 {
			t.Fatalf("round %d: a first account came after another one", round)
		}
		if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	}
}

// mintAgainstRevocation: no token that is minted while its account is revoked lives.
func mintAgainstRevocation(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	for range 5 {
		made := account(t, s)
		var mu sync.Mutex // guards minted
		minted := []serviceaccount.Minted{*made.Token}
		race(6, func(i int) {
			if i > 0 {
				m, err := addToken(t, s, made.Account.ID)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					minted = append(minted, m)
				} else if !errors.Is(err, fault.Conflict) {
					t.Errorf("a mint too late: %v", err)
				}
				return
			}
			alter(t, s, func(l errand.Ledger) error {
				a, err := l.Account("acme", made.Account.ID)
				if err != nil {
					return err
				}
				a.RevokedAt = l.Now()
				_, _, err = l.RevokeAccount(a.Account)
				return err
			})
		})
		for _, m := range minted {
			if found, _ := find(t, s, m.Key.Seal); found != nil {
				t.Error("a token outlives its account")
			}
		}
	}
	if n := subject.Count(t, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL"); n != 0 {
		t.Errorf("%d tokens are listed as live", n)
	}
}

// rotationRace: each token that rotations and mints made is revoked by one rotation, or lives.
func rotationRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	made := account(t, s)
	var mu sync.Mutex // guards the following two
	all, revokedBy := map[string]key.Key{made.Token.ID: made.Token.Key}, map[string]int{}
	race(12, func(i int) {
		var m serviceaccount.Minted
		var revoked []string
		var err error
		if i%2 == 0 {
			m, err = addToken(t, s, made.Account.ID)
		} else {
			err = s.Alter(t.Context(), func(l errand.Ledger) error {
				a, err := l.Account("acme", made.Account.ID)
				if err != nil {
					return err
				}
				if m, err = a.Mint(ring(t), "", l.Now(), tenant.Config{}); err != nil {
					return err
				}
				revoked, _, err = l.RotateTokens(a.Account, m, fmt.Sprint(i))
				return err
			})
		}
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		all[m.ID] = m.Key
		for _, id := range revoked {
			revokedBy[id]++
		}
	})
	live := int64(0)
	for id, k := range all {
		found, _ := find(t, s, k.Seal)
		if found != nil {
			live++
		}
		if alive := found != nil; revokedBy[id] > 1 || alive != (revokedBy[id] == 0) {
			t.Errorf("a token that %d rotations revoked is alive: %t", revokedBy[id], alive)
		}
	}
	if revokedBy[made.Token.ID] != 1 {
		t.Errorf("%d rotations revoked the token that was there before all of them", revokedBy[made.Token.ID])
	}
	if n := subject.Count(t, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL"); n != live || live == 0 {
		t.Errorf("%d tokens are listed as live, %d are", n, live)
	}
}

// prepared: a deployment that was prepared has an authority, which a bootstrap keeps with the context.
func prepared(t *testing.T, subject Subject) {
	s := subject.Store
	home, principals, err := tenant.New(tenant.Draft{ID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	race(4, func(i int) {
		if err := s.Prepare(t.Context(), fmt.Sprint("authority", i), home, principals); err != nil {
			t.Error(err)
		}
	})
	identity, err := s.Authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM contexts"); n != 1 {
		t.Errorf("%d contexts", n)
	}
	made := account(t, s)
	var winners atomic.Int64
	race(racers, func(i int) {
		f := founding(t, "acme")
		f.Attempt, f.Authority = apikey.NewID(), fmt.Sprint("other", i)
		switch err := s.Bootstrap(t.Context(), f); {
		case err == nil:
			winners.Add(1)
		case !errors.Is(err, fault.AlreadyDone):
			t.Error(err)
		}
	})
	if winners.Load() != 1 {
		t.Errorf("%d bootstraps succeeded", winners.Load())
	}
	if err := s.Prepare(t.Context(), "late", home, principals); err != nil {
		t.Error(err)
	}
	if after, err := s.Authority(t.Context()); err != nil || after != identity {
		t.Errorf("the authority was %s and is %s, %v", identity, after, err)
	}
	if found, snapshot := find(t, s, made.Token.Key.Seal); found.Caller(snapshot.At) == nil || found.Incarnation != home.Incarnation {
		t.Error("the token died of the bootstrap")
	}
	if n := subject.Count(t, "SELECT count(*) FROM keys WHERE kind <> 'token'"); n != 2 {
		t.Errorf("%d keys, want those of one bootstrap", n)
	}
}
