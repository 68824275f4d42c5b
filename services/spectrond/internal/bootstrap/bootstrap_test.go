package bootstrap_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/bootstrap"
)

func complete(t *testing.T, c bootstrap.Credentials) bootstrap.Credentials {
	t.Helper()
	done, err := c.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestCompleteMintsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	pinned, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	got := complete(t, bootstrap.Credentials{ContextID: "default", Context: pinned})
	if got.Context != pinned {
		t.Error("the pinned key was replaced")
	}
	if got := complete(t, bootstrap.Credentials{Management: pinned}); got.Management != pinned {
		t.Error("the pinned management key was replaced")
	}
	if _, err := apikey.Parse(got.Management.Reveal()); err != nil {
		t.Errorf("the minted key: %v", err)
	}
	if _, err := (bootstrap.Credentials{Management: pinned, Context: pinned}).Complete(); !errors.Is(err, fault.Invalid) {
		t.Errorf("one key for both: %v", err)
	}
}

func TestEnrolSendsTheSameAgainUntilAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		credentials := complete(t, bootstrap.Credentials{ContextID: "default"})
		var sent []introspection.Enrolment
		err := credentials.Enrol(t.Context(), func(_ context.Context, e introspection.Enrolment) error {
			sent = append(sent, e)
			if len(sent) < 3 {
				return fault.New(fault.AuthorityUnavailable, "later")
			}
			return nil
		})
		if err != nil || len(sent) != 3 {
			t.Fatalf("%d attempts, %v", len(sent), err)
		}
		want := introspection.Enrolment{
			Attempt:    sent[0].Attempt,
			ContextID:  "default",
			Management: introspection.Enrol(credentials.Management),
			Context:    introspection.Enrol(credentials.Context),
		}
		if !apikey.ValidID(want.Attempt) {
			t.Error("the attempt has no name")
		}
		for i, got := range sent {
			if got != want {
				t.Errorf("attempt %d differs", i+1)
			}
		}
	})
}

func TestEnrolGivesUp(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer fault.Kind
		calls  int
	}{
		"refused":     {fault.AlreadyDone, 1},
		"unavailable": {fault.AuthorityUnavailable, 6},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := complete(t, bootstrap.Credentials{}).Enrol(t.Context(), func(context.Context, introspection.Enrolment) error {
					calls++
					return fault.New(tt.answer, "no")
				})
				if !errors.Is(err, tt.answer) || calls != tt.calls {
					t.Errorf("%d calls, %v", calls, err)
				}
			})
		})
	}
}

func TestPrintWritesAnEnvFile(t *testing.T) {
	t.Parallel()
	credentials := complete(t, bootstrap.Credentials{ContextID: "default"})
	var out strings.Builder
	if err := credentials.Print(&out, "http://127.0.0.1:9090", "http://127.0.0.1:9091"); err != nil {
		t.Fatal(err)
	}
	masked := strings.NewReplacer(credentials.Management.Reveal(), "M", credentials.Context.Reveal(), "C").Replace(out.String())
	want := `SPECTRON_URL=http://127.0.0.1:9090
SPECTRON_MANAGEMENT_URL=http://127.0.0.1:9091
SPECTRON_CONTEXT_ID=default
SPECTRON_MANAGEMENT_API_KEY=M
SPECTRON_API_KEY=C
`
	if diff := cmp.Diff(want, masked); diff != "" {
		t.Error(diff)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintSaysThatTheKeysAreLost(t *testing.T) {
	t.Parallel()
	err := complete(t, bootstrap.Credentials{}).Print(fullDisk{}, "", "")
	if err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("got %v", err)
	}
}
