package thread

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const (
	// MaxMessages is the most messages of a projection: the last ones.
	MaxMessages = 1000
	// maxText is the most bytes of a message; the record has the rest.
	maxText = 16 << 10
)

// Message is a record for people to read.
type Message struct {
	ID, Actor, Text string
	Act             record.Act
	Clock           int64
	At              time.Time
}

// Messages returns the last records of a thread, in the order of (clock, id).
func (s *Service) Messages(ctx context.Context, space, id string) ([]Message, error) {
	if _, err := s.Get(ctx, space, id); err != nil {
		return nil, err
	}
	var out []Message
	err := s.records.Fold(ctx, space, id, record.ByClock, func(r record.Record) error {
		if len(out) == 2*MaxMessages { // now and then, so that each is moved once at most
			out = append(out[:0], out[MaxMessages:]...)
		}
		out = append(out, Message{r.ID, r.Actor, textOf(r.Body), r.Act, r.Clock, r.ReceivedAt})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out[max(0, len(out)-MaxMessages):], nil
}

// textOf returns what a body says: the first of its texts, or all of it as JSON.
func textOf(body json.RawMessage) string {
	var said map[string]json.RawMessage
	text := string(body)
	if json.Unmarshal(body, &said) == nil {
		for _, name := range []string{"text", "message", "content", "title"} {
			var found string
			if json.Unmarshal(said[name], &found) == nil && found != "" {
				text = found
				break
			}
		}
	}
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// Lines writes messages for a terminal. Nothing in them can move its cursor, change its colours or turn its text around.
func Lines(messages []Message) []string {
	var out []string
	for _, m := range messages {
		head := fmt.Sprintf("%6d  %-6s  %s  ", m.Clock, m.Act, printable(m.Actor))
		for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n"), "\n") {
			out = append(out, head+printable(line))
			head = "        "
		}
	}
	return out
}

// printable replaces what a terminal would obey instead of showing it. What joins characters into one is left.
func printable(line string) string {
	const joiner = '\u200d'
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsPrint(r) || r == joiner:
			return r
		default:
			return utf8.RuneError
		}
	}, line)
}
