// Package verifier tells what an API key, or a service account's token, is worth: from memory, and never later than the truth.
//
// A verifier caches verdicts under a lease that the authority grants and renews. Whoever revokes, rotates or narrows a key
// is answered only when every verifier has dropped what that touched, or has lost its lease. So a request that arrives after
// the answer is never accepted on the old authority, and a request that arrives before it is served at memory speed.
//
// Protecting a service of one's own:
//
//	v, err := verifier.New(verifier.Config{URL: "http://keymanager:9091", ServiceSecret: secret})
//	if err != nil {
//		return err
//	}
//	defer v.Close()
//	http.Handle("/", v.Middleware(handler)) // caller.From(r.Context()) tells who asks
//
// What it promises: it fails closed. A malformed key is refused by its checksum, without asking anybody. Without a lease
// it asks the authority about every request, many keys at a time, and when the authority cannot be asked it refuses with
// fault.AuthorityUnavailable. A question that is on the wire is never joined, since its snapshot may be older than the request.
//
// A token is remembered as a key is, under the id that can be computed from its secret. One whose secret a person has chosen has
// no such id, so it is asked about each time.
package verifier

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/admission"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// Authority answers for keys. [authority.Client] is one.
type Authority interface {
	// Introspect returns one verdict per digest and one principal or nil per target, in their order, all read in one snapshot
	// that is taken after the call. It returns fault.AuthorityUnavailable when it cannot be reached.
	Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error)
	// Renew asks for a lease and acknowledges revisions.
	Renew(ctx context.Context, renewal introspection.Renewal) (introspection.Lease, error)
	// Watch calls fn with each event of the stream that goes on after the given revision, until ctx or the stream ends or
	// fn returns an error. It never returns nil.
	Watch(ctx context.Context, authority string, after int64, fn func(introspection.Event) error) error
	// Report tells which keys were used.
	Report(ctx context.Context, uses introspection.Uses) error
}

// Config says whom to ask and how much to remember.
type Config struct {
	// URL is the base URL of the key manager, such as http://keymanager:9091, and ServiceSecret the secret it shares with
	// its services. Subject names this replica in its log; empty picks a random name.
	URL           string
	ServiceSecret []byte
	Subject       string
	// Authority, when not nil, is asked instead of URL.
	Authority Authority

	// Timeout bounds one question to the authority; 5 s if zero.
	Timeout time.Duration
	// MaxKeys bounds the accepted keys that are remembered; 1,048,576 if zero. A key takes about 250 bytes.
	MaxKeys int
	// MaxRefused bounds the refused keys that are remembered, separately, so that a flood of made-up keys cannot evict
	// good ones; 65,536 if zero.
	MaxRefused int
	// MaxTargets bounds the principals that keys acted for and that are remembered, and separately those that do not exist;
	// 65,536 of each if zero.
	MaxTargets int
	// Reread bounds the age of a remembered verdict; 5 minutes if zero. The actual age varies by a fifth, so that keys learnt
	// together are not read again together.
	Reread time.Duration
	// ClientAddr tells the address that a request comes from, for keys that may be used from some networks only: the middleware asks
	// it. The peer of the connection if nil; behind a proxy it must be whom that one asks for.
	ClientAddr func(*http.Request) netip.Addr
	// Carry, if not nil, returns the context of a question to the authority, which ends with lifetime, for the requests that wait
	// for it: so that a trace of one of them can go on at the authority. Requests that are answered from memory never meet it.
	Carry func(lifetime context.Context, requests []context.Context) context.Context
	// Now is the clock; time.Now if nil. It must carry a monotonic reading.
	Now func() time.Time
}

// Source says where a verdict came from.
type Source string

// The sources of verdicts.
const (
	FromCache     Source = "cache"
	FromAuthority Source = "authority"
)

