// Package federation shares threads between servers: it feeds records to peers, takes theirs, and pulls the threads of which
// pairs were made.
//
// It promises: a record that is pulled or pushed is stored only under the id that it has, and, where its signer is known, only
// with that signer's signature over the id; of a page in which one record is refused nothing is stored. A pair's cursor never
// runs ahead of what is stored. Of all replicas one pulls a pair. The token of a peer is at rest only sealed, goes only to the
// peer's address, never where that one redirects, and into no answer, error or log. What is the engine's own, such as its
// configuration, is given to no peer and taken from none.
package federation

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
)

// Records are the records of this server; see [record.Service].
type Records interface {
	Since(ctx context.Context, space string, selection record.Selection, cursor string, limit int) (record.Page, error)
	Changed(space string) <-chan struct{}
	Find(ctx context.Context, space string, ids []string) ([]record.Record, error)
	Check(foreign record.Foreign) (record.Record, error)
	Import(ctx context.Context, space string, records []record.Foreign) ([]record.Outcome, error)
}

// Config is what a Service is made of.
type Config struct {
	Store   Store
	Records Records
	// Namespace is the context that records are of, by the name its users know.
	Namespace string
	// Identity signs what is fed to peers; nil: nothing is signed.
	Identity *identity.Identity
	// Sealer seals the tokens of peers; nil: no pair may have one.
	Sealer *seal.Sealer
	// Replica names this process among those that share the store.
	Replica string
	// Transport carries requests to peers; nil means the network.
	Transport http.RoundTripper
	// Timing is how patient the service is; its zero value is right outside tests.
	Timing Timing
	Now    func() time.Time
	Log    *slog.Logger
	// Pulled, if not nil, is told how each question to a peer ended.
	Pulled func(Outcome)
}

// Outcome is how a question to a peer ended.
type Outcome string

// The outcomes.
const (
	News   Outcome = "news"
	NoNews Outcome = "no_news"
	Failed Outcome = "failed"
)

// Outcomes lists them.
func Outcomes() []Outcome { return []Outcome{News, NoNews, Failed} }

// Timing is how patient a Service is. Zero means the default of each.
type Timing struct {
	// Beat is the time between two looks for pairs to pull (3 s), and Lease for how long a replica has a pair after it (10 s).
	Beat, Lease time.Duration
	// Wait is how long a peer is asked to wait for news (20 s).
	Wait time.Duration
	// MinBackoff and MaxBackoff bound the mean pause after a failure (500 ms, 30 s).
	MinBackoff, MaxBackoff time.Duration
}

func (t Timing) orDefaults() Timing {
	for _, each := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&t.Beat, 3 * time.Second},
		{&t.Lease, 10 * time.Second},
		{&t.Wait, 20 * time.Second},
		{&t.MinBackoff, 500 * time.Millisecond},
		{&t.MaxBackoff, 30 * time.Second},
	} {
		if *each.value == 0 {
			*each.value = each.standard
		}
	}
	return t
}

// Service federates. It is safe for concurrent use.
type Service struct {
	Config

	peers *http.Client
	// looks wakes the loop of Run before its time.
	looks chan struct{}
}

// New returns a Service. Nothing is pulled before [Service.Run].
func New(config Config) *Service {
	config.Timing = config.Timing.orDefaults()
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Pulled == nil {
		config.Pulled = func(Outcome) {}
	}
	if config.Transport == nil {
		config.Transport = network()
	}
	return &Service{Config: config, peers: newClient(config.Transport), looks: make(chan struct{}, 1)}
}

// look makes Run look at the pairs now.
func (s *Service) look() {
	select {
	case s.looks <- struct{}{}:
	default: // it will
	}
}
