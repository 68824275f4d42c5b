package caller_test

import (
	"testing"

	"github.com/spectron-hq/spectron/services/contract/caller"
)

func TestTheCallerTravelsInTheContext(t *testing.T) {
	t.Parallel()
	if c, ok := caller.From(t.Context()); ok {
		t.Errorf("an empty context carries %v", c)
	}
	want := &caller.Caller{Context: "acme"}
	if got, ok := caller.From(caller.With(t.Context(), want)); !ok || got != want {
		t.Errorf("got %v, %t", got, ok)
	}
}
