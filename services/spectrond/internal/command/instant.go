package command

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// instant is the value of --since, --until and --before: a moment, or how long ago it was.
type instant struct{ at time.Time }

// String returns the moment, or nothing when it was not given.
func (i *instant) String() string {
	if i.at.IsZero() {
		return ""
	}
	return i.at.Format(time.RFC3339)
}

// Set takes a time, a date, or a span such as 90d or 36h.
func (i *instant) Set(text string) error {
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			i.at = at
			return nil
		}
	}
	span, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		span = time.Duration(n) * 24 * time.Hour
	}
	const longest = 100 * 366 * 24 * time.Hour
	if err != nil || span < 0 || span > longest {
		return errors.New("want a time such as 2026-08-01T12:00:00Z, a date, or how long ago: 36h, 90d")
	}
	i.at = time.Now().Add(-span) //nolint:forbidigo // how long ago is counted from this machine's clock
	return nil
}

// Type returns the word that help shows for the value.
func (*instant) Type() string { return "time" }
