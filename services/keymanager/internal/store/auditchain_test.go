package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// entry writes an audit entry with an id of its own choice, as a change does that took the id.
func entry(id int64) string {
	return fmt.Sprintf(`INSERT INTO audit_log (id, at, action, actor_kind, actor_key_id, context_id, target, trace_id, remote, detail)
		%%s VALUES (%d, '2026-08-01 12:00:00+00:00', 'key.minted', 'local', '', 'acme', 'k%d', '', '', '{"n": 1}')`, id, id)
}

func entryOn(db *database.DB, id int64) string {
	if db.Engine == database.Postgres {
		return fmt.Sprintf(entry(id), "OVERRIDING SYSTEM VALUE")
	}
	return fmt.Sprintf(entry(id), "")
}

// chain returns the entries in their order, and checks the chain that they make.
func chain(t *testing.T, s *store.Store) []auditchain.Record {
	t.Helper()
	var all []auditchain.Record
	err := s.WalkAudit(t.Context(), func(walk store.AuditWalk) error {
		all = nil
		for r, err := range walk.Entries(0) {
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		v := auditchain.From(walk.Anchor)
		v.Expect(walk.Head)
		if err := v.Verify(walk.Entries(0)); err != nil {
			return err
		}
		if err := v.Finish(); err != nil {
			return err
		}
		return walk.Stowaway()
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

func ids(records []auditchain.Record) []int64 {
	out := []int64{}
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

func seal(t *testing.T, s *store.Store, limit, want int) {
	t.Helper()
	if sealed, err := s.SealAudit(t.Context(), limit); err != nil || sealed != want {
		t.Fatalf("%d entries were sealed, want %d, %v", sealed, want, err)
	}
}

// An id that is committed after greater ones is neither skipped nor put before what had its place already; and what is found at
// once has the order of the ids.
func TestALateIDHasItsPlaceWhenItComes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		s := store.New(db, time.Now)
		write := func(ids ...int64) {
			t.Helper()
			for _, id := range ids {
				if err := db.WithContext(t.Context()).Exec(entryOn(db, id)).Error; err != nil {
					t.Fatal(err)
				}
			}
		}
		seal(t, s, 10, 0)
		write(3, 8, 9) // 1, 2 and 4 to 7 have been taken by transactions that are under way
		seal(t, s, 10, 3)
		write(6)
		seal(t, s, 10, 1)
		write(5, 2, 12, 20)
		seal(t, s, 2, 2) // 2 and 5: what has the lowest ids of all that is there
		write(7, 4, 1)
		if standing, err := s.AuditStanding(t.Context()); err != nil || standing.Unsealed != 2 || standing.Head != 6 || standing.Lag == 0 {
			t.Errorf("%+v, %v", standing, err)
		}
		seal(t, s, 10, 5)
		seal(t, s, 10, 0)
		want := []int64{3, 8, 9, 6, 2, 5, 1, 4, 7, 12, 20}
		if diff := cmp.Diff(want, ids(chain(t, s))); diff != "" {
			t.Errorf("the order of the chain (-want +got):\n%s", diff)
		}
		if standing, err := s.AuditStanding(t.Context()); err != nil || standing.Unsealed != 0 || standing.Head != 11 {
			t.Errorf("%+v, %v", standing, err)
		}
	})
}

// The same with a transaction that really is under way while a later one commits.
func TestATransactionUnderWayIsNotSkipped(t *testing.T) {
	t.Parallel()
	db := open(t, dbtest.Postgres(t))
	s := store.New(db, time.Now)
	make := func(id string) {
		t.Helper()
		if _, err := s.CreateContext(t.Context(), tenant.Context{ID: id, Incarnation: id + ".1"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	late := db.WithContext(t.Context()).Begin()
	err := late.Exec(`INSERT INTO audit_log (at, action, actor_kind, actor_key_id, context_id, target, trace_id, remote, detail)
		VALUES (now(), 'key.minted', 'local', '', '', 'late', '', '', '{}')`).Error
	if err != nil {
		t.Fatal(err)
	}
	make("first")
	seal(t, s, 10, 1)
	make("second")
	seal(t, s, 10, 1)
	if err := late.Commit().Error; err != nil {
		t.Fatal(err)
	}
	seal(t, s, 10, 1)
	var targets []string
	for _, r := range chain(t, s) {
		targets = append(targets, r.Target)
	}
	if diff := cmp.Diff([]string{"first", "second", "late"}, targets); diff != "" {
		t.Errorf("the order of the chain (-want +got):\n%s", diff)
	}
}

// While one replica seals, another one neither waits nor seals.
func TestOneSealsAtATime(t *testing.T) {
	t.Parallel()
	db := open(t, dbtest.Postgres(t))
	s := store.New(db, time.Now)
	if err := db.WithContext(t.Context()).Exec(entryOn(db, 1)).Error; err != nil {
		t.Fatal(err)
	}
	other := db.WithContext(t.Context()).Begin()
	if err := other.Exec("SELECT 1 FROM audit_chain FOR UPDATE").Error; err != nil {
		t.Fatal(err)
	}
	seal(t, s, 10, 0)
	if err := other.Rollback().Error; err != nil {
		t.Fatal(err)
	}
	seal(t, s, 10, 1)
}

// Writers write, sealers seal, and many of the sealers are cut off in the middle: in the end each entry has one place, the chain
// holds, and what one writer did one after the other stands in that order.
func TestSealingWhileManyWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		const writers, each = 6, 20
		s := store.New(open(t, url), time.Now)
		replica := s
		if s.Engine() == database.Postgres {
			replica = store.New(open(t, url), time.Now)
		}
		done := make(chan struct{})
		var written, sealed atomic.Int64
		var sealers, writing sync.WaitGroup
		for i, sealer := range []*store.Store{s, replica, replica} {
			sealers.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				for round := 0; ; round++ { // each may take longer, so that one gets through on a slow machine, too
					select {
					case <-done:
						return
					default:
					}
					ctx, cancel := context.WithCancel(context.Background())
					crash := time.AfterFunc(time.Duration(random.IntN(40+round))*time.Millisecond, cancel)
					if n, err := sealer.SealAudit(ctx, 1+random.IntN(7)); err == nil { // however it ends
						sealed.Add(int64(n))
					}
					crash.Stop()
					cancel()
				}
			})
		}
		for w := range writers {
			writing.Go(func() {
				for n := 0; n < each || sealed.Load() == 0; n++ { // something is sealed while they write
					written.Add(1)
					id := fmt.Sprintf("w%d-%05d", w, n)
					if _, err := s.CreateContext(t.Context(), tenant.Context{ID: id, Incarnation: id}, nil); err != nil {
						t.Errorf("writing: %v", err)
					}
				}
			})
		}
		writing.Wait()
		close(done)
		sealers.Wait()
		for standing := (audit.Standing{Unsealed: 1}); standing.Unsealed > 0; { // one that was cut off may have the lock for a moment
			var err error
			if _, err = s.SealAudit(t.Context(), 50); err == nil {
				standing, err = s.AuditStanding(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		last := map[byte]string{}
		all := chain(t, s)
		for _, r := range all {
			if before := last[r.Target[1]]; before >= r.Target {
				t.Errorf("%s comes after %s", r.Target, before)
			}
			last[r.Target[1]] = r.Target
		}
		if int64(len(all)) != written.Load() {
			t.Errorf("%d entries have a place, of %d", len(all), written.Load())
		}
	})
}

// What there was before there were seals is sealed, too, as it is.
func TestEntriesFromBeforeAreSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		down(t, db, 6)
		for _, id := range []int64{2, 4, 5} {
			if err := db.WithContext(t.Context()).Exec(entryOn(db, id)).Error; err != nil {
				t.Fatal(err)
			}
		}
		up(t, db)
		s := store.New(db, time.Now)
		seal(t, s, 10, 3)
		got := chain(t, s)
		if diff := cmp.Diff([]int64{2, 4, 5}, ids(got)); diff != "" || got[0].Prev != (auditchain.Hash{}) || got[0].Outcome != "done" {
			t.Errorf("first %+v, ids (-want +got):\n%s", got[0], diff)
		}
	})
}

