package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

func jobs(t *testing.T, subject Subject) {
	s := subject.Store
	c := create(t, s, "acme")
	queue := func(id string, kind introspection.JobKind, want string) {
		t.Helper()
		got, err := s.QueueJob(t.Context(), "acme", kind, id)
		if err != nil || got != want {
			t.Errorf("queueing %s: %s, %v, want %s", id, got, err, want)
		}
	}
	take := func(limit int, want ...introspection.Job) {
		t.Helper()
		got, err := s.TakeJobs(t.Context(), limit, time.Minute)
		if diff := cmp.Diff(append([]introspection.Job{}, want...), got); err != nil || diff != "" {
			t.Errorf("taking: %v (-want +got):\n%s", err, diff)
		}
	}
	job := func(id string, kind introspection.JobKind) introspection.Job {
		return introspection.Job{ID: id, Kind: kind, Incarnation: c.Incarnation}
	}
	take(10)
	queue("1", introspection.JobDecay, "1")
	queue("2", introspection.JobDecay, "1") // it waits already
	queue("3", introspection.JobReindex, "3")
	take(1, job("1", introspection.JobDecay))
	queue("4", introspection.JobDecay, "4") // the first has begun without what happened since
	take(10, job("3", introspection.JobReindex), job("4", introspection.JobDecay))
	take(10)
	for range 2 {
		for _, id := range []string{"3", "4"} {
			if err := s.RemoveJob(t.Context(), id); err != nil {
				t.Errorf("removing a job: %v", err)
			}
		}
	}
	subject.Age(t, "jobs", "claimed_at", time.Minute)
	take(10, job("1", introspection.JobDecay)) // whoever took it is gone
	if _, err := s.QueueJob(t.Context(), "nobody", introspection.JobDecay, "5"); !errors.Is(err, fault.NotFound) {
		t.Errorf("queueing in an unknown context: %v, want NotFound", err)
	}
	for action, want := range map[string]int64{"job.queued": 3, "job.done": 2} {
		if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = '"+action+"'"); n != want {
			t.Errorf("%d entries of %s, want %d", n, action, want)
		}
	}
	if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM jobs"); n != 0 {
		t.Errorf("%d jobs outlive their context", n)
	}
	migrated, err := s.Migrated(t.Context())
	if err != nil || migrated.Contexts != 0 || migrated.Version < 4 {
		t.Errorf("migrated: %+v, %v", migrated, err)
	}
}

func jobRace(t *testing.T, subject Subject) {
	s := subject.Store
	const n = 20
	for i := range n {
		id := fmt.Sprint("c", i)
		create(t, s, id)
		if _, err := s.QueueJob(t.Context(), id, introspection.JobReindex, id); err != nil {
			t.Fatal(err)
		}
	}
	var taken atomic.Int64
	race(8, func(int) {
		for range n {
			got, err := s.TakeJobs(t.Context(), 3, time.Hour)
			if err != nil {
				t.Errorf("taking: %v", err)
			}
			taken.Add(int64(len(got)))
		}
	})
	if taken.Load() != n {
		t.Errorf("%d jobs were taken, want each of %d once", taken.Load(), n)
	}
}
