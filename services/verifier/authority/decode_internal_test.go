package authority

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// FuzzDecode feeds the watch decoder what a broken or hostile stream might send. Whatever it takes for events reads the same
// when it is written again, and it never returns without an error.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}", "null\n", "[]\n", `{"revision":1}`, `{"authority":"a","revision":7,"reset":true}` + "\n\n" + `{"revision":8,"kind":"key","id":"k"}` + "\n",
		`{"revision":1}{"revision":2}`, `{"revision":1e3}`, `{"revision":9223372036854775808}`, "\x00", "{\"id\":\"\xff\"}\n", "{\"revision\":1}\r\n", strings.Repeat(" ", maxEvent+1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var events []introspection.Event
		collect := func(e introspection.Event) error {
			events = append(events, e)
			return nil
		}
		if decode(bytes.NewReader(stream), collect) == nil {
			t.Fatal("it returned without an error")
		}
		if lines := bytes.Count(stream, []byte("\n")) + 1; len(events) > lines {
			t.Fatalf("%d events in %d lines", len(events), lines)
		}
		first := events
		events = nil
		var again bytes.Buffer
		encoder := json.NewEncoder(&again)
		for _, e := range first {
			if err := encoder.Encode(e); err != nil {
				t.Fatal(err)
			}
		}
		if decode(&again, collect) == nil || cmp.Diff(first, events) != "" {
			t.Errorf("written again: %s", cmp.Diff(first, events))
		}
	})
}

func TestDecode(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	long := `{"revision":3,"id":"` + strings.Repeat("x", maxEvent) + `"}`
	quiet := strings.Repeat("\n", 2*maxEvent) // signs of life of eighteen hours
	for name, tt := range map[string]struct {
		stream string
		events int
		err    string
	}{
		"ends":           {`{"revision":1}` + "\n" + `{"revision":2}` + "\n", 2, "unexpected EOF"},
		"is cut":         {`{"revision":1}` + "\n" + `{"revision":2`, 1, "unexpected end of JSON input"},
		"is quiet":       {quiet + `{"revision":1}` + "\n" + quiet, 1, "unexpected EOF"},
		"is too long":    {`{"revision":1}` + "\n" + long, 1, "too long"},
		"is not JSON":    {"<html>\n", 0, "invalid character"},
		"two on a line":  {`{"revision":1}{"revision":2}` + "\n", 0, "invalid character"},
		"has a receiver": {strings.Repeat(`{"revision":1}`+"\n", 5), 3, "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			err := decode(strings.NewReader(tt.stream), func(introspection.Event) error {
				if n++; n == 3 {
					return stop
				}
				return nil
			})
			if n != tt.events || err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%d events, %v; want %d, %s", n, err, tt.events, tt.err)
			}
		})
	}
}
