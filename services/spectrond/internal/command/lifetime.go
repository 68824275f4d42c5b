package command

import (
	"errors"
	"strconv"
	"time"
)

// maxLifetime is what the management API takes at most: a hundred years.
const maxLifetime = 3_153_600_000

// lifetime is the value of --expires-in, in seconds. The zero value is not given, and cannot be given: it would read as
// a key without an end to some and as a dead one to others.
type lifetime int64

// String returns the seconds, or nothing when it was not given.
func (l *lifetime) String() string {
	if *l == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*l), 10)
}

// Set takes seconds.
func (l *lifetime) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > maxLifetime {
		return errors.New("want a whole number of seconds, at least 1 and at most a hundred years")
	}
	*l = lifetime(n)
	return nil
}

// Type returns the word that help shows for the value.
func (*lifetime) Type() string { return "seconds" }

func (l *lifetime) duration() time.Duration { return time.Duration(*l) * time.Second }
