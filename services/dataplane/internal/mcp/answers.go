package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

func (cfg Config) contextTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        buildContext,
		Title:       "Context",
		Description: "Put together what is remembered on a question, as markdown for a prompt. Empty when nothing is.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["query"], "properties": {
			"query": {"type": "string", "description": "What the context is for."},
			"k": {"type": "integer", "minimum": 1, "maximum": ` + fmt.Sprint(cfg.MaxHits) + `, "description": "How many memories at most; 10 if left out."},
			"lens": ` + fmt.Sprintf(scopesSchema, "Only what is tagged with scopes that match, such as org/acme/*.") + `,
			"labels": ` + fmt.Sprintf(labelsSchema, "Only what has all of these, key=value each.") + `,
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: new(false)},
	}
}

func reflectTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        reflect,
		Title:       "Reflect",
		Description: "Sum up what is remembered on a question, by quoting it. Can keep the result, where the key may.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["query"], "properties": {
			"query": {"type": "string", "description": "What to reflect on."},
			"persist": {"type": "boolean", "description": "Keep the reflection as knowledge; not if left out."},
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{DestructiveHint: new(false), OpenWorldHint: new(false)},
	}
}

func forgetTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        forget,
		Title:       "Forget",
		Description: "Forget what a query finds, wherever the key may forget.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["query"], "properties": {
			"query": {"type": "string", "description": "What to forget; as for recall."},
			"purge": {"type": "boolean", "description": "Erase its history too; not if left out."},
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{DestructiveHint: new(true), OpenWorldHint: new(false)},
	}
}

// arguments that are a question.
type question struct {
	Query     *string `json:"query"`
	ContextID string  `json:"context_id"`
}

func (q question) context() string { return q.ContextID }

func (q question) missing() string {
	if q.Query == nil {
		return "query"
	}
	return ""
}

type contextArguments struct {
	question
	K      *int       `json:"k"`
	Lens   scope.Lens `json:"lens"`
	Labels []string   `json:"labels"`
}

// contextual is the result of context.
type contextual struct {
	Context    string `json:"context"`
	Tier       string `json:"tier"`
	TierReason string `json:"tier_reason"`
	TraceID    string `json:"trace_id"`
}

func (cfg Config) context(ctx context.Context, who *caller.Caller, in contextArguments) (contextual, error) {
	found, err := cfg.ask(ctx, who, trace.Context, memory.Query{Text: *in.Query, Lens: in.Lens, Labels: in.Labels}, in.K)
	if err != nil {
		return contextual{}, err
	}
	return contextual{memory.Markdown(found.Hits), "hybrid", found.Reason, cfg.TraceID(ctx)}, nil
}

type reflectArguments struct {
	question
	Persist bool `json:"persist"`
}

// reflected is the result of reflect.
type reflected struct {
	Reflection string               `json:"reflection"`
	Evidence   []string             `json:"evidence"`
	Persisted  []persistedAttribute `json:"persisted_attributes"`
	TraceID    string               `json:"trace_id"`
	Method     string               `json:"method"`
}

type persistedAttribute struct {
	ID       string `json:"id"`
	EntityID string `json:"entity_id"`
	Key      string `json:"key"`
	Value    string `json:"value"`
	Category string `json:"memory_category"`
}

func (cfg Config) reflect(ctx context.Context, who *caller.Caller, in reflectArguments) (reflected, error) {
	if err := plain("query", *in.Query); err != nil {
		return reflected{}, err
	}
	began := cfg.Traces.Begin()
	made, err := cfg.Reflections.Reflect(ctx, who, reflection.Request{Question: *in.Query, Persist: in.Persist, TraceID: cfg.TraceID(ctx)})
	if err != nil {
		return reflected{}, err
	}
	cfg.Traces.Keep(ctx, who, trace.Entry{
		Kind: trace.Response, Action: trace.Reflect, Query: *in.Query, Tier: "hybrid", Reason: reflection.Method,
		Took: cfg.Traces.Begin().Sub(began), Rows: int64(len(made.Evidence)),
	})
	out := reflected{
		Reflection: made.Text, Evidence: []string{}, Persisted: []persistedAttribute{}, TraceID: cfg.TraceID(ctx), Method: reflection.Method,
	}
	for _, hit := range made.Evidence {
		out.Evidence = append(out.Evidence, hit.Text)
	}
	for _, kept := range made.Kept {
		out.Persisted = append(out.Persisted, persistedAttribute{kept.ID, kept.EntityID, kept.Key, kept.Value, string(kept.Category)})
	}
	return out, nil
}

type forgetArguments struct {
	question
	Purge bool `json:"purge"`
}

// forgot is the result of forget.
type forgot struct {
	Deleted int `json:"deleted"`
}

func (cfg Config) forget(ctx context.Context, who *caller.Caller, in forgetArguments) (forgot, error) {
	began := cfg.Traces.Begin()
	n, err := cfg.Memory.Forget(ctx, who, memory.Oblivion{Text: *in.Query, Purge: in.Purge})
	if err != nil {
		return forgot{}, err
	}
	cfg.Traces.Decided(ctx, who, began, trace.Forget, n)
	return forgot{n}, nil
}

// plain refuses what no database holds; on REST nothing like it gets here.
func plain(field, text string) error {
	if strings.ContainsRune(text, 0) {
		return fault.InvalidField(field, "must not hold the character U+0000")
	}
	return nil
}
