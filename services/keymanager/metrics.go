package keymanager

import (
	"github.com/prometheus/client_golang/prometheus"

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
