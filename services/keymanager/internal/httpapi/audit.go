package httpapi

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// GetAudit lists the audit log.
func (p Parts) GetAudit(ctx context.Context, request GetAuditRequestObject) (GetAuditResponseObject, error) {
	query, err := auditQuery(request.Params)
	if err != nil {
		return nil, err
	}
	page, err := p.Audit.AuditEntries(ctx, query)
	if err != nil {
		return nil, err
	}
	answer := GetAudit200JSONResponse{Body: AuditPage{Entries: page.Entries, Head: page.Head, Anchor: page.Anchor}}
	if page.Next != 0 {
		answer.Headers.Link = nextPage("/api/v1/audit", auditValues(request.Params), query.Limit, strconv.FormatInt(page.Next, 10))
	}
	return answer, nil
}

// auditQuery reads the parameters. The document has checked them one by one.
func auditQuery(params GetAuditParams) (audit.Query, error) {
	asked, err := pageOf(params.Limit, params.Cursor)
	if err != nil {
		return audit.Query{}, err
	}
	query := audit.Query{
		Action: value(params.Action), ActorKind: value(params.ActorKind), ActorKeyID: value(params.Actor),
		ContextID: value(params.ContextId), Target: value(params.Target), TraceID: value(params.TraceId),
		Outcome: audit.Outcome(value(params.Outcome)), Since: value(params.Since), Until: value(params.Until),
		Newest: value(params.Order) != Asc, After: value(params.After), Limit: asked.limit,
	}
	if asked.after != "" {
		if query.After, err = strconv.ParseInt(asked.after, 10, 64); err != nil || query.After < 1 {
			return audit.Query{}, fault.InvalidField("cursor", "is not one that was given out")
		}
	}
	return query, nil
}

// auditValues are the parameters that pick entries, for the next page.
func auditValues(params GetAuditParams) url.Values {
	values := url.Values{}
	for name, text := range map[string]string{
		"order": string(value(params.Order)), "action": value(params.Action), "actor_kind": value(params.ActorKind),
		"actor": value(params.Actor), "context_id": value(params.ContextId), "target": value(params.Target),
		"trace_id": value(params.TraceId), "outcome": string(value(params.Outcome)),
	} {
		if text != "" {
			values.Set(name, text)
		}
	}
	for name, moment := range map[string]*time.Time{"since": params.Since, "until": params.Until} {
		if moment != nil {
			values.Set(name, moment.Format(time.RFC3339Nano))
		}
	}
	return values
}
