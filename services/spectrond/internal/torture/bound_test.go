package torture_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// change is how long a change took.
type change struct {
	keymanager int
	what       string
	from, to   time.Duration
	status     int // 0 if it was given up
}

// boundSlack is what a change may take besides waiting for verifiers, on a machine that does much else.
const boundSlack = 1500 * time.Millisecond

// bound is how long a change may take while the authority is well, whatever becomes of verifiers.
func (d *deployment) bound() time.Duration { return d.lease + d.lease/4 + boundSlack }

// checkBound checks how long the changes took that nothing but verifiers can have held up, and forgets the changes.
func (d *deployment) checkBound() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var late []string
	for _, c := range d.changes {
		if took := c.to - c.from; took > d.bound() && !d.illLocked(c.from, c.to) {
			late = append(late, fmt.Sprintf("%s on %s [%s, %s]: %s after %s",
				c.what, d.keymanagers[c.keymanager].name, c.from, c.to, answer(c.status), took.Round(time.Millisecond)))
		}
	}
	d.changes = nil
	if late == nil {
		return nil
	}
	return fmt.Errorf("%d changes took longer than %s while the authority was well:\n\t%s", len(late), d.bound(), strings.Join(late, "\n\t"))
}

func answer(status int) string {
	if status == 0 {
		return "given up"
	}
	return http.StatusText(status)
}

// ill is a time when the authority was not well: a key manager, the database, or what is between them.
type ill struct{ from, to time.Duration }

// unwell notes that the authority is not well until the returned function is called.
func (d *deployment) unwell() (well func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := &ill{from: d.now(), to: forever}
	d.ills = append(d.ills, i)
	return func() {
		now := d.now()
		d.mu.Lock()
		defer d.mu.Unlock()
		i.to = now
	}
}

const forever = time.Duration(1<<63 - 1)

// convalescence is how long after a fault of the authority changes may still be slow: connections are made anew, a young
// table of leases is waited for.
func (d *deployment) convalescence() time.Duration { return d.lease + 3*time.Second }

func (d *deployment) illLocked(from, to time.Duration) bool {
	for _, i := range d.ills {
		if i.from <= to && (i.to == forever || from <= i.to+d.convalescence()) {
			return true
		}
	}
	return false
}
