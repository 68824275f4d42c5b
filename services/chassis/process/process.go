// Package process governs the life of a server process: when it is told to end, and that all its parts end together.
package process

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Context returns a context that ends at the first interrupt or termination signal. A second signal kills the process,
// should it be slow to stop.
func Context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		// Signals have their usual effect again before anybody learns of this one: none is lost in between.
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// Group runs every part at once and waits for all of them. As soon as one returns, with or without an error, the context
// of the others ends. Group returns the errors of the parts, first come first; that a part ended because it was told to is
// no error.
func Group(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wait sync.WaitGroup
		mu   sync.Mutex // guards errs
		errs []error
	)
	for _, part := range parts {
		wait.Go(func() {
			defer cancel()
			err := part(ctx)
			if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
