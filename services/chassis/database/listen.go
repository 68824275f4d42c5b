package database

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Listen calls heard once it listens on a channel of Postgres, and then with every notification, until ctx or the
// connection ends; it returns ctx's error then, or what ended the connection. A caller that must miss nothing looks again
// at each call and now and then besides. On SQLite, where there is nobody to hear, it waits for ctx.
func (d *DB) Listen(ctx context.Context, channel string, heard func(payload string)) error {
	if d.listen == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	conn, err := d.listen(ctx)
	if err != nil {
		return fmt.Errorf("connecting to listen: %w", unavailable(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("listening: %w", Translate(err))
	}
	heard("")
	for {
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("waiting for a notification: %w", Translate(err))
		}
		heard(notification.Payload)
	}
}
