package verifier

import (
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// Stats counts what a verifier has done since it started.
type Stats struct {
	// Hits and NegativeHits were answered from memory; Misses were asked about; Malformed were refused by their checksum.
	Hits, NegativeHits, Misses, Malformed int64
	// Questions went to the authority, with Asked keys in all.
	Questions, Asked int64
	// Applied revisions, from the watch stream.
	Applied int64
	// Lapses are leases that ended before they were renewed.
	Lapses int64
	// Streams of revisions have begun: one, and one for each time that it broke off.
	Streams int64
	// RenewalErrors, StreamErrors and ReportErrors are failed calls to the authority; Reports are those of used keys that
	// got through.
	RenewalErrors, StreamErrors, ReportErrors, Reports int64
	// Keys and Refused are how many verdicts are remembered, Targets how many principals that keys acted for, or wanted to.
	Keys, Refused, Targets int
	// Uses are how many uses of keys wait to be reported.
	Uses int
	// LeaseAge is how long ago the lease was asked for that was granted last; 0 while there has been none.
	LeaseAge time.Duration
	// LeaseValid says whether the cache may answer now, and Revision which one it has applied.
	LeaseValid bool
	Revision   int64
}

// counters are striped: every core counts on its own, since two that share a line slow a hit down more than the look-up.
type counters struct {
	hits, negativeHits, misses, malformed, questions, asked, applied, lapses,
	renewalErrors, streamErrors, reportErrors, reports, streams *xsync.Counter
}

func newCounters() counters {
	return counters{
		xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(),
		xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(),
		xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(), xsync.NewCounter(),
		xsync.NewCounter(),
	}
}

// Stats returns the counts so far.
func (v *Verifier) Stats() Stats {
	v.cache.mu.Lock()
	keys, refused := v.cache.good.count, v.cache.bad.count
	v.cache.mu.Unlock()
	targets := v.cache.targets.len()
	now, age := v.now(), time.Duration(0)
	if l := v.lease.current.Load(); l != nil {
		age = now.Sub(l.start)
	}
	s := &v.stats
	return Stats{
		Hits: s.hits.Value(), NegativeHits: s.negativeHits.Value(), Misses: s.misses.Value(), Malformed: s.malformed.Value(),
		Questions: s.questions.Value(), Asked: s.asked.Value(), Applied: s.applied.Value(), Lapses: s.lapses.Value(),
		RenewalErrors: s.renewalErrors.Value(), StreamErrors: s.streamErrors.Value(),
		ReportErrors: s.reportErrors.Value(), Reports: s.reports.Value(),
		Keys: keys, Refused: refused, Targets: targets, Uses: v.uses.len(), Streams: s.streams.Value(), LeaseAge: age,
		LeaseValid: v.lease.trusted(now), Revision: v.lease.applied.Load(),
	}
}
