//go:build mutant

package torture_test

import (
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestMutants plays each scenario with the rule broken that it is about. The check must fail: a rule whose loss nothing
// notices is not tested. Builds without the tag mutant have no rules to break.
func TestMutants(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	cluster := dbtest.StartCluster(t)
	for _, s := range scenarios() { //nolint:paralleltest // each is timed
		t.Run(s.rule+": "+s.name, func(t *testing.T) {
			stage := open(t, cluster, s, s.rule)
			start := time.Now()
			for attempt := 1; attempt <= s.attempts; attempt++ {
				s.attempt(t.Context(), stage)
				if err := stage.check(); err != nil {
					t.Logf("noticed after %s, at attempt %d:\n%v", time.Since(start).Round(time.Millisecond), attempt, err)
					return
				}
			}
			t.Errorf("not noticed in %d attempts, %s", s.attempts, time.Since(start).Round(time.Second))
		})
	}
}
