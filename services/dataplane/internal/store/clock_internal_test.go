package store

import (
	"context"
	"testing"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestTheClockOfAnEndedRequestIsAnError asks for the time where a statement cannot even be prepared any more.
func TestTheClockOfAnEndedRequestIsAnError(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, err := database.Open(t.Context(), url, Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		var asked error
		_ = db.Read(ctx, func(tx *gorm.DB) error {
			cancel()
			_, asked = New(db).engine.clock(tx)
			return asked
		})
		if asked == nil {
			t.Error("a time")
		}
	})
}
