package history_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
)

func op(kind history.Kind, from, to time.Duration) history.Operation {
	return history.Operation{Kind: kind, Secret: "k#1", From: from, To: to, Where: "dataplane-1"}
}

const never = history.Never

func TestCheck(t *testing.T) {
	t.Parallel()
	other := op(history.Kill, 0, 1)
	other.Secret = "k#2"
	tests := []struct {
		name       string
		operations []history.Operation
		breaches   int
	}{
		{"nothing", nil, 0},
		{"live", []history.Operation{op(history.Accept, 0, 1), op(history.Accept, 2, 3)}, 0},
		{"refused while live", []history.Operation{op(history.Refuse, 0, 1)}, 1},
		{"refused before the change", []history.Operation{op(history.Refuse, 0, 1), op(history.Kill, 2, 3)}, 1},
		{"refused while changing", []history.Operation{op(history.Refuse, 0, 2), op(history.Kill, 1, 3)}, 0},
		{"accepted while changing", []history.Operation{op(history.Kill, 1, 5), op(history.Accept, 4, 9)}, 0},
		{
			"either while changing",
			[]history.Operation{op(history.Kill, 0, 9), op(history.Refuse, 1, 2), op(history.Accept, 3, 4), op(history.Refuse, 5, 6), op(history.Accept, 7, 8)},
			0,
		},
		{"accepted afterwards", []history.Operation{op(history.Kill, 1, 2), op(history.Accept, 3, 4)}, 1},
		{"refused afterwards", []history.Operation{op(history.Kill, 1, 2), op(history.Refuse, 3, 4)}, 0},
		{"the earlier of two changes", []history.Operation{op(history.Kill, 1, 2), op(history.Kill, 3, 9), op(history.Accept, 4, 5)}, 1},
		{"may be dead at any time", []history.Operation{op(history.Threat, 1, never), op(history.Refuse, 3, 4), op(history.Accept, 5, 6)}, 0},
		{"not dead before", []history.Operation{op(history.Threat, 5, never), op(history.Refuse, 3, 4)}, 1},
		{"dead after all", []history.Operation{op(history.Threat, 1, never), op(history.Kill, 2, 3), op(history.Accept, 4, 5)}, 1},
		{"another secret", []history.Operation{other, op(history.Accept, 3, 4)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := history.Check(tt.operations)
			violation, broken := errors.AsType[*history.ViolationError](err)
			if (tt.breaches == 0) != (err == nil) || broken && len(violation.Breaches) != tt.breaches {
				t.Errorf("got %v, want %d breaches", err, tt.breaches)
			}
		})
	}
}

// The plain check says what the general one says, whatever the history.
func TestBothChecksAgree(t *testing.T) {
	t.Parallel()
	operation := rapid.Custom(func(t *rapid.T) history.Operation {
		kind := rapid.SampledFrom([]history.Kind{history.Accept, history.Refuse, history.Kill, history.Threat}).Draw(t, "kind")
		from := time.Duration(rapid.IntRange(0, 40).Draw(t, "from"))
		o := op(kind, 2*from, 2*from+1+2*time.Duration(rapid.IntRange(0, 10).Draw(t, "length")))
		if kind == history.Threat {
			o.To = never
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		err := history.Check(rapid.SliceOfN(operation, 0, 12).Draw(t, "operations"))
		if err == nil {
			return
		}
		violation, ok := errors.AsType[*history.ViolationError](err)
		if !ok || (len(violation.Breaches) > 0) != (violation.Linearizable == "Illegal") {
			t.Errorf("the checks disagree: %v", err)
		}
	})
}

func TestAViolationTellsWhatHappened(t *testing.T) {
	t.Parallel()
	accepted := op(history.Accept, 5*time.Millisecond, 6*time.Millisecond)
	accepted.Detail = "source=cache as_of=7"
	err := history.Check([]history.Operation{op(history.Kill, 1*time.Millisecond, 2*time.Millisecond), accepted})
	for _, part := range []string{"k#1", "dataplane-1", "source=cache as_of=7", "asked 3ms after"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	violation, ok := errors.AsType[*history.ViolationError](err)
	if !ok {
		t.Fatal("no violation")
	}
	if err := violation.Draw(filepath.Join(t.TempDir(), "history.html")); err != nil {
		t.Error(err)
	}
}
