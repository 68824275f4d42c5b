// Package mutant breaks single rules of the revocation protocol on purpose, so that a test can show that it would notice.
// In ordinary builds every function here is the constant false. Builds with the tag mutant read the variable
// SPECTRON_MUTANT once; they are made by the proofs and never shipped.
package mutant

// The rules that can be broken.
const (
	// NoBarrier answers a change without waiting for the verifiers.
	NoBarrier = "no-barrier"
	// TimerFlag lets a timer end the lease instead of the clock.
	TimerFlag = "timer-flag"
	// JoinOnWire lets a request join a question that is already on its way.
	JoinOnWire = "join-on-wire"
	// NoFillCheck caches answers that are older than an applied revision.
	NoFillCheck = "no-fill-check"
	// NoCatchUp trusts the cache as soon as a lapsed lease is granted again.
	NoCatchUp = "no-catch-up"
	// TrustYoungTable believes an empty lease table right after the database started.
	TrustYoungTable = "trust-young-table"
	// NeverRefuse extends the lease of a verifier that does not acknowledge.
	NeverRefuse = "never-refuse"
)