// Verdict is what a good key is worth, and how that is known.
type Verdict struct {
	Caller *caller.Caller
	Source Source
	// AsOf is the revision of the snapshot that the verdict was read in.
	AsOf int64
	// Ends is when the key expires; zero when it does not. It is as exact as the time since the verifier asked is measured,
	// and its wall clock is this machine's: compare it with the verifier's Now.
	Ends time.Time
}

// Verifier verifies keys. It is safe for concurrent use; Close it when done.
type Verifier struct {
	cfg     Config
	cache   *cache
	lease   leaseHolder
	asker   asker
	uses    uses
	stats   counters
	gate    *admission.Gate
	now     func() time.Time
	epoch   time.Time
	closed  atomic.Bool
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// New returns a running Verifier, or the reason why cfg cannot work. It does not wait for the authority.
func New(cfg Config) (*Verifier, error) {
	if cfg.Authority == nil {
		if cfg.Subject == "" { // without a name the authority takes no token
			cfg.Subject = "verifier-" + apikey.NewID()
		}
		client, err := authority.New(authority.Config{URL: cfg.URL, ServiceSecret: cfg.ServiceSecret, Subject: cfg.Subject})
		if err != nil {
			return nil, err
		}
		cfg.Authority = client
	}
	setDefaults(&cfg)
	v := &Verifier{cfg: cfg, now: cfg.Now, epoch: cfg.Now(), stats: newCounters(), gate: admission.New(cfg.Now)}
	v.cache = newCache(cfg.MaxKeys, cfg.MaxRefused)
	v.cache.targets = newTargets(cfg.MaxTargets)
	v.cache.counted = v.uses.count
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	v.asker = asker{authority: cfg.Authority, timeout: cfg.Timeout, now: v.now, filled: v.fill, carry: cfg.Carry, ctx: ctx, stats: &v.stats}
	v.lease.name = apikey.NewID()
	v.lease.acknowledge = make(chan struct{}, 1)
	for _, worker := range []func(context.Context){v.watch, v.renew, v.report} {
		v.workers.Go(func() { worker(ctx) })
	}
	return v, nil
}

func setDefaults(cfg *Config) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = 1 << 20
	}
	if cfg.MaxRefused == 0 {
		cfg.MaxRefused = 1 << 16
	}
	if cfg.MaxTargets == 0 {
		cfg.MaxTargets = 1 << 16
	}
	if cfg.Reread == 0 {
		cfg.Reread = 5 * time.Minute
	}
	if cfg.ClientAddr == nil {
		cfg.ClientAddr = peer
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the default of the injected clock
	}
}

// Close refuses further calls, ends those under way and waits for its goroutines. It reports what was used and gives the lease
// back, so that no change waits for it, as far as the authority can be reached at once.
func (v *Verifier) Close() {
	v.closed.Store(true)
	v.asker.close()
	v.stop()
	v.asker.wait()
	v.workers.Wait()
}

// Verify returns the caller that key stands for, which may be a token. Errors: fault.Unauthenticated for every key that opens nothing,
// fault.AuthorityUnavailable when that cannot be known, and ctx's error.
func (v *Verifier) Verify(ctx context.Context, key string) (*caller.Caller, error) {
	if known := v.recall(key, used); known != nil {
		if known == refusal {
			return nil, fault.BadCredential()
		}
		return &known.caller, nil
	}
	verdict, err := v.inquire(ctx, key, used)
	return verdict.Caller, err
}

// Check is Verify for those who want to know where the answer came from.
func (v *Verifier) Check(ctx context.Context, key string) (Verdict, error) {
	return v.check(ctx, key, used)
}

// Recheck is Check and, where there is a target, CheckOnBehalf, for a request that was accepted a while ago, such as one whose body
// has taken its time: whether it would still be. It is no other use of the key.
func (v *Verifier) Recheck(ctx context.Context, key, target string) (Verdict, error) {
	if target == nobody {
		return v.check(ctx, key, seen)
	}
	return v.checkOnBehalf(ctx, key, target, seen)
}

// look is why a key is looked at: because it is used, or once more for a use that has been counted.
type look bool

const (
	used look = true
	seen look = false
)

