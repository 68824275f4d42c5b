package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
)

// pushTimeout bounds one push.
const pushTimeout = 10 * time.Second

// Publisher sends the head of the chain elsewhere, now and then, where whoever rewrites the table cannot rewrite it.
type Publisher struct {
	store  Store
	url    string
	every  time.Duration
	client *http.Client
	log    *slog.Logger
	pushed func(ok bool)
}

// NewPublisher returns a publisher that posts to address. pushed is told how each push ended.
func NewPublisher(store Store, address string, every time.Duration, log *slog.Logger, pushed func(ok bool)) *Publisher {
	client := &http.Client{
		Timeout: pushTimeout,
		// What is asked to witness a head says so itself.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Publisher{store: store, url: address, every: every, client: client, log: log, pushed: pushed}
}

// Run pushes at once, and then every so often until ctx ends, whether or not the head has moved: silence tells something, too.
func (p *Publisher) Run(ctx context.Context) {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		err := p.Push(ctx)
		if ctx.Err() != nil {
			return
		}
		p.pushed(err == nil)
		if err != nil {
			p.log.ErrorContext(ctx, "publishing the head of the audit log failed", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// published is the body of a push.
type published struct {
	auditchain.Head
	// Text is the head as `spectrond audit verify --head` takes it.
	Text string `json:"head"`
}

// Push sends the head as it is now.
func (p *Publisher) Push(ctx context.Context) error {
	page, err := p.store.AuditEntries(ctx, Query{Newest: true, Limit: 1})
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	body, err := json.Marshal(published{page.Head, page.Head.String()})
	if err != nil {
		return fmt.Errorf("encoding the head: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("addressing the push: %w", withoutURL(err))
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("pushing the head: %w", withoutURL(err))
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, 1<<16) // so that the connection can be used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("pushing the head: the answer is %s", answer.Status)
	}
	return nil
}

// withoutURL returns what is wrong without the URL, which may hold a secret.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
