package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// moment is a time that an expression yields. SQLite tells the type of a column, but not that of an expression, so there it
// arrives as the text it is kept as.
type moment struct{ time.Time }

// Value implements driver.Valuer, which GORM asks of a type that scans.
func (m moment) Value() (driver.Value, error) { return m.Time, nil }

// Scan implements sql.Scanner.
func (m *moment) Scan(value any) (err error) {
	switch value := value.(type) {
	case time.Time:
		m.Time = value
		return nil
	case string:
		m.Time, err = time.Parse("2006-01-02 15:04:05.999999999-07:00", value)
		return err
	default:
		return fmt.Errorf("a time of the type %T", value)
	}
}
