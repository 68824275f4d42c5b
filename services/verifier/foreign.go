package verifier

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// readable returns what is asked about text, which is neither a key nor a token of ours: it may be a foreign key. While nothing has been
// imported it is none, and nobody is asked: that is known as other verdicts are, under the lease. Without one the authority is asked.
func (v *Verifier) readable(text string) (credential, bool) {
	if !apikey.IsForeign(text) {
		return credential{}, false
	}
	// The lease comes first: what is read after it has been looked at was true then.
	if v.lease.trusted(v.now()) && !v.cache.imported.Load() {
		return credential{}, false
	}
	return parseForeign(text), true
}

// checkForeign is Check for what may be a foreign key. Such a key is looked for after all others, so that those pay nothing for it.
func (v *Verifier) checkForeign(ctx context.Context, text string, as look) (Verdict, error) {
	about, ok := v.readable(text)
	if !ok {
		v.stats.malformed.Inc()
		return Verdict{}, fault.BadCredential()
	}
	if known := v.recallForeign(&about, as); known != nil {
		if known == refusal {
			return Verdict{}, fault.BadCredential()
		}
		return v.remembered(known), nil
	}
	v.stats.misses.Inc()
	return v.ask(ctx, about, as)
}

// recallForeign returns what is remembered of a foreign text, or nil.
func (v *Verifier) recallForeign(about *credential, as look) *worth {
	now := v.now() // before the cache is read, as recall does
	if !v.lease.trusted(now) || v.closed.Load() {
		return nil
	}
	h, elapsed := about.hash(), v.elapsed(now)
	if p, known := recall(v.cache.good, h, &about.mark, elapsed); known != nil {
		v.stats.hits.Inc()
		if as == used && note(&p.footing, minuteOf(elapsed)) {
			v.uses.add(&known.caller, elapsed)
		}
		return known
	}
	_, known := recall(v.cache.bad, h, &about.mark, elapsed)
	if known != nil {
		v.stats.negativeHits.Inc()
	}
	return known
}
