package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pageSize is how many rows are asked for at a time where pages are counted: the most that a server gives.
const pageSize = 500

// pages iterates over the rows of every page. page builds the request for the one at cursor; nil is the first.
func pages[T any](ctx context.Context, t *transport, page func(cursor *string) (*http.Request, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var cursor *string
		for {
			rows, next, err := onePage[T](ctx, t, cursor, page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = &next
		}
	}
}

// onePage returns the rows at cursor, and the cursor of the next page, empty after the last.
func onePage[T any](
	ctx context.Context, t *transport, cursor *string, page func(cursor *string) (*http.Request, error),
) ([]T, string, error) {
	req, err := page(cursor)
	got, err := t.send(ctx, req, err)
	if err != nil {
		return nil, "", err
	}
	var rows []T
	if err := t.decode(got, &rows); err != nil {
		return nil, "", err
	}
	next := nextCursor(got.header)
	if cursor != nil && next != "" && *cursor == next {
		return nil, "", fault.New(fault.Unavailable, "the server gives the same page twice")
	}
	return rows, next, nil
}

// counted iterates over the rows of pages that are asked for by their offset. A page that is not full is the last.
func counted[T any](page func(limit, offset int32) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for offset := int32(0); ; offset += pageSize {
			rows, err := page(pageSize, offset)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if len(rows) < pageSize {
				return
			}
		}
	}
}

// collect returns all rows, or the error that ended them.
func collect[T any](rows iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// failed is a list that cannot be asked for.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
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
