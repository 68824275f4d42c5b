package store

import (
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
)

// TestRunningRequestIsAConflict asks a second time while the first is inside its transaction. On SQLite there is no such
// moment: the second waits for the first.
func TestRunningRequestIsAConflict(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), dbtest.Postgres(t), Schema)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	m, err := Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(t.Context(), db, m); err != nil {
		t.Fatal(err)
	}
	s, key := New(db), &idempotency.Key{Incarnation: "c", Principal: "p", Route: "r", Key: "k"}
	ask := func(write func() (string, error)) (answer string, err error) {
		err = s.write(t.Context(), func(tx *gorm.DB) error {
			answer, err = once(tx, s.engine, key, time.Now(), write)
			return err
		})
		return answer, err
	}
	first, err := ask(func() (string, error) {
		if _, err := ask(func() (string, error) { return "twice", nil }); !errors.Is(err, fault.Conflict) {
			t.Errorf("the second request: %v", err)
		}
		return "once", nil
	})
	if err != nil || first != "once" {
		t.Errorf("the first request: %q, %v", first, err)
	}
	if again, err := ask(func() (string, error) { return "twice", nil }); err != nil || again != "once" {
		t.Errorf("afterwards: %q, %v", again, err)
	}
}
