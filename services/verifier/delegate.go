package verifier

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// CheckOnBehalf is Check for a key that acts for another principal of its context, the target, by its id. The caller may do
// what both may do: [caller.Caller.Effective] is the meet of the principal's grants, the key's and the target's, and
// OnBehalfOf is the target. Errors beside those of Check: fault.Forbidden for a target that does not exist, and for a token, whatever
// the target: what a service account may do are scopes, which nobody else has, so there is no meet.
//
// The promise is that of Check, for both: when a change of what the key or its principal or the target may do has answered,
// no request that arrives afterwards is accepted on what held before. And the two are of one moment: a caller is never given
// what its key was allowed at one time and the target at another only.
func (v *Verifier) CheckOnBehalf(ctx context.Context, key, target string) (Verdict, error) {
	return v.checkOnBehalf(ctx, key, target, used)
}

func (v *Verifier) checkOnBehalf(ctx context.Context, key, target string, as look) (Verdict, error) {
	token := apikey.IsToken(key)
	if token || !askable(target) {
		// Whoever has no good key learns nothing about targets.
		if _, err := v.check(ctx, key, as); err != nil {
			return Verdict{}, err
		}
		if token {
			return Verdict{}, fault.New(fault.Forbidden, "a service account acts on behalf of nobody")
		}
		return Verdict{}, unknownTarget()
	}
	parsed, err := parse(key)
	if err != nil {
		var ok bool
		if parsed, ok = v.readable(key); !ok {
			v.stats.malformed.Inc()
			return Verdict{}, fault.BadCredential()
		}
	}
	// Before the cache is read: what is found there then has outlived every revision up to this one.
	applied := v.lease.applied.Load()
	known := v.recall(key, as)
	if parsed.foreign {
		known = v.recallForeign(&parsed, as)
	}
	if known != nil {
		if known == refusal {
			return Verdict{}, fault.BadCredential()
		}
		// recall has checked the lease by a clock read before either was looked up; this one is for the target's own end.
		t, found := v.cache.targets.find(known.caller.Context, known.caller.Incarnation, target, v.elapsed(v.now()))
		// What was read in a snapshot ahead of that revision may be newer than the other half.
		if found && t.asOf <= applied && known.asOf <= applied {
			return onBehalf(v.remembered(known), t.principal)
		}
	}
	v.stats.misses.Inc()
	verdict, err := v.askOnBehalf(ctx, parsed, target)
	if err == nil && known == nil && as == used { // recall has counted it otherwise
		v.uses.count(verdict.Caller.KeyID, 1)
	}
	return verdict, err
}

// askOnBehalf asks about both in one question, whichever is not known: its answers are of one snapshot.
func (v *Verifier) askOnBehalf(ctx context.Context, about credential, target string) (Verdict, error) {
	q, place, targetPlace, err := v.asker.join(ctx, about, target)
	if err != nil {
		return Verdict{}, err
	}
	verdict, err := v.await(ctx, q, place)
	if err != nil {
		return Verdict{}, err
	}
	return onBehalf(verdict, q.principals[targetPlace])
}

// onBehalf narrows a verdict to what the target may do as well.
func onBehalf(verdict Verdict, target *caller.Principal) (Verdict, error) {
	if target == nil {
		return Verdict{}, unknownTarget()
	}
	narrowed := *verdict.Caller
	narrowed.OnBehalfOf = target
	narrowed.Effective = narrowed.Effective.Meet(target.Grants)
	verdict.Caller = &narrowed
	return verdict, nil
}

// maxTarget is the longest id of a principal that is asked about, in bytes.
const maxTarget = 128

// askable reports whether target may be the id of a principal.
func askable(target string) bool {
	return target != nobody && len(target) <= maxTarget && utf8.ValidString(target) && !strings.ContainsRune(target, 0)
}

func unknownTarget() error {
	return fault.New(fault.Forbidden, "there is no such principal to act on behalf of")
}
