package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

func TestOnlyThePublicPartCrossesTheEdge(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.1: password=hunter2")
	for name, err := range map[string]error{
		"plain":         cause,
		"internal":      (&fault.Error{Message: "also private"}).Because(cause),
		"public":        fmt.Errorf("minting: %w", fault.New(fault.Conflict, "name taken").Because(cause)),
		"public, empty": &fault.Error{Kind: fault.NotFound, Err: cause},
	} {
		body, marshalErr := json.Marshal(fault.ProblemOf(err, "/x", "trace-1"))
		if marshalErr != nil {
			t.Fatal(marshalErr)
		}
		for _, private := range []string{"hunter2", "also private", "minting"} {
			if strings.Contains(string(body), private) {
				t.Errorf("%s: %s tells %q", name, body, private)
			}
		}
	}
}

func TestProblemsCrossTheWireAndBack(t *testing.T) {
	t.Parallel()
	for kind := fault.Internal; kind <= fault.AuthorityUnavailable; kind++ {
		problem := fault.ProblemOf(fault.InvalidField("ttl_seconds", "too small"), "/x", "trace-1")
		if kind != fault.Invalid {
			problem = fault.ProblemOf(fault.New(kind, "detail"), "/x", "trace-1")
		}
		if problem.Message != problem.Detail || problem.Detail == "" || problem.Title == "" || problem.Status != kind.Status() {
			t.Errorf("%v: incomplete %+v", kind, problem)
		}
		back := problem.Err(problem.Status)
		if !errors.Is(back, kind) || back.Message != problem.Detail || back.Field != problem.Field {
			t.Errorf("%v came back as %v", kind, back)
		}
	}
}

func TestForeignProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		problem fault.Problem
		status  int
		want    fault.Kind
	}{
		{fault.Problem{}, 404, fault.NotFound},
		{fault.Problem{Type: "about:blank", Message: "only a message"}, 409, fault.Conflict},
		{fault.Problem{Type: fault.NotFound.Type()}, 403, fault.Forbidden},
		{fault.Problem{}, 418, fault.Internal},
		{fault.Problem{}, 503, fault.Unavailable},
	}
	for _, tt := range tests {
		if got := tt.problem.Err(tt.status); got.Kind != tt.want {
			t.Errorf("%+v with %d is %v, want %v", tt.problem, tt.status, got.Kind, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("x: %w", fault.New(fault.Forbidden, "no"))
	if got := fault.KindOf(wrapped); got != fault.Forbidden {
		t.Errorf("got %v", got)
	}
	if got := fault.KindOf(errors.New("x")); got != fault.Internal {
		t.Errorf("got %v", got)
	}
	if errors.Is(wrapped, fault.NotFound) || !errors.Is(wrapped, fault.Forbidden) {
		t.Error("errors.Is mistakes the kind")
	}
}

func TestEveryRefusedCredentialIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	a, b := fault.BadCredential(), fault.BadCredential()
	if fault.ProblemOf(a, "/x", "1") != fault.ProblemOf(b, "/x", "2") {
		t.Error("two refusals differ")
	}
}

func TestAnInternalErrorWithoutATraceSaysNothingElse(t *testing.T) {
	t.Parallel()
	if got := fault.ProblemOf(errors.New("x"), "/x", "").Detail; got != "internal error" {
		t.Errorf("got %q", got)
	}
}
