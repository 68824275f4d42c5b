package hook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// Options are what a courier goes by. A zero field is its default.
type Options struct {
	// GiveUp is how long a message is tried. An endpoint that accepted nothing for all of that is disabled. 72 hours.
	GiveUp time.Duration
	// Warnings are how long before its end a key is announced to end. A week and a day.
	Warnings []time.Duration
	// Timeout bounds one attempt, from the name's resolution to the answer. 15 seconds.
	Timeout time.Duration
	// Poll is how often the outbox is looked at, Scan how often keys that end and old rows are, and the backlog. A second; a minute.
	Poll, Scan time.Duration
	// PerEndpoint is how many attempts at one endpoint may be under way in this process. 4: so at most 400 in all.
	PerEndpoint int
	// FirstDelay is the pause after the first attempt; it doubles with each further one up to six hours. 5 seconds.
	FirstDelay time.Duration
	// Drain is how long attempts under way may go on once the process stops. 5 seconds.
	Drain time.Duration
}

const (
	// maxDelay is the longest pause between two attempts.
	maxDelay = 6 * time.Hour
	// leaseSlack is how much longer than an attempt its claim lasts: what a slow database may take to learn of its end.
	leaseSlack = 30 * time.Second
	// scanBatch is how many keys are announced, and how many old rows deleted, in one transaction.
	scanBatch = 500
)

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	set(&o.GiveUp, 72*time.Hour)
	set(&o.Timeout, 15*time.Second)
	set(&o.Poll, time.Second)
	set(&o.Scan, time.Minute)
	set(&o.FirstDelay, 5*time.Second)
	set(&o.Drain, 5*time.Second)
	if o.PerEndpoint <= 0 {
		o.PerEndpoint = 4
	}
	if o.Warnings == nil {
		o.Warnings = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour}
	}
	return o
}

// Queue is where a courier finds what it is to bring.
type Queue interface {
	// Due returns the ids of enabled endpoints for which something is due, and whose secrets are sealed under one of the peppers.
	Due(ctx context.Context, peppers []uint16) ([]string, error)
	// Claim takes at most limit due deliveries of an endpoint, for so long as lease; nobody else gets them until then.
	Claim(ctx context.Context, endpointID, claim string, limit int, lease time.Duration) (Claimed, error)
	// Settle notes what came of an attempt that still has its claim, and reports whether the endpoint was disabled for it.
	Settle(ctx context.Context, d Delivery, claim string, result Result) (disabled string, err error)
	// Warn queues the warnings about at most limit keys that end within the given time and later than after, and returns how many it
	// looked at. Each is given once for a key's end, however many replicas ask.
	Warn(ctx context.Context, after, within time.Duration, limit int) (int, error)
	// Sweep gives up what waits for endpoints that are disabled or gone, and deletes at most limit of what ended more than a week ago. It
	// returns how many those were.
	Sweep(ctx context.Context, giveUp time.Duration, limit int) (deleted int, err error)
	// Backlog counts what is pending for enabled endpoints, and says how old the oldest of it is.
	Backlog(ctx context.Context) (pending int64, oldest time.Duration, err error)
	// Reseal replaces the secrets that are not sealed under the pepper of that version by what reseal makes of them.
	Reseal(ctx context.Context, version uint16, reseal func(Endpoint) (Endpoint, error)) error
}

// Claimed is what a claim has brought: an endpoint as it is now, and deliveries to it.
type Claimed struct {
	Endpoint   Endpoint
	Deliveries []Delivery
	// At is the time on the authority's clock.
	At time.Time
}

// Result is what came of an attempt.
type Result struct {
	// Status is that of the answer, 0 without one. Problem says why it was not accepted; empty is success.
	Status  int
	Problem string
	Took    time.Duration
	// Retry is the pause before the next attempt, and GiveUp how long a message is tried.
	Retry, GiveUp time.Duration
	// Interrupted says that this process ended the attempt: it does not count.
	Interrupted bool
}

// Accepted reports whether the endpoint took the message.
func (r Result) Accepted() bool { return r.Problem == "" && !r.Interrupted }

// Observer counts. Its methods are called by many goroutines.
type Observer interface {
	// Attempted is told of each attempt: delivered, failed, refused (the address), interrupted.
	Attempted(outcome string)
	// Waiting is told of the backlog.
	Waiting(pending int64, oldest time.Duration)
}

// Courier delivers.
type Courier struct {
	queue    Queue
	ring     *secret.Keyring
	options  Options
	now      func() time.Time
	observer Observer
	log      *slog.Logger
	clients  map[string]*http.Client // by scheme

	attempts sync.WaitGroup
	wake     chan struct{}
	mu       sync.Mutex     // guards busy
	busy     map[string]int // attempts under way, by endpoint
}

