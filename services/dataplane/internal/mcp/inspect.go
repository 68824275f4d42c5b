package mcp

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

func inspectTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        inspect,
		Title:       "Inspect",
		Description: "Show what a reference stands for: what is known of an entity, or how a query was answered.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["ref"], "properties": {
			"ref": {"type": "string", "description": "entity:<type>/<name>, attribute:<type>/<name>/<key>, relation:<type>/<name>-[<label>]-><type>/<name> or trace:<id>."},
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: new(false)},
	}
}

type inspectArguments struct {
	Ref       *string `json:"ref"`
	ContextID string  `json:"context_id"`
}

func (a inspectArguments) context() string { return a.ContextID }

func (a inspectArguments) missing() string {
	if a.Ref == nil {
		return "ref"
	}
	return ""
}

// inspected is the result of inspect. Kind says which of the others is there.
type inspected struct {
	Kind       string          `json:"kind"`
	Entity     *entityJSON     `json:"entity,omitempty"`
	Attributes []attributeJSON `json:"attributes,omitempty"`
	Relations  []relationJSON  `json:"relations,omitempty"`
	Attribute  *attributeJSON  `json:"attribute,omitempty"`
	History    []attributeJSON `json:"history,omitempty"`
	Relation   *relationJSON   `json:"relation,omitempty"`
	Trace      *traceJSON      `json:"trace,omitempty"`
}

type entityJSON struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Type       string    `json:"entity_type"`
	Category   string    `json:"memory_category"`
	Importance float64   `json:"importance"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

type attributeJSON struct {
	ID         string     `json:"id"`
	Entity     string     `json:"entity"`
	Key        string     `json:"key"`
	Value      string     `json:"value"`
	Category   string     `json:"memory_category"`
	Importance float64    `json:"importance"`
	CreatedAt  time.Time  `json:"created_at"`
	ValidFrom  *time.Time `json:"valid_from,omitempty"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
}

type relationJSON struct {
	ID         string     `json:"id"`
	Subject    string     `json:"subject"`
	Label      string     `json:"label"`
	Object     string     `json:"object"`
	Category   string     `json:"memory_category"`
	CreatedAt  time.Time  `json:"created_at"`
	ValidFrom  *time.Time `json:"valid_from,omitempty"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
}

type traceJSON struct {
	ID         string    `json:"id"`
	Query      string    `json:"query_text"`
	Tier       string    `json:"resolution_tier"`
	TierReason string    `json:"tier_reason"`
	LatencyMs  int64     `json:"latency_ms"`
	Cached     bool      `json:"cached"`
	CreatedAt  time.Time `json:"created_at"`
	Principal  string    `json:"principal_id"`
	OnBehalfOf string    `json:"delegated_principal_id,omitempty"`
	Retrieved  int64     `json:"retrieved_count"`
}

func (cfg Config) inspect(ctx context.Context, who *caller.Caller, in inspectArguments) (inspected, error) {
	if err := plain("ref", *in.Ref); err != nil {
		return inspected{}, err
	}
	if id, isTrace := strings.CutPrefix(*in.Ref, "trace:"); isTrace {
		found, err := cfg.Traces.Get(ctx, who, id)
		if err != nil {
			return inspected{}, err
		}
		return inspected{Kind: "trace", Trace: traceOf(found)}, nil
	}
	found, err := cfg.Entities.Inspect(ctx, who, *in.Ref)
	switch {
	case err != nil:
		return inspected{}, err
	case found.Entity != nil:
		e := found.Entity.Entity
		return inspected{
			Kind: "entity", Attributes: all(found.Entity.Attributes, attributeOf), Relations: all(found.Entity.Relations, relationOf),
			Entity: &entityJSON{e.ID, e.Name, e.Type, string(e.Category), e.Importance, e.CreatedAt, e.UpdatedAt},
		}, nil
	case found.Attribute != nil:
		attribute := attributeOf(*found.Attribute)
		return inspected{Kind: "attribute", Attribute: &attribute, History: all(found.History, attributeOf)}, nil
	default:
		relation := relationOf(*found.Relation)
		return inspected{Kind: "relation", Relation: &relation}, nil
	}
}

func attributeOf(a entity.Attribute) attributeJSON {
	return attributeJSON{
		a.ID, a.EntityID, a.Key, a.Value, string(a.Category), a.Importance, a.CreatedAt, given(a.ValidFrom), given(a.ValidUntil),
	}
}

func relationOf(r entity.Relation) relationJSON {
	return relationJSON{
		r.ID, r.SubjectID, r.Label, r.ObjectID, string(r.Category), r.CreatedAt, given(r.ValidFrom), given(r.ValidUntil),
	}
}

func traceOf(e trace.Entry) *traceJSON {
	return &traceJSON{
		ID: e.TraceID, Query: e.Query, Tier: e.Tier, TierReason: e.Reason, LatencyMs: e.Took.Milliseconds(), CreatedAt: e.At,
		Principal: e.Principal, OnBehalfOf: e.OnBehalfOf, Retrieved: e.Rows,
	}
}

// given returns a time to show, or nil when there is none.
func given(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func all[T, U any](in []T, of func(T) U) []U {
	out := make([]U, len(in))
	for i, each := range in {
		out[i] = of(each)
	}
	return out
}
