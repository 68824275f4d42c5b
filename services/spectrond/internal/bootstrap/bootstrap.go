// Package bootstrap makes the first two keys of a deployment and has them enrolled, once. It promises that the text of
// the keys stays in this process until it is printed, and that they are printed only when the authority has taken them: what
// it sends are ids and digests.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Credentials are what a deployment begins with.
type Credentials struct {
	// ContextID names the first context.
	ContextID string
	// Management opens the management routes, Context the first context.
	Management, Context apikey.Key
}

// Complete returns c with a new random key in place of each that is the zero Key.
func (c Credentials) Complete() (Credentials, error) {
	for _, key := range []*apikey.Key{&c.Management, &c.Context} {
		if *key != (apikey.Key{}) {
			continue
		}
		minted, err := apikey.Mint(apikey.NewID())
		if err != nil {
			return c, err
		}
		*key = minted
	}
	if c.Management.ID() == c.Context.ID() {
		return c, fault.New(fault.Invalid, "the management key and the context key need different ids: make each with `spectrond generate-key`")
	}
	return c, nil
}

// The pauses between attempts grow from the first to no more than the last: a key manager that is just being restarted is
// there again within them.
const (
	attempts   = 6
	firstPause = 200 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Enrol sends the enrolment of c. When the answer is lost on its way it sends the very same again, which the authority takes
// for the same act. Errors: fault.AlreadyDone when the deployment was bootstrapped before, and those of send.
func (c Credentials) Enrol(ctx context.Context, send func(context.Context, introspection.Enrolment) error) error {
	enrolment := introspection.Enrolment{
		Attempt:    apikey.NewID(),
		ContextID:  c.ContextID,
		Management: introspection.Enrol(c.Management),
		Context:    introspection.Enrol(c.Context),
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := send(ctx, enrolment)
		unanswered := errors.Is(err, fault.AuthorityUnavailable) || errors.Is(err, fault.Unavailable)
		if err == nil || !unanswered || attempt == attempts {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// Print writes the credentials as an env file: five lines, in one write, so that whoever reads them gets all or none.
// It is the only place that shows them.
func (c Credentials) Print(w io.Writer, url, managementURL string) error {
	_, err := fmt.Fprintf(w, "SPECTRON_URL=%s\nSPECTRON_MANAGEMENT_URL=%s\nSPECTRON_CONTEXT_ID=%s\n"+
		"SPECTRON_MANAGEMENT_API_KEY=%s\nSPECTRON_API_KEY=%s\n",
		url, managementURL, c.ContextID, c.Management.Reveal(), c.Context.Reveal())
	if err != nil {
		return fmt.Errorf("the deployment is bootstrapped, but its keys could not be shown and are lost: %w", err)
	}
	return nil
}