func (v *Verifier) check(ctx context.Context, key string, as look) (Verdict, error) {
	if known := v.recall(key, as); known != nil {
		if known == refusal {
			return Verdict{}, fault.BadCredential()
		}
		return v.remembered(known), nil
	}
	return v.inquire(ctx, key, as)
}

// remembered is the verdict of a good key that is remembered.
func (v *Verifier) remembered(known *worth) Verdict {
	verdict := Verdict{Caller: &known.caller, Source: FromCache, AsOf: known.asOf}
	if known.ends != 0 {
		verdict.Ends = v.epoch.Add(known.ends)
	}
	return verdict
}

// recall returns what is remembered of key, or nil. It does not read what it returns, which is likely not in any cache of the
// processor. Neither does it look at key's checksum: a key that has the mark of a good one is that one.
func (v *Verifier) recall(key string, as look) *worth {
	id, isKey := apikey.PeekID(key)
	h, mark, isToken := hashed(0), apikey.Digest{}, false
	if isKey {
		h = hashOf(id)
	} else if h, mark, isToken = peekToken(key); !isToken {
		return nil
	}
	v.cache.good.prefetch(h)
	// The clock is read before the cache: what is found there was trustworthy at that moment, so a process that sleeps
	// between the two answers a request that arrived in time.
	now := v.now()
	if !v.lease.trusted(now) || v.closed.Load() {
		return nil
	}
	if isKey { // only now, so that its place is on the way meanwhile
		mark = apikey.DigestOf(key)
	}
	elapsed := v.elapsed(now)
	if p, known := recall(v.cache.good, h, &mark, elapsed); known != nil {
		v.stats.hits.Inc()
		if as == used && note(&p.footing, minuteOf(elapsed)) {
			v.uses.add(&known.caller, elapsed)
		}
		return known
	}
	if _, known := recall(v.cache.bad, h, &mark, elapsed); known != nil {
		v.stats.negativeHits.Inc()
		return known
	}
	return nil
}

// inquire asks the authority about key, unless its form or its checksum shows that it is none.
func (v *Verifier) inquire(ctx context.Context, key string, as look) (Verdict, error) {
	parsed, err := parse(key)
	if err != nil {
		return v.checkForeign(ctx, key, as)
	}
	v.stats.misses.Inc()
	return v.ask(ctx, parsed, as)
}

func (v *Verifier) ask(ctx context.Context, about credential, as look) (Verdict, error) {
	q, place, _, err := v.asker.join(ctx, about, nobody)
	if err != nil {
		return Verdict{}, err
	}
	verdict, err := v.await(ctx, q, place)
	if err == nil && as == used {
		v.uses.count(verdict.Caller.KeyID, 1)
	}
	return verdict, err
}

// await returns the verdict at a place of q, once it has been answered.
func (v *Verifier) await(ctx context.Context, q *question, place int) (Verdict, error) {
	select {
	case <-q.done:
	case <-ctx.Done():
		return Verdict{}, ctx.Err()
	}
	if q.err != nil {
		return Verdict{}, q.err
	}
	if c := q.callers[place]; c != nil {
		verdict := Verdict{Caller: c, Source: FromAuthority, AsOf: q.asOf}
		if left := q.verdicts[place].ExpiresInMicros; left > 0 {
			verdict.Ends = q.sent.Add(time.Duration(left) * time.Microsecond)
		}
		return verdict, nil
	}
	return Verdict{}, fault.BadCredential()
}

// fill remembers the answers to q, as far as nothing that was applied since they were read has touched them, and notes their use.
func (v *Verifier) fill(q *question) {
	sent := v.elapsed(q.sent)
	for _, used := range v.cache.fill(q, sent, v.cfg.Reread) {
		v.uses.add(used, sent)
	}
}

func (v *Verifier) elapsed(now time.Time) time.Duration { return now.Sub(v.epoch) }

// errGap: the stream left a revision out.
var errGap = errors.New("the watch stream left a revision out")
