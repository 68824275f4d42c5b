// Package mcp serves memory to agents over the Model Context Protocol (streamable HTTP, stateless): the tools remember, recall,
// context, reflect, forget and inspect. They are the operations of the domain packages and nothing more, so whoever calls may
// do here what it may do on REST, and leaves the same traces. Who calls must have been authenticated before; the caller
// arrives in the request's context.
package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// Config is what the tools work with.
type Config struct {
	Memory      *memory.Service
	Entities    *entity.Service
	Reflections *reflection.Service
	Traces      *trace.Log
	// MaxHits is the most hits that a call may ask for.
	MaxHits int
	// TraceID names the request that a context belongs to.
	TraceID func(ctx context.Context) string
	// Version is what the server calls itself.
	Version string
	Log     *slog.Logger
}

// NewHandler returns the handler of /mcp.
func NewHandler(cfg Config) http.Handler {
	server := sdk.NewServer(&sdk.Implementation{Name: "spectron", Title: "Spectron memory", Version: cfg.Version}, &sdk.ServerOptions{
		Instructions: "Long-term memory. Call recall before answering from memory, and remember when you learn something worth keeping.",
	})
	add(cfg, server, rememberTool(), cfg.remember)
	add(cfg, server, cfg.recallTool(), cfg.recall)
	add(cfg, server, cfg.contextTool(), cfg.context)
	add(cfg, server, reflectTool(), cfg.reflect)
	add(cfg, server, forgetTool(), cfg.forget)
	add(cfg, server, inspectTool(), cfg.inspect)
	server.AddReceivingMiddleware(refuseUnknown)
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{
		Stateless:    true,
		JSONResponse: true,
		Logger:       cfg.Log,
		// A page that rebinds its name to this address has no key; a proxy on this machine is welcome.
		DisableLocalhostProtection: true,
	})
}

// refuseUnknown says of a tool that is not there what is said of a method that is not. The SDK takes its name for a bad
// parameter.
func refuseUnknown(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, request sdk.Request) (sdk.Result, error) {
		call, ok := request.(*sdk.CallToolRequest)
		if ok && !slices.Contains(tools, call.Params.Name) {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "there is no such tool"}
		}
		return next(ctx, method, request)
	}
}

// arguments of a tool.
type arguments interface {
	// context is the context the caller names; empty when it does not.
	context() string
	// missing is the name of an argument that must be given and is not; empty when there is none.
	missing() string
}

// add makes call a tool. Arguments of the wrong form are a fault of the protocol; what the operation answers, be it an
// error, is the tool's result.
func add[In arguments, Out any](cfg Config, server *sdk.Server, tool *sdk.Tool, call func(context.Context, *caller.Caller, In) (Out, error)) {
	server.AddTool(tool, func(ctx context.Context, request *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in In
		if err := json.Unmarshal(orObject(request.Params.Arguments), &in); err != nil {
			return nil, badParams(err.Error())
		}
		if name := in.missing(); name != "" {
			return nil, badParams(name + " is required")
		}
		who, ok := caller.From(ctx)
		if !ok {
			return nil, errors.New("a tool was called without authentication")
		}
		if id := in.context(); id != "" && id != who.Context {
			return cfg.refused(ctx, fault.BadCredential()), nil
		}
		out, err := call(ctx, who, in)
		if rpc, ok := errors.AsType[*jsonrpc.Error](err); ok {
			return nil, rpc
		}
		if err != nil {
			return cfg.refused(ctx, err), nil
		}
		return result(out, false), nil
	})
}

// orObject stands in for arguments that were left out.
func orObject(raw json.RawMessage) json.RawMessage {
	if len(bytes.TrimSpace(raw)) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

func badParams(message string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "invalid params: " + message}
}

type failure struct {
	Error failureDetail `json:"error"`
}

type failureDetail struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// refused is the result of an operation that failed. Of an internal error it tells nothing but where to look.
func (cfg Config) refused(ctx context.Context, err error) *sdk.CallToolResult {
	problem := fault.ProblemOf(err, "", cfg.TraceID(ctx))
	if fault.KindOf(err) == fault.Internal {
		cfg.Log.ErrorContext(ctx, "internal error", slog.String("trace_id", cfg.TraceID(ctx)), slog.Any("error", err))
	}
	return result(failure{failureDetail{problem.Status, problem.Message}}, true)
}

// result writes out both ways: structured, and as text for clients that show only that.
func result(out any, isError bool) *sdk.CallToolResult {
	text, err := json.Marshal(out)
	if err != nil { // none of the types here can fail to encode
		panic("mcp: encoding a result: " + err.Error())
	}
	return &sdk.CallToolResult{
		IsError:           isError,
		StructuredContent: json.RawMessage(text),
		Content:           []sdk.Content{&sdk.TextContent{Text: string(text)}},
	}
}
