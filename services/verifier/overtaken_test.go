package verifier_test

import (
	"testing"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

// The answer about one key may tell of a change before the stream does. When the stream follows, and the change counts as
// acknowledged, nothing may be left of the other keys that it touched either.
func TestAnAnswerOvertakesTheStream(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		kind   introspection.SubjectKind
		id     string
		change func(*introspection.Verdict)
	}{
		"principal": {introspection.SubjectPrincipal, "p", func(v *introspection.Verdict) {
			v.Principal = &caller.Principal{ID: "p", Grants: grant.Map{}}
		}},
		"context": {introspection.SubjectContext, "", func(v *introspection.Verdict) { v.Incarnation = "acme.2" }},
		"blocked": {introspection.SubjectContext, "", func(v *introspection.Verdict) { v.Blocked = true }},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newRegistry()
			v := open(t, r, verifier.Config{})
			settle()
			hot, cold := r.mint(t), r.mint(t)
			wantCached(t, v, hot)
			r.set(func() {
				r.silent = true
				for digest, verdict := range r.live {
					change.change(&verdict)
					r.live[digest] = verdict
				}
				r.touchLocked(change.kind, change.id)
			})
			wantCached(t, v, cold)
			r.set(func() { r.silent = false })
			settle()
			if got := r.acknowledged(); got != 1 {
				t.Fatalf("acknowledged %d, want 1", got)
			}
			if source, ok := check(t, v, hot); !ok || source != verifier.FromAuthority {
				t.Errorf("what was read before the change is still accepted (%t) from %q", ok, source)
			}
		})
	}
}
