package httpapi

import (
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// Limits are how much one request may ask for. A deployment may lower what the document says, never raise it.
type Limits struct {
	// QueryK is the most hits, ListLimit the most rows of a list, and PageSize how many rows a list has by default.
	QueryK, ListLimit, PageSize int
}

// page reads the parameters of a list whose default is the deployment's.
func (l Limits) page(limit, offset *int32) (session.Page, error) {
	rows, err := l.rows(limit, l.PageSize)
	return session.Page{Limit: rows, Offset: int(value(offset))}, err
}

// rows reads a limit. What the document says of it has been checked.
func (l Limits) rows(limit *int32, byDefault int) (int, error) {
	if limit == nil {
		return min(byDefault, l.ListLimit), nil
	}
	if int(*limit) > l.ListLimit {
		return 0, fault.InvalidField("limit", "must be at most %d", l.ListLimit)
	}
	return int(*limit), nil
}
