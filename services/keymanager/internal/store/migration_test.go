package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
)

// down rolls back until the migration with that version has not been applied.
func down(t *testing.T, db *database.DB, version int64) {
	t.Helper()
	m := schema(t, db)
	applied := func() bool {
		list, err := database.Status(t.Context(), db, m)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(s database.MigrationStatus) bool { return s.Version == version && s.Applied })
	}
	for applied() {
		if err := database.Rollback(t.Context(), db, m, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func up(t *testing.T, db *database.DB) {
	t.Helper()
	if _, err := database.Migrate(t.Context(), db, schema(t, db)); err != nil {
		t.Fatal(err)
	}
}

func insert(t *testing.T, db *database.DB, table string, values map[string]any) error {
	t.Helper()
	return db.WithContext(t.Context()).Table(table).Create(values).Error
}

func keyValues(id, kind, name string, seal byte) map[string]any {
	hmac := secret.Seal{seal}
	values := map[string]any{
		"id": id, "kind": kind, "name": name, "digest_hmac": hmac[:], "pepper_version": 1, "created_at": time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC),
	}
	if kind != "management" {
		values["context_id"], values["principal_id"] = "acme", "p"
	}
	return values
}

// Keys live through the migration that makes room for tokens, up and down, with all that guards them; tokens and their accounts go
// when it goes.
func TestTokensComeAndGo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		down(t, db, 5)
		before := indexes(t, db)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		must(insert(t, db, "contexts", map[string]any{
			"id": "acme", "incarnation": "acme.1", "namespace": "n", "database": "d", "display_name": "", "description": "", "config": "{}", "created_at": at,
		}))
		for _, id := range []string{"p", "sa_aaaaaaaaaaaaaaaa"} {
			must(insert(t, db, "principals", map[string]any{
				"context_id": "acme", "id": id, "display_name": id, "kind": "service", "grants": "{}", "created_at": at,
			}))
		}
		must(insert(t, db, "keys", keyValues("k1", "context", "one", 1)))
		must(insert(t, db, "keys", keyValues("m1", "management", "m", 2)))
		guarded := func(kinds ...string) {
			t.Helper()
			ofLater := func(index string) bool { return strings.Contains(index, "keys_expires_at") }
			if diff := cmp.Diff(before, slices.DeleteFunc(indexes(t, db), ofLater)); diff != "" {
				t.Errorf("the indexes of keys (-before +after):\n%s", diff)
			}
			ownerless := keyValues("x", "context", "x", 9)
			ownerless["principal_id"] = "nobody"
			halfBound := keyValues("x", "management", "x", 9)
			halfBound["context_id"], halfBound["principal_id"] = "acme", "p"
			for name, values := range map[string]map[string]any{
				"a second id": keyValues("k1", "context", "x", 9), "a second name": keyValues("x", "context", "one", 9),
				"a second seal": keyValues("x", "context", "x", 1), "a second management name": keyValues("x", "management", "m", 9),
				"an unknown kind": keyValues("x", "other", "x", 9), "no such principal": ownerless, "a management key in a context": halfBound,
			} {
				if insert(t, db, "keys", values) == nil {
					t.Errorf("%s is taken", name)
				}
			}
			for _, kind := range kinds {
				must(insert(t, db, "keys", keyValues("x", kind, "x", 9)))
				must(db.WithContext(t.Context()).Exec("DELETE FROM keys WHERE id = 'x'").Error)
			}
			if db.WithContext(t.Context()).Exec("DELETE FROM principals WHERE id = 'p'").Error == nil {
				t.Error("a principal with a key can be deleted")
			}
		}
		up(t, db)
		guarded("context", "token")
		snapshot, err := store.New(db, time.Now).FindKeys(t.Context(), []secret.Seal{{1}, {2}})
		if err != nil || len(snapshot.Found) != 2 || snapshot.Found[secret.Seal{1}].Principal.ID != "p" {
			t.Errorf("%d keys are found, %v", len(snapshot.Found), err)
		}
		must(insert(t, db, "service_accounts", map[string]any{
			"context_id": "acme", "id": "sa_aaaaaaaaaaaaaaaa", "name": "x", "scopes": "[]", "actors": "[]", "created_at": at, "reason": "",
		}))
		must(insert(t, db, "tokens", map[string]any{
			"context_id": "acme", "id": "t", "account_id": "sa_aaaaaaaaaaaaaaaa", "env_tag": "prod", "scopes": "[]", "created_at": at, "reason": "",
		}))
		token := keyValues("t", "token", "t", 3)
		token["principal_id"] = "sa_aaaaaaaaaaaaaaaa"
		must(insert(t, db, "keys", token))
		down(t, db, 5)
		guarded("context")
		if insert(t, db, "keys", keyValues("x", "token", "x", 9)) == nil {
			t.Error("a token is taken where there are none")
		}
		count := subject(db).Count
		if keys, principals := count(t, "SELECT count(*) FROM keys"), count(t, "SELECT count(*) FROM principals"); keys != 2 || principals != 1 {
			t.Errorf("%d keys and %d principals are left, want 2 and 1", keys, principals)
		}
		up(t, db)
		guarded("context", "token")
	})
}

// indexes returns what finds and guards keys, by name where we gave it.
func indexes(t *testing.T, db *database.DB) []string {
	t.Helper()
	query := `SELECT name || ': ' || coalesce(sql, '') FROM sqlite_master WHERE type = 'index' AND tbl_name = 'keys'
		UNION ALL SELECT 'to ' || "table" || ' ' || "from" || ' ' || "to" FROM pragma_foreign_key_list('keys')`
	if db.Engine == database.Postgres {
		query = `SELECT indexdef FROM pg_indexes WHERE tablename = 'keys'
			UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'keys'::regclass AND contype <> 'c'`
	}
	var out []string
	if err := db.Reader(t.Context()).Raw(query).Scan(&out).Error; err != nil || len(out) < 5 {
		t.Fatalf("%d indexes, %v", len(out), err)
	}
	// One that a later migration adds is not what this one must keep.
	slices.Sort(out)
	return out
}
