package dataplane

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/admission"
)

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
	for outcome, n := range map[string]int64{"admitted": s.Admitted, "rate_limited": s.Limited, "address_refused": s.Displaced} {
		ch <- prometheus.MustNewConstMetric(admitted, prometheus.CounterValue, float64(n), outcome)
	}
	ch <- prometheus.MustNewConstMetric(metered, prometheus.GaugeValue, float64(s.Keys))
}
