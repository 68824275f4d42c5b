package keymanager_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ledger is an audit log with ten sealed entries, and a way past it.
type ledger struct {
	log   *keymanager.AuditLog
	store *store.Store
	db    *database.DB
	head  auditchain.Head
}

func newLedger(t *testing.T, url string) *ledger {
	t.Helper()
	migrate(t, url)
	db, err := database.Open(t.Context(), url, "control")
	must(t, err)
	log, err := keymanager.OpenAuditLog(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(log.Close(), db.Close())) })
	l := &ledger{log: log, store: store.New(db, time.Now), db: db}
	l.write(t, 0, 10)
	state, err := log.State(t.Context())
	must(t, err)
	l.head = state.Head
	if state.Head.Seq != 10 {
		t.Fatalf("the head is %s", state.Head)
	}
	return l
}

// write makes contexts, and seals their entries.
func (l *ledger) write(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		id := fmt.Sprintf("c%03d", i)
		_, err := l.store.CreateContext(t.Context(), tenant.Context{ID: id, Incarnation: id}, nil)
		must(t, err)
	}
	_, err := l.store.SealAudit(t.Context(), 1000)
	must(t, err)
}

// defenceless takes the triggers away, as whoever owns the tables can.
func (l *ledger) defenceless(t *testing.T) {
	t.Helper()
	for _, table := range []string{"audit_log", "audit_seals", "audit_anchors"} {
		if l.db.Engine == database.Postgres {
			l.exec(t, "ALTER TABLE "+table+" DISABLE TRIGGER USER")
			continue
		}
		var triggers []string
		must(t, l.db.Raw("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", table).Scan(&triggers).Error)
		for _, name := range triggers {
			l.exec(t, "DROP TRIGGER "+name)
		}
	}
}

func (l *ledger) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := l.db.WithContext(t.Context()).Exec(statement).Error; err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// nth is the id of the entry with that number.
func nth(seq int) string {
	return fmt.Sprintf("(SELECT entry_id FROM audit_seals WHERE seq = %d)", seq)
}

// copyEntry writes an entry like the fourth, with the id given.
func (l *ledger) copyEntry(id string) string {
	overriding := ""
	if l.db.Engine == database.Postgres {
		overriding = "OVERRIDING SYSTEM VALUE"
	}
	return `INSERT INTO audit_log (id, at, action, actor_kind, actor_key_id, context_id, target, trace_id, remote, detail) ` + overriding + `
		SELECT ` + id + `, at, action, actor_kind, actor_key_id, context_id, target, trace_id, remote, detail FROM audit_log WHERE id = ` + nth(4)
}

// rewrite makes all hashes anew, as a thief can who knows how: nothing in the table tells.
func (l *ledger) rewrite(t *testing.T) {
	t.Helper()
	l.exec(t, "DELETE FROM audit_seals")
	zero := auditchain.Hash{}
	must(t, l.db.WithContext(t.Context()).Exec("UPDATE audit_chain SET seq = 0, hash = ?, last_id = 0, gaps = '[]'", zero[:]).Error)
	_, err := l.store.SealAudit(t.Context(), 1000)
	must(t, err)
}

