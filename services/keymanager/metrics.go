package keymanager

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// waits tells of the changes that wait for verifiers.
func waits(barrier *revision.Barrier) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "spectron_barrier_waiting", Help: "Changes of authority that wait for verifiers now.",
		}, func() float64 { return float64(barrier.Waiting()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "spectron_barrier_timeouts_total",
			Help: "Changes of authority that were answered by an error, because the database did not say whether every verifier had applied them.",
		}, func() float64 { return float64(barrier.Timeouts()) }),
	}
}

// propagations counts how changes reach the verifiers.
func (c Config) propagations() func(revision.Propagation) {
	if c.Metrics == nil {
		return func(revision.Propagation) {}
	}
	waits := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "spectron_barrier_seconds",
		Help:    "How long changes of authority waited until every verifier had applied them or lost its lease.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
	})
	verifiers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "spectron_barrier_verifiers_total",
		Help: "Verifiers that changes of authority waited for, by what became of them.",
	}, []string{"result"})
	c.Metrics.MustRegister(waits, verifiers)
	acknowledged, lapsed := verifiers.WithLabelValues("acknowledged"), verifiers.WithLabelValues("lapsed")
	return func(p revision.Propagation) {
		waits.Observe(p.Waited.Seconds())
		acknowledged.Add(float64(p.Acknowledged))
		lapsed.Add(float64(p.Lapsed))
	}
}

// auditMetrics are what the audit log tells of itself.
type auditMetrics struct {
	unsealed, lag, head prometheus.Gauge
	sealed, failures    prometheus.Counter
	denials, pushes     *prometheus.CounterVec
}

// newAuditMetrics returns metrics that nobody sees when there is no registry.
func (c Config) newAuditMetrics() *auditMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	m := &auditMetrics{
		unsealed: gauge("spectron_audit_unsealed_entries", "Entries of the audit log that wait for their place in the chain, up to 10000."),
		lag:      gauge("spectron_audit_seal_lag_seconds", "How long the oldest of them has waited."),
		head:     gauge("spectron_audit_head_seq", "The number of the newest sealed entry of the audit log."),
		sealed:   prometheus.NewCounter(counter("spectron_audit_sealed_total", "Entries of the audit log that this replica has sealed.")),
		failures: prometheus.NewCounter(counter("spectron_audit_seal_failures_total", "Rounds of sealing that failed.")),
		denials:  prometheus.NewCounterVec(counter("spectron_audit_denials_total", "Requests refused with 401 or 403, by reason."), []string{"reason"}),
		pushes:   prometheus.NewCounterVec(counter("spectron_audit_head_pushes_total", "Heads of the audit log posted to SPECTRON_AUDIT_HEAD_URL, by result."), []string{"result"}),
	}
	if c.Metrics != nil {
		c.Metrics.MustRegister(m.unsealed, m.lag, m.head, m.sealed, m.failures, m.denials, m.pushes)
	}
	return m
}

func (m *auditMetrics) denied(reason audit.Reason) { m.denials.WithLabelValues(string(reason)).Inc() }

func (m *auditMetrics) pushed(ok bool) {
	result := "ok"
	if !ok {
		result = "failed"
	}
	m.pushes.WithLabelValues(result).Inc()
}

func (m *auditMetrics) watch() audit.Watch {
	return audit.Watch{
		Sealed: func(entries int) { m.sealed.Add(float64(entries)) },
		Standing: func(s audit.Standing) {
			m.head.Set(float64(s.Head))
			m.unsealed.Set(float64(s.Unsealed))
			m.lag.Set(s.Lag.Seconds())
		},
		Failed: m.failures.Inc,
	}
}
