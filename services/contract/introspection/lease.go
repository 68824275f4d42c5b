package introspection

// LeasesPath is where the key manager takes a [Renewal], by POST, and answers a [Lease].
const LeasesPath = "/internal/v1/leases"

// Renewal asks for a lease, or for more of it, and acknowledges revisions. A verifier that only acknowledges sends the
// same.
type Renewal struct {
	// Verifier names one life of one verifier: it is random and new at every start of a process.
	Verifier string `json:"verifier"`
	// Authority is the identity that the verifier last heard of; empty before it has heard of any. Acknowledged counts
	// only under that identity.
	Authority string `json:"authority"`
	// Acknowledged is the highest revision applied: every cached verdict that it or an earlier one touched is gone.
	Acknowledged int64 `json:"acknowledged"`
	// Release ends the lease: the verifier has stopped answering, and no change need wait for it.
	Release bool `json:"release,omitempty"`
}

// Lease is the right to answer from a cache.
type Lease struct {
	// Authority identifies the history that revisions belong to. A restored backup has another one.
	Authority string `json:"authority"`
	// TTLMicros is the length of the lease in microseconds, counted from the moment the verifier sent the renewal. Zero
	// means that the lease was not extended, because the verifier lags behind the revisions; an earlier one runs on.
	TTLMicros int64 `json:"ttl_us"`
	// CatchUpTo is the revision that the verifier must have applied before it trusts its cache under this lease. Barriers
	// up to there may have passed without it. Every renewal is told it again, because an answer may be lost.
	CatchUpTo int64 `json:"catch_up_to"`
}

// WatchPath is where the key manager streams [Event]s, by GET, as JSON values, one a line; an empty line is a sign of life. The
// query names the authority and the revision to go on after.
const (
	WatchPath           = "/internal/v1/watch"
	WatchAuthorityParam = "authority"
	WatchAfterParam     = "after"
)

// SubjectKind says what sort of thing a revision touched.
type SubjectKind string

// The kinds of subjects. Touching the deployment touches everything.
const (
	SubjectKey        SubjectKind = "key"
	SubjectPrincipal  SubjectKind = "principal"
	SubjectContext    SubjectKind = "context"
	SubjectDeployment SubjectKind = "deployment"
	// SubjectImports stands for keys that were imported: nobody knows their texts, so every refusal may have become wrong.
	SubjectImports SubjectKind = "imports"
)

// Event is one item of the watch stream. The first one of every stream has no subject: it tells the authority and the
// revision that the stream begins after. Then come the revisions, each the successor of the one before.
type Event struct {
	Authority string `json:"authority,omitempty"`
	Revision  int64  `json:"revision"`
	// Reset, on the first event, says that the history asked for is gone: the verifier drops everything.
	Reset bool `json:"reset,omitempty"`
	// Imported, on the first event, says that keys have been imported. While none have, no foreign text is a key.
	Imported bool `json:"imported,omitempty"`

	Kind SubjectKind `json:"kind,omitempty"`
	// Context is the id of the context touched, or of the context that the subject is in.
	Context string `json:"context,omitempty"`
	// ID is the key's or the principal's.
	ID string `json:"id,omitempty"`
}

// UsesPath is where the key manager takes [Uses], by POST, and answers 204.
const UsesPath = "/internal/v1/uses"

// MaxUses is the most that one report may hold.
const MaxUses = 4096

// Uses reports which keys were used. A verifier reports the use of a key once a minute at most, and how often a while later.
type Uses struct {
	Uses []Use `json:"uses"`
}

// Use says that a key was accepted AgoMicros before the report was sent: a duration, because clocks are never compared. Or else it
// says how often it was, about, since that was last said: then Count is positive and AgoMicros is not looked at.
type Use struct {
	KeyID     string `json:"key_id"`
	AgoMicros int64  `json:"ago_us"`
	Count     int64  `json:"count,omitempty"`
}
