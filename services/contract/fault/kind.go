package fault

import "net/http"

// Kind classes a failure by what the caller can do about it. A Kind is itself an error, for use with errors.Is.
type Kind uint8

// The kinds. Each has one HTTP status; see [Kind.Status].
const (
	// Internal is a fault of ours; nothing about it is told. The zero value.
	Internal Kind = iota
	// Invalid input: malformed JSON, a missing field, a value out of range (400).
	Invalid
	// Unauthenticated: no credential, or one that opens nothing here (401). Its answers are all alike.
	Unauthenticated
	// Forbidden: known caller, insufficient authority (403).
	Forbidden
	// NotFound: absent, or not the caller's to see (404).
	NotFound
	// MethodNotAllowed: the route exists, the method does not (405).
	MethodNotAllowed
	// Conflict with the present state (409).
	Conflict
	// AlreadyDone: a once-only act was done before, perhaps by somebody else (409).
	AlreadyDone
	// TooLarge: the body, a header or the URL exceeds its limit (413).
	TooLarge
	// UnsupportedMedia: a body that is not JSON (415).
	UnsupportedMedia
	// Unprocessable: well formed but meaningless, such as a malformed or reserved identifier (422).
	Unprocessable
	// RateLimited: too many requests (429).
	RateLimited
	// NotSupported by this deployment (501).
	NotSupported
	// Unavailable: something this service needs does not answer (503).
	Unavailable
	// AuthorityUnavailable: the key cannot be verified now, so the request is refused (503).
	AuthorityUnavailable
)

// kinds is the one table between kinds and the wire. Where two kinds share a status, clients tell them apart by type.
var kinds = [...]struct {
	slug   string
	title  string
	status int
}{
	Internal:             {"internal", "Internal Server Error", http.StatusInternalServerError},
	Invalid:              {"validation-error", "Bad Request", http.StatusBadRequest},
	Unauthenticated:      {"unauthorized", "Unauthorized", http.StatusUnauthorized},
	Forbidden:            {"forbidden", "Forbidden", http.StatusForbidden},
	NotFound:             {"not-found", "Not Found", http.StatusNotFound},
	MethodNotAllowed:     {"method-not-allowed", "Method Not Allowed", http.StatusMethodNotAllowed},
	Conflict:             {"conflict", "Conflict", http.StatusConflict},
	AlreadyDone:          {"already-done", "Already Done", http.StatusConflict},
	TooLarge:             {"payload-too-large", "Payload Too Large", http.StatusRequestEntityTooLarge},
	UnsupportedMedia:     {"unsupported-media-type", "Unsupported Media Type", http.StatusUnsupportedMediaType},
	Unprocessable:        {"unprocessable", "Unprocessable Content", http.StatusUnprocessableEntity},
	RateLimited:          {"rate-limited", "Too Many Requests", http.StatusTooManyRequests},
	NotSupported:         {"not-supported", "Not Implemented", http.StatusNotImplemented},
	Unavailable:          {"unavailable", "Service Unavailable", http.StatusServiceUnavailable},
	AuthorityUnavailable: {"authority-unavailable", "Authority Unavailable", http.StatusServiceUnavailable},
}

// Kinds returns every kind, in order.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Status returns the HTTP status of k.
func (k Kind) Status() int { return kinds[k].status }

// String returns the slug of k, such as "not-found".
func (k Kind) String() string { return kinds[k].slug }

// Error returns the slug of k.
func (k Kind) Error() string { return k.String() }

// Type returns the problem type of k: a URI that identifies it (RFC 9457, section 3.1.1) and is not meant to be fetched.
func (k Kind) Type() string { return typePrefix + kinds[k].slug }

// Title returns the short summary of k, the same in every occurrence.
func (k Kind) Title() string { return kinds[k].title }

const typePrefix = "urn:spectron:problem:"

// kindOfStatus returns the first kind with the given status: Internal for any status that has none.
func kindOfStatus(status int) Kind {
	for kind, row := range kinds {
		if row.status == status {
			return Kind(kind)
		}
	}
	return Internal
}
