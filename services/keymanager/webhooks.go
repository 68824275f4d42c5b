package keymanager

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
)

// Webhooks says which webhooks may be called, and for how long they are tried. Its zero value is the default.
type Webhooks struct {
	AllowedNetworks []string      `env:"SPECTRON_WEBHOOK_ALLOWED_NETWORKS" flag:"webhook-allowed-networks" usage:"private networks that webhooks may lead to, also by http://, as CIDRs by commas such as 10.1.2.0/24,127.0.0.0/8; none by default, because whoever has a management key could reach your network by them"`
	GiveUp          time.Duration `env:"SPECTRON_WEBHOOK_GIVE_UP" envDefault:"72h" flag:"webhook-give-up" usage:"how long a webhook's message is tried; a webhook that accepts nothing for all of that is disabled"`
	ExpiryWarnings  []string      `env:"SPECTRON_KEY_EXPIRY_WARNINGS" envDefault:"168h,24h" flag:"key-expiry-warnings" usage:"how long before a key's end the event key.expiring is told, by commas; once for each"`
}

// The bounds of how long messages are tried.
const (
	minGiveUp = time.Second
	maxGiveUp = 30 * 24 * time.Hour
)

// Verify reports what is wrong with it.
func (w Webhooks) Verify() error {
	_, networkErr := w.networks()
	_, warningErr := w.warnings()
	var giveUpErr error
	if w.GiveUp != 0 && (w.GiveUp < minGiveUp || w.GiveUp > maxGiveUp) {
		giveUpErr = fmt.Errorf("SPECTRON_WEBHOOK_GIVE_UP (--webhook-give-up) must be from %s to %s", minGiveUp, maxGiveUp)
	}
	return errors.Join(networkErr, giveUpErr, warningErr)
}

func (w Webhooks) networks() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range w.AllowedNetworks {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil || prefix != prefix.Masked() {
			return nil, fmt.Errorf("SPECTRON_WEBHOOK_ALLOWED_NETWORKS (--webhook-allowed-networks): %q is no network such as 10.1.2.0/24", text)
		}
		out = append(out, prefix)
	}
	return out, nil
}

func (w Webhooks) warnings() ([]time.Duration, error) {
	var out []time.Duration
	for _, text := range w.ExpiryWarnings {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil || d < time.Second || d != d.Truncate(time.Second) {
			return nil, fmt.Errorf("SPECTRON_KEY_EXPIRY_WARNINGS (--key-expiry-warnings): %q is no duration of whole seconds such as 168h", text)
		}
		out = append(out, d)
	}
	return out, nil
}

// hookMetrics count deliveries. The zero value counts nothing.
type hookMetrics struct {
	attempts        *prometheus.CounterVec
	pending, oldest prometheus.Gauge
}

func (c Config) hookMetrics() hook.Observer {
	if c.Metrics == nil {
		return hookMetrics{}
	}
	m := hookMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "spectron_webhook_deliveries_total",
			Help: "Attempts to deliver a webhook, by outcome: delivered, failed, refused (the address may not be called), interrupted (we stopped).",
		}, []string{"outcome"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "spectron_webhook_pending",
			Help: "Messages that wait to be delivered to enabled webhooks, in the whole deployment, as of a minute ago at the most.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "spectron_webhook_oldest_seconds",
			Help: "For how long the oldest of the messages that wait has been waiting, as of a minute ago at the most.",
		}),
	}
	for _, outcome := range hook.Outcomes() {
		m.attempts.WithLabelValues(outcome)
	}
	c.Metrics.MustRegister(m.attempts, m.pending, m.oldest)
	return m
}

// Attempted implements hook.Observer.
func (m hookMetrics) Attempted(outcome string) {
	if m.attempts != nil {
		m.attempts.WithLabelValues(outcome).Inc()
	}
}

// Waiting implements hook.Observer.
func (m hookMetrics) Waiting(pending int64, oldest time.Duration) {
	if m.pending != nil {
		m.pending.Set(float64(pending))
		m.oldest.Set(oldest.Seconds())
	}
}

// hookOptions returns which addresses webhooks may have, and how they are delivered to.
func (c Config) hookOptions() (*hook.Guard, hook.Options, error) {
	networks, err := c.Webhooks.networks()
	if err != nil {
		return nil, hook.Options{}, err
	}
	warnings, err := c.Webhooks.warnings()
	return hook.NewGuard(networks), hook.Options{GiveUp: c.Webhooks.GiveUp, Warnings: warnings}, err
}