// Nothing of the log is changed or deleted by mistake.
func TestTheLogRefusesToBeChanged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		s := store.New(db, time.Now)
		for _, id := range []int64{1, 2, 3} {
			if err := db.WithContext(t.Context()).Exec(entryOn(db, id)).Error; err != nil {
				t.Fatal(err)
			}
		}
		seal(t, s, 2, 2)
		all := chain(t, s)
		statements := []string{
			"UPDATE audit_log SET target = 'x' WHERE id = 1", "UPDATE audit_seals SET seq = 9 WHERE seq = 2", "DELETE FROM audit_log",
			"DELETE FROM audit_log WHERE id = 3", "DELETE FROM audit_seals WHERE seq = 1",
		}
		refused := func(statements ...string) {
			t.Helper()
			for _, statement := range statements {
				if err := db.WithContext(t.Context()).Exec(statement).Error; err == nil {
					t.Errorf("%s is done", statement)
				}
			}
		}
		refused(statements...)
		if db.Engine == database.Postgres {
			refused("TRUNCATE audit_log", "TRUNCATE audit_seals")
		}
		if err := s.DropAudit(t.Context(), auditchain.Head{Seq: 1}, all[1].Head()); err == nil {
			t.Error("what is not the anchor is taken for it")
		}
		if err := s.DropAudit(t.Context(), auditchain.Head{}, all[0].Head()); err != nil {
			t.Fatal(err)
		}
		refused("DELETE FROM audit_log WHERE id = 2", "DELETE FROM audit_anchors", "UPDATE audit_anchors SET last_seq = 3")
		if diff := cmp.Diff([]int64{2}, ids(chain(t, s))); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}

func TestDenialsAreEntries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := store.New(open(t, url), time.Now)
		denials := []audit.Denial{
			{Reason: audit.BadCredential, Status: 401, Route: "GET /x", ShownKeyID: "id", Count: 1, Origin: audit.Origin{Actor: audit.Unknown, Remote: "192.0.2.1", TraceID: "t"}},
			{Reason: audit.NotAllowed, Status: 403, Count: 7, Others: true, Origin: audit.Origin{Actor: audit.Caller, KeyID: "k"}},
		}
		if err := s.RecordDenials(t.Context(), denials); err != nil {
			t.Fatal(err)
		}
		seal(t, s, 10, 2)
		all := chain(t, s)
		for i, want := range []string{
			`{"count":1,"reason":"bad_credential","shown_key_id":"id","status":401}`, `{"count":7,"others":true,"reason":"not_allowed","status":403}`,
		} {
			detail, err := auditchain.Canonical(all[i].Detail)
			if err != nil || string(detail) != want || all[i].Outcome != "denied" || all[i].Action != "access.denied" {
				t.Errorf("%+v, %v", all[i], err)
			}
		}
	})
}
