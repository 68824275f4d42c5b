package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// The names of the tools.
const (
	remember     = "remember"
	recall       = "recall"
	buildContext = "context"
	reflect      = "reflect"
	forget       = "forget"
	inspect      = "inspect"
)

// tools are all of them.
var tools = []string{remember, recall, buildContext, reflect, forget, inspect}

// The schemas are written out because they are what an agent reads.
const (
	scopesSchema = `{"description": %q, "anyOf": [
		{"type": "string"},
		{"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}}
	]}`
	labelsSchema  = `{"type": "array", "items": {"type": "string"}, "description": %q}`
	contextSchema = `{"type": "string", "description": "The context of the key; may be left out."}`
)

func rememberTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        remember,
		Title:       "Remember",
		Description: "Keep a text in long-term memory, where recall finds it again.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["text"], "properties": {
			"text": {"type": "string", "description": "What to remember."},
			"session_id": {"type": "string", "description": "The conversation it belongs to; a new one if left out."},
			"scope": ` + fmt.Sprintf(scopesSchema, "Who it is for, as scope paths such as org/acme; a list means any of them, a list in the list all of them. Wherever the key may write if left out.") + `,
			"labels": ` + fmt.Sprintf(labelsSchema, "key=value each.") + `,
			"infer": {"type": "string", "enum": ["full", "preview", "none"], "description": "none keeps the text as it is, full also extracts facts where a language model is configured, preview keeps nothing."},
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{DestructiveHint: new(false), OpenWorldHint: new(false)},
	}
}

func (cfg Config) recallTool() *sdk.Tool {
	return &sdk.Tool{
		Name:        recall,
		Title:       "Recall",
		Description: "Find what was remembered. Answers the best matches first.",
		InputSchema: json.RawMessage(`{"type": "object", "required": ["query"], "properties": {
			"query": {"type": "string", "description": "What to look for, as a question or as words."},
			"k": {"type": "integer", "minimum": 1, "maximum": ` + fmt.Sprint(cfg.MaxHits) + `, "description": "How many matches at most; 10 if left out."},
			"mode": {"type": "string", "enum": ["hybrid", "bm25"], "description": "How to search; hybrid if left out."},
			"lens": ` + fmt.Sprintf(scopesSchema, "Only what is tagged with scopes that match, such as org/acme/*.") + `,
			"labels": ` + fmt.Sprintf(labelsSchema, "Only what has all of these, key=value each.") + `,
			"context_id": ` + contextSchema + `
		}}`),
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: new(false)},
	}
}

type rememberArguments struct {
	Text      *string    `json:"text"`
	SessionID string     `json:"session_id"`
	Scope     scope.Sets `json:"scope"`
	Labels    []string   `json:"labels"`
	Infer     string     `json:"infer"`
	ContextID string     `json:"context_id"`
}

func (a rememberArguments) context() string { return a.ContextID }

func (a rememberArguments) missing() string {
	if a.Text == nil {
		return "text"
	}
	return ""
}

// remembered is the result of remember.
type remembered struct {
	Mode string `json:"mode"`
	memory.Receipt
}

func (cfg Config) remember(ctx context.Context, who *caller.Caller, in rememberArguments) (remembered, error) {
	fact := memory.Fact{
		Text: *in.Text, Infer: memory.Infer(in.Infer), SessionID: in.SessionID, Sets: in.Scope, SetsField: "scope", Labels: in.Labels,
	}
	began := cfg.Traces.Begin()
	receipt, err := cfg.Memory.Remember(ctx, who, fact)
	if err != nil {
		return remembered{}, err
	}
	stored := 1
	if receipt.ChunkID == "" { // a preview
		stored = 0
	}
	cfg.Traces.Decided(ctx, who, began, trace.AddFacts, stored)
	return remembered{string(cmp.Or(fact.Infer, memory.Full)), receipt}, nil
}

type recallArguments struct {
	Query     *string    `json:"query"`
	K         *int       `json:"k"`
	Mode      string     `json:"mode"`
	Lens      scope.Lens `json:"lens"`
	Labels    []string   `json:"labels"`
	ContextID string     `json:"context_id"`
}

func (a recallArguments) context() string { return a.ContextID }

func (a recallArguments) missing() string {
	if a.Query == nil {
		return "query"
	}
	return ""
}

// recalled is the result of recall.
type recalled struct {
	Hits       []recalledHit `json:"hits"`
	TierReason string        `json:"tier_reason"`
	TraceID    string        `json:"trace_id"`
}

type recalledHit struct {
	ID         string     `json:"id"`
	Text       string     `json:"text"`
	Source     string     `json:"source"`
	Score      float64    `json:"score"`
	OccurredAt *time.Time `json:"occurred_at,omitempty"`
}

func (cfg Config) recall(ctx context.Context, who *caller.Caller, in recallArguments) (recalled, error) {
	query := memory.Query{Text: *in.Query, Mode: memory.Mode(in.Mode), Lens: in.Lens, Labels: in.Labels}
	found, err := cfg.ask(ctx, who, trace.Query, query, in.K)
	if err != nil {
		return recalled{}, err
	}
	out := recalled{Hits: make([]recalledHit, len(found.Hits)), TierReason: found.Reason, TraceID: cfg.TraceID(ctx)}
	for i, hit := range found.Hits {
		out.Hits[i] = recalledHit{ID: hit.ID, Text: hit.Text, Source: string(hit.Source), Score: hit.Score, OccurredAt: given(hit.OccurredAt)}
	}
	return out, nil
}

// ask recalls, and keeps that it did under the name of action.
func (cfg Config) ask(ctx context.Context, who *caller.Caller, action string, query memory.Query, k *int) (memory.Recollection, error) {
	query.K = min(memory.DefaultHits, cfg.MaxHits)
	if k != nil {
		if query.K = *k; query.K < 1 || query.K > cfg.MaxHits {
			return memory.Recollection{}, badParams(fmt.Sprintf("k: want 1 to %d", cfg.MaxHits))
		}
	}
	found, err := cfg.Memory.Recall(ctx, who, query)
	if err != nil {
		return memory.Recollection{}, err
	}
	cfg.Traces.Keep(ctx, who, trace.Entry{
		Kind: trace.Retrieval, Action: action, Query: query.Text, Tier: "hybrid", Reason: found.Reason, Took: found.Took,
		Rows: int64(len(found.Hits)),
	})
	return found, nil
}
