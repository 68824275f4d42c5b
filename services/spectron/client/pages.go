package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// allPages collects the rows of every page. page builds the request for the one at cursor; nil is the first.
func allPages[T any](ctx context.Context, t *transport, page func(cursor *string) (*http.Request, error)) ([]T, error) {
	all := []T{}
	var cursor *string
	for {
		req, err := page(cursor)
		got, err := t.send(ctx, req, err)
		if err != nil {
			return nil, err
		}
		var rows []T
		if err := t.decode(got, &rows); err != nil {
			return nil, err
		}
		all = append(all, rows...)
		next := nextCursor(got.header)
		if next == "" {
			return all, nil
		}
		if cursor != nil && *cursor == next {
			return nil, fault.New(fault.Unavailable, "the server gives the same page twice")
		}
		cursor = &next
	}
}

// nextCursor returns the cursor of the link to the next page (RFC 8288), or nothing. Only the cursor is taken from the
// link, so that the key is never sent to where a link points.
func nextCursor(header http.Header) string {
	for _, value := range header.Values("Link") {
		for link := range strings.SplitSeq(value, "<") {
			target, params, ok := strings.Cut(link, ">")
			if !ok || !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
				continue
			}
			if u, err := url.Parse(target); err == nil {
				return u.Query().Get("cursor")
			}
		}
	}
	return ""
}
