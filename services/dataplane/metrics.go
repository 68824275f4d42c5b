package dataplane

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/admission"
)

// traceRows counts the rows of the trace that were lost.
func traceRows(traces *trace.Log) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "spectron_trace_rows_dropped_total", Help: "Rows of the trace (/traces, /audit) that could not be stored.",
	}, func() float64 { return float64(traces.Lost()) })
}

// pulls counts how asking peers for records ends.
func (c Config) pulls() func(federation.Outcome) {
	if c.Metrics == nil {
		return func(federation.Outcome) {}
	}
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "spectron_federation_pulls_total", Help: "Questions to peers for records, by result: news, nothing new, or failed.",
	}, []string{"result"})
	c.Metrics.MustRegister(counter)
	for _, outcome := range federation.Outcomes() {
		counter.WithLabelValues(string(outcome)) // told from the start: a rate needs a first value
	}
	return func(outcome federation.Outcome) { counter.WithLabelValues(string(outcome)).Inc() }
}

// verifications tells Prometheus what a verifier counts.
type verifications struct{ verifier *verifier.Verifier }

var (
	verdicts = prometheus.NewDesc("spectron_verifier_verdicts_total",
		"Keys verified, by how: hit and negative_hit from memory, miss by asking, malformed by their checksum.", []string{"result"}, nil)
	questions = prometheus.NewDesc("spectron_verifier_questions_total", "Questions to the key manager; each may be about many keys.", nil, nil)
	asked     = prometheus.NewDesc("spectron_verifier_asked_keys_total", "Keys that the key manager was asked about.", nil, nil)
	applied   = prometheus.NewDesc("spectron_verifier_revisions_applied_total", "Revisions applied from the watch stream.", nil, nil)
	lapses    = prometheus.NewDesc("spectron_verifier_lease_lapses_total", "Leases that ended before they were renewed.", nil, nil)
	failures  = prometheus.NewDesc("spectron_verifier_failures_total", "Calls to the key manager that failed, by purpose.", []string{"call"}, nil)
	reports   = prometheus.NewDesc("spectron_verifier_use_reports_total", "Reports of used keys that got through.", nil, nil)
	cached    = prometheus.NewDesc("spectron_verifier_cached_keys", "Verdicts in memory.", []string{"kind"}, nil)
	valid     = prometheus.NewDesc("spectron_verifier_lease_valid", "1 while verdicts may come from memory.", nil, nil)
	streams   = prometheus.NewDesc("spectron_verifier_streams_total", "Watch streams that have begun: one, and one for each time that it broke off.", nil, nil)
	uses      = prometheus.NewDesc("spectron_verifier_uses_waiting", "Uses of keys that wait to be reported.", nil, nil)
	age       = prometheus.NewDesc("spectron_verifier_lease_age_seconds", "Time since the lease was asked for that was granted last.", nil, nil)
	revision  = prometheus.NewDesc("spectron_verifier_revision", "The newest revision applied.", nil, nil)
)

// Describe sends the descriptions of all metrics.
func (v verifications) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(v, ch) }

// Collect sends the present values.
func (v verifications) Collect(ch chan<- prometheus.Metric) {
	s := v.verifier.Stats()
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	counter(verdicts, s.Hits, "hit")
	counter(verdicts, s.NegativeHits, "negative_hit")
	counter(verdicts, s.Misses, "miss")
	counter(verdicts, s.Malformed, "malformed")
	counter(questions, s.Questions)
	counter(asked, s.Asked)
	counter(applied, s.Applied)
	counter(lapses, s.Lapses)
	counter(failures, s.RenewalErrors, "renew")
	counter(failures, s.StreamErrors, "watch")
	counter(failures, s.ReportErrors, "report")
	counter(reports, s.Reports)
	gauge(cached, float64(s.Keys), "accepted")
	gauge(cached, float64(s.Refused), "refused")
	gauge(cached, float64(s.Targets), "target")
	counter(streams, s.Streams)
	gauge(uses, float64(s.Uses))
	gauge(age, s.LeaseAge.Seconds())
	lease := 0.0
	if s.LeaseValid {
		lease = 1
	}
	gauge(valid, lease)
	gauge(revision, float64(s.Revision))
}

// admissions tells Prometheus how callers fared whose keys have limits.
type admissions struct{ gate *admission.Gate }

var (
	admitted = prometheus.NewDesc("spectron_admission_total",
		"Requests with keys that have limits: admitted, rate_limited or address_refused.", []string{"outcome"}, nil)
	metered = prometheus.NewDesc("spectron_admission_keys", "Keys whose use is remembered for their rate limit.", nil, nil)
)

// Describe sends the descriptions of all metrics.
func (a admissions) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(a, ch) }

// Collect sends the present values.
func (a admissions) Collect(ch chan<- prometheus.Metric) {
	s := a.gate.Stats()
	for outcome, n := range map[string]int64{"admitted": s.Admitted, "rate_limited": s.RateLimited, "address_refused": s.AddressRefused} {
		ch <- prometheus.MustNewConstMetric(admitted, prometheus.CounterValue, float64(n), outcome)
	}
	ch <- prometheus.MustNewConstMetric(metered, prometheus.GaugeValue, float64(s.Keys))
}
