package verifier

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// watch follows the revisions of the authority, over one stream after the other.
func (v *Verifier) watch(ctx context.Context) {
	retry := backoff{}
	for ctx.Err() == nil {
		streamCtx, cancel := context.WithCancel(ctx)
		v.lease.mu.Lock()
		identity := v.lease.authority
		v.lease.rewatch, v.lease.heard = cancel, v.now()
		v.lease.mu.Unlock()
		begun := false
		err := v.cfg.Authority.Watch(streamCtx, identity, v.lease.applied.Load(), func(e introspection.Event) error {
			v.lease.mu.Lock()
			v.lease.heard = v.now()
			v.lease.mu.Unlock()
			if !begun {
				begun = true
				v.stats.streams.Inc()
				retry = backoff{}
				v.begin(e)
				return nil
			}
			return v.apply(e)
		})
		cancel()
		if err != nil {
			v.stats.streamErrors.Inc()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.next()):
		}
	}
}

// begin takes the first event of a stream. Under another authority, or when the history between is gone, nothing that is
// cached can be told to be current, so everything goes.
func (v *Verifier) begin(e introspection.Event) {
	h := &v.lease
	h.mu.Lock()
	if e.Imported { // what was imported before the stream's first revision; of what comes later the revisions tell
		v.cache.imported.Store(true)
	}
	if e.Reset || e.Authority != h.authority {
		h.current.Store(nil)
		v.cache.reset(e.Revision, v.elapsed(v.now()))
		v.cache.imported.Store(e.Imported)
		h.applied.Store(e.Revision)
		h.authority = e.Authority
	}
	h.mu.Unlock()
	v.wakeRenewal()
}

// apply drops what a revision touched, and only then counts it as applied, to be acknowledged.
func (v *Verifier) apply(e introspection.Event) error {
	applied := v.lease.applied.Load()
	if e.Revision <= applied {
		return nil
	}
	if e.Revision != applied+1 {
		return errGap
	}
	v.cache.drop(e)
	v.lease.applied.Store(e.Revision)
	v.stats.applied.Inc()
	v.wakeRenewal()
	return nil
}

func (v *Verifier) wakeRenewal() {
	select {
	case v.lease.acknowledge <- struct{}{}:
	default:
	}
}
