package httpapi

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// maxPage is the most rows of one answer, and how many there are when nobody asks.
const maxPage = 1000

// page is a part of a list.
type page struct {
	// after is the name of the last row of the page before.
	after string
	limit int
}

// pageOf reads the parameters of a list. The document has checked the limit.
func pageOf(limit *Limit, cursor *Cursor) (page, error) {
	p := page{limit: maxPage}
	if limit != nil {
		p.limit = int(*limit)
	}
	if cursor == nil {
		return p, nil
	}
	name, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil || !utf8.Valid(name) || strings.ContainsRune(string(name), 0) {
		return p, fault.InvalidField("cursor", "is not one that was given out")
	}
	p.after = string(name)
	return p, nil
}

// cut returns the rows of the page and, when there is one row more than that, the Link header that leads on.
func cut[T any](p page, path string, rows []T, name func(T) string) ([]T, *string) {
	return cutWith(p, path, url.Values{}, rows, name)
}

// cutWith is cut for a list that was asked for with more parameters.
func cutWith[T any](p page, path string, asked url.Values, rows []T, name func(T) string) ([]T, *string) {
	if len(rows) <= p.limit {
		return rows, nil
	}
	rows = rows[:p.limit]
	return rows, nextPage(path, asked, p.limit, name(rows[p.limit-1]))
}

// nextPage is the Link header that leads to the rows after the one of that name.
func nextPage(path string, asked url.Values, limit int, name string) *string {
	asked.Set("limit", strconv.Itoa(limit))
	asked.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(name)))
	return new(fmt.Sprintf(`<%s?%s>; rel="next"`, path, asked.Encode()))
}

// filter adds a parameter of a list to those of the link to its next page; nil is absent.
func filter[T any](to url.Values, name string, given *T) url.Values {
	if given != nil {
		to.Set(name, fmt.Sprint(*given))
	}
	return to
}

// each turns rows into what is shown of them.
func each[T, B any](rows []T, body func(T) (B, error)) ([]B, error) {
	out := make([]B, len(rows))
	for i, row := range rows {
		var err error
		if out[i], err = body(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}
