package client

import (
	"context"
	"iter"
	"time"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// AuditQuery picks entries of the audit log. What is empty picks all; the zero value, every entry, the newest first.
type AuditQuery struct {
	// Action is one such as key.rotated or access.denied.
	Action string
	// Actor is the key id of who did it; ActorKind is management, service, caller, local or unknown.
	Actor, ActorKind string
	ContextID        string
	// Target is the id of what was changed.
	Target  string
	TraceID string
	// Outcome is done or denied.
	Outcome string
	// Since and Until are the earliest time, and the first that is too late.
	Since, Until time.Time
	// Oldest begins with the oldest entry.
	Oldest bool
	// After is the number of an entry to go on after, in that order.
	After int64
	// PageSize is how many entries are asked for at a time; 500 when it is 0, at most 1000.
	PageSize int
}

// AuditState is where the chain of the audit log has got to, and up to where it has been archived.
type AuditState struct {
	Head   auditchain.Head `json:"head"`
	Anchor auditchain.Head `json:"anchor"`
}

// auditPage is one answer.
type auditPage struct {
	AuditState
	Entries []auditchain.Record `json:"entries"`
}

// AuditState returns where the chain of the audit log is.
func (m *Management) AuditState(ctx context.Context) (AuditState, error) {
	page, _, err := m.auditPage(ctx, AuditQuery{PageSize: 1}, nil)
	return page.AuditState, err
}

// Audit iterates over the entries of the audit log that query picks.
func (m *Management) Audit(ctx context.Context, query AuditQuery) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		var cursor *string
		for {
			page, next, err := m.auditPage(ctx, query, cursor)
			if err != nil {
				yield(auditchain.Record{}, err)
				return
			}
			for _, entry := range page.Entries {
				if !yield(entry, nil) {
					return
				}
			}
			if next == "" || cursor != nil && *cursor == next {
				return
			}
			cursor = &next
		}
	}
}

func (m *Management) auditPage(ctx context.Context, query AuditQuery, cursor *string) (auditPage, string, error) {
	limit := int32(min(query.PageSize, 1000)) //nolint:gosec // see min
	if limit == 0 {
		limit = pageSize
	}
	order := managementapi.Desc
	if query.Oldest {
		order = managementapi.Asc
	}
	params := managementapi.GetAuditParams{
		Limit: &limit, Cursor: cursor, Order: &order, After: optional(query.After), Action: optional(query.Action),
		ActorKind: optional(query.ActorKind), Actor: optional(query.Actor), ContextID: optional(query.ContextID), Target: optional(query.Target),
		TraceID: optional(query.TraceID), Outcome: optional(managementapi.GetAuditParamsOutcome(query.Outcome)),
		Since: optional(query.Since), Until: optional(query.Until),
	}
	req, err := managementapi.NewGetAuditRequest(m.server, &params)
	got, err := m.transport.send(ctx, req, err)
	if err != nil {
		return auditPage{}, "", err
	}
	var page auditPage
	err = m.transport.decode(got, &page)
	return page, nextCursor(got.header), err
}