func damageOf(t *testing.T, err error) auditchain.DamageError {
	t.Helper()
	damage, ok := errors.AsType[*auditchain.DamageError](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	if damage == nil {
		return auditchain.DamageError{}
	}
	return *damage
}

// Whatever is done to the tables is found, and the first entry that it concerns is named; what nothing in the tables can tell, a
// head tells that was published before.
func TestWhatIsDoneToTheTablesIsFound(t *testing.T) {
	t.Parallel()
	down := "UPDATE audit_chain SET seq = 8, hash = (SELECT hash FROM audit_seals WHERE seq = 8), last_id = " + nth(8)
	tests := map[string]struct {
		statements []string
		kind       auditchain.Kind
		seq        int64
		// published says that only the published head tells.
		published bool
	}{
		"changed":            {[]string{"UPDATE audit_log SET target = 'other' WHERE id = " + nth(4)}, auditchain.Changed, 4, false},
		"changed detail":     {[]string{"UPDATE audit_log SET detail = '{\"x\":1}' WHERE id = " + nth(10)}, auditchain.Changed, 10, false},
		"changed time":       {[]string{"UPDATE audit_log SET at = '2001-01-01 00:00:00+00:00' WHERE id = " + nth(2)}, auditchain.Changed, 2, false},
		"removed entry":      {[]string{"DELETE FROM audit_log WHERE id = " + nth(4)}, auditchain.Removed, 4, false},
		"removed":            {[]string{"DELETE FROM audit_log WHERE id = " + nth(4), "DELETE FROM audit_seals WHERE seq = 4"}, auditchain.Removed, 4, false},
		"the first removed":  {[]string{"DELETE FROM audit_log WHERE id = " + nth(1), "DELETE FROM audit_seals WHERE seq = 1"}, auditchain.Removed, 1, false},
		"inserted":           {[]string{"copy -7"}, auditchain.Inserted, 0, false},
		"swapped contents":   {[]string{"UPDATE audit_log SET target = (SELECT target FROM audit_log WHERE id = " + nth(5) + ") WHERE id = " + nth(3)}, auditchain.Changed, 3, false},
		"reordered":          {[]string{"UPDATE audit_seals SET seq = 99 WHERE seq = 6", "UPDATE audit_seals SET seq = 6 WHERE seq = 3", "UPDATE audit_seals SET seq = 3 WHERE seq = 99"}, auditchain.Reordered, 3, false},
		"truncated":          {[]string{"DELETE FROM audit_log WHERE id = " + nth(10), "DELETE FROM audit_seals WHERE seq = 10"}, auditchain.Truncated, 10, false},
		"truncated with all": {[]string{down, "DELETE FROM audit_log WHERE id > " + nth(8), "DELETE FROM audit_seals WHERE seq > 8"}, auditchain.Truncated, 9, true},
		"rewritten":          {[]string{"UPDATE audit_log SET remote = 'elsewhere' WHERE id = " + nth(4), "rewrite"}, auditchain.Rewritten, 10, true},
		"removed, rewritten": {[]string{"DELETE FROM audit_log WHERE id = " + nth(4), "rewrite"}, auditchain.Truncated, 10, true},
		"an end added":       {[]string{"INSERT INTO audit_seals (seq, entry_id, prev, hash) SELECT 11, 99, hash, hash FROM audit_seals WHERE seq = 10"}, auditchain.Removed, 11, false},
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		t.Run("untouched", func(t *testing.T) { //nolint:paralleltest // before the others, which change what it reads
			l := newLedger(t, url)
			v, err := l.log.Verify(t.Context(), nil, l.head)
			if err != nil || v.Entries() != 10 {
				t.Errorf("%v", err)
			}
		})
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				fresh := dbtest.SQLite(t)
				if l := url[:8]; l == "postgres" {
					fresh = dbtest.Postgres(t)
				}
				l := newLedger(t, fresh)
				l.defenceless(t)
				for _, statement := range test.statements {
					switch statement {
					case "rewrite":
						l.rewrite(t)
					case "copy -7":
						l.exec(t, l.copyEntry("-7"))
					default:
						l.exec(t, statement)
					}
				}
				_, err := l.log.Verify(t.Context(), nil)
				if got := damageOf(t, err); test.published != (got.Kind == "") {
					t.Errorf("without a head: %+v", got)
				}
				_, err = l.log.Verify(t.Context(), nil, l.head)
				if got := damageOf(t, err); got.Kind != test.kind || got.Seq != test.seq {
					t.Errorf("got %v, want entry %d: %s", err, test.seq, test.kind)
				}
			})
		}
	})
}

// What is archived is gone from the database, the chain goes on, and the archives and the rest are one chain again.
func TestArchivesAndTheRestAreOneChain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := newLedger(t, url)
		var kept []auditchain.Record
		keep := func(_ keymanager.Archive, entries iter.Seq2[auditchain.Record, error]) error {
			for r, err := range entries {
				if err != nil {
					return err
				}
				kept = append(kept, r)
			}
			return nil
		}
		lost := errors.New("the disk is full")
		later := time.Now().Add(time.Hour)
		if _, err := l.log.Archive(t.Context(), later, 4, func(keymanager.Archive, iter.Seq2[auditchain.Record, error]) error { return lost }); !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
		if done, err := l.log.Archive(t.Context(), time.Now().Add(-time.Hour), 4, keep); done || err != nil || len(kept) > 0 {
			t.Errorf("what is too young: %v, %v", done, err)
		}
		for range 2 {
			done, err := l.log.Archive(t.Context(), later, 4, keep)
			if !done || err != nil {
				t.Fatal(done, err)
			}
		}
		l.write(t, 10, 12)
		state, err := l.log.State(t.Context())
		must(t, err)
		if state.Anchor.Seq != 8 || state.Head.Seq != 12 || len(kept) != 8 {
			t.Errorf("%+v, %d kept", state, len(kept))
		}
		if v, err := l.log.Verify(t.Context(), nil); err != nil || v.Entries() != 4 {
			t.Errorf("the rest: %v", err)
		}
		if _, err := l.log.Verify(t.Context(), nil, kept[2].Head()); err == nil {
			t.Error("a head in an archive is waved through")
		}
		whole := func(list []auditchain.Record) (*auditchain.Verifier, error) {
			v := &auditchain.Verifier{}
			v.Expect(kept[2].Head(), l.head)
			must(t, v.Verify(func(yield func(auditchain.Record, error) bool) {
				for _, r := range list {
					if !yield(r, nil) {
						return
					}
				}
			}))
			return l.log.Verify(t.Context(), v)
		}
		if v, err := whole(kept); err != nil || v.Entries() != 12 {
			t.Errorf("together: %v", err)
		}
		if _, err := whole(slices.Clone(kept)[:7]); err == nil {
			t.Error("an archive that lacks its last entry is taken")
		}
		// What is damaged stays where it is.
		l.defenceless(t)
		l.exec(t, "UPDATE audit_log SET target = 'other' WHERE id = "+nth(9))
		_, err = l.log.Archive(t.Context(), later, 4, keep)
		if got := damageOf(t, err); got.Kind != auditchain.Changed || got.Seq != 9 {
			t.Errorf("got %v", err)
		}
	})
}