// NewCourier returns a courier of what is in queue, which opens secrets with ring and calls what guard lets pass. now is the clock by
// which receivers judge timestamps.
func NewCourier(
	queue Queue, ring *secret.Keyring, guard *Guard, options Options, now func() time.Time, observer Observer, log *slog.Logger,
) *Courier {
	options = options.withDefaults()
	return &Courier{
		queue: queue, ring: ring, options: options, now: now, observer: observer, log: log,
		clients: map[string]*http.Client{
			"https": guard.client("https", options.Timeout), "http": guard.client("http", options.Timeout),
		},
		wake: make(chan struct{}, 1), busy: map[string]int{},
	}
}

// Run delivers until ctx ends, and then waits a little for the attempts under way. What it leaves, another replica takes up.
func (c *Courier) Run(ctx context.Context) {
	if err := c.queue.Reseal(ctx, c.ring.Current(), c.reseal); err != nil && ctx.Err() == nil {
		c.log.ErrorContext(ctx, "sealing the secrets of webhooks anew", slog.Any("error", err))
	}
	// Attempts outlive ctx by the time they are given to end in.
	attempt, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var scanning sync.WaitGroup
	scanning.Go(func() { c.scan(ctx) })
	poll := time.NewTicker(c.options.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		if err := c.round(ctx, attempt); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "looking for webhooks to deliver", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		case <-c.wake:
		}
	}
	patience := time.AfterFunc(c.options.Drain, abandon)
	c.attempts.Wait()
	patience.Stop()
	scanning.Wait()
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// round begins as many attempts as there is room for. Each endpoint has room of its own, so that a slow one holds no other up.
func (c *Courier) round(ctx, attempt context.Context) error {
	due, err := c.queue.Due(ctx, c.ring.Versions())
	if err != nil {
		return err
	}
	for _, id := range due {
		room := c.options.PerEndpoint - c.underWay(id, 0)
		if room <= 0 {
			continue
		}
		claim := secret.NewID(idLen)
		claimed, err := c.queue.Claim(ctx, id, claim, room, c.options.Timeout+leaseSlack)
		if err != nil {
			return err
		}
		for _, d := range claimed.Deliveries {
			c.underWay(id, 1)
			c.attempts.Go(func() {
				defer func() {
					c.underWay(id, -1)
					select {
					case c.wake <- struct{}{}:
					default: // it is to wake already
					}
				}()
				c.attempt(attempt, claimed, d, claim)
			})
		}
	}
	return nil
}

// underWay counts attempts at an endpoint.
func (c *Courier) underWay(id string, more int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[id] += more
	n := c.busy[id]
	if n == 0 {
		delete(c.busy, id)
	}
	return n
}

// attempt sends one delivery and notes what came of it.
func (c *Courier) attempt(ctx context.Context, claimed Claimed, d Delivery, claim string) {
	result := c.send(ctx, claimed, d)
	result.GiveUp, result.Retry = c.options.GiveUp, Backoff(c.options.FirstDelay, d.Attempts)
	// What happened is noted even if the process was told to stop meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseSlack)
	defer cancel()
	disabled, err := c.queue.Settle(ctx, d, claim, result)
	id, message := slog.String("webhook_id", d.EndpointID), slog.String("message_id", d.MessageID)
	switch {
	case err != nil: // it will be sent again when its claim ends
		c.log.ErrorContext(ctx, "noting the end of a webhook's attempt", id, message, slog.Any("error", err))
	case disabled != "":
		c.log.ErrorContext(ctx, "webhook disabled", id, slog.String("reason", disabled))
	case !result.Accepted() && !result.Interrupted:
		c.log.WarnContext(ctx, "webhook not accepted", id, message, slog.Int("attempt", d.Attempts), slog.Int("status", result.Status),
			slog.String("problem", result.Problem))
	}
}

// scan does what is to be done now and then, until ctx ends.
func (c *Courier) scan(ctx context.Context) {
	tick := time.NewTicker(c.options.Scan)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := c.lookAround(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "looking after webhooks", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (c *Courier) lookAround(ctx context.Context) error {
	pending, oldest, err := c.queue.Backlog(ctx)
	if err == nil {
		c.observer.Waiting(pending, oldest)
	}
	return errors.Join(err, c.warn(ctx), c.sweep(ctx))
}

// sweep deletes all that is old, however much was delivered a week ago.
func (c *Courier) sweep(ctx context.Context) error {
	for {
		deleted, err := c.queue.Sweep(ctx, c.options.GiveUp, scanBatch)
		if err != nil || deleted < scanBatch {
			return err
		}
	}
}

// reseal seals the secrets of an endpoint under the current pepper, while the one they are sealed under is still there.
func (c *Courier) reseal(e Endpoint) (Endpoint, error) {
	var err error
	for _, box := range []*secret.Box{&e.Secret, &e.Previous} {
		if len(box.Sealed) == 0 {
			continue
		}
		text, openErr := c.ring.Unlock(*box, e.Label())
		if openErr != nil {
			return e, openErr
		}
		if *box, err = c.ring.Lock(text, e.Label()); err != nil {
			return e, err
		}
	}
	return e, nil
}
