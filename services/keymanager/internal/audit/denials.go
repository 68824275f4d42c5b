package audit

import (
	"sync"
	"time"
)

const (
	// denialWindow is how long the same refusal is counted before there is another entry of it.
	denialWindow = time.Minute
	// maxDenials is how many refusals are told apart within a window: what comes beyond is counted together.
	maxDenials = 100
)

// Reason says why a request was refused. Reasons are few: each is a label of a metric.
type Reason string

// The reasons.
const (
	// NoCredential: none was shown, or nothing that could be one.
	NoCredential Reason = "no_credential" //nolint:gosec // a word, not a credential
	// BadCredential: what was shown opens nothing.
	BadCredential Reason = "bad_credential" //nolint:gosec // a word, not a credential
	// BadServiceToken: what was shown is no token of a service.
	BadServiceToken Reason = "bad_service_token"
	// NotManagement: a valid key, but not one for management.
	NotManagement Reason = "not_management"
	// NotAllowed: the actor is known, and may not do that.
	NotAllowed Reason = "not_allowed"
)

// Denial is a refusal, or several of the same sort.
type Denial struct {
	Reason Reason
	Status int
	// Origin is who asked, as far as that is known: a credential that was refused is not.
	Origin Origin
	// Route is the first of them, as method and pattern. It holds nothing that the client chose.
	Route string
	// ShownKeyID is the id that was on the first refused key. Nobody has looked whether there is such a key.
	ShownKeyID string
	// Count is how many there were. In an entry that comes after another one of the same window, how many more.
	Count int64
	// Others is true for what was too much to be told apart.
	Others bool
}

// sort is what is counted together.
type sort struct {
	reason        Reason
	remote, keyID string
	actor         ActorKind
}

// tally is a window of one sort.
type tally struct {
	denial Denial
	since  time.Time
}

// Denials counts what is refused. It is bounded, whoever asks from wherever: each sort has an entry at once, and one more after
// a minute with the number of those that came after. It is safe for concurrent use.
type Denials struct {
	now     func() time.Time
	counted func(Reason)

	mu      sync.Mutex
	windows map[sort]*tally
	due     []Denial
}

// NewDenials returns a counter without any. counted is called for each refusal.
func NewDenials(now func() time.Time, counted func(Reason)) *Denials {
	return &Denials{now: now, counted: counted, windows: map[sort]*tally{}}
}

// Note counts one refusal. It does not wait for the database.
func (d *Denials) Note(denial Denial) {
	d.counted(denial.Reason)
	d.mu.Lock()
	defer d.mu.Unlock()
	of := sort{denial.Reason, denial.Origin.Remote, denial.Origin.KeyID, denial.Origin.Actor}
	window := d.windows[of]
	if window == nil && len(d.windows) >= maxDenials {
		of, denial = sort{}, Denial{Reason: denial.Reason, Status: denial.Status, Origin: Origin{Actor: Unknown}, Others: true}
		window = d.windows[of]
	}
	if window != nil {
		window.denial.Count++
		return
	}
	denial.Count = 1
	d.due = append(d.due, denial)
	denial.Count, denial.ShownKeyID, denial.Origin.TraceID = 0, "", "" // those that follow have others
	d.windows[of] = &tally{denial: denial, since: d.now()}
}

// take returns the entries that are due, and ends the windows that are over; all of them when this is the last time.
func (d *Denials) take(last bool) []Denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	due := d.due
	d.due = nil
	for of, window := range d.windows {
		if !last && now.Sub(window.since) < denialWindow {
			continue
		}
		delete(d.windows, of)
		if window.denial.Count > 0 {
			due = append(due, window.denial)
		}
	}
	return due
}

// giveBack keeps entries that could not be written for the next time, unless too many wait.
func (d *Denials) giveBack(due []Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(due)+len(d.due) <= 10*maxDenials {
		d.due = append(due, d.due...)
	}
}
