package acceptance_test

import "fmt"

// rpc is a step of the Model Context Protocol.
func rpc(line, as, method, params, want, save string) step {
	return step{
		line, as, "POST /mcp | Accept: application/json, text/event-stream",
		fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), 200, want, save,
	}
}

// tool is the call of a tool.
func tool(line, as, name, arguments, want, save string) step {
	return rpc(line, as, "tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s}`, name, arguments), want, save)
}

// done and failed are what a tool answers.
func done(content string) string {
	return `{"result":{"isError":"$absent","structuredContent":` + content + `}}`
}

func failed(status int) string {
	return fmt.Sprintf(`{"error":"$absent","result":{"isError":true,"structuredContent":{"error":{"status":%d,"message":"$text"}}}}`, status)
}

func refused(code int) string { return fmt.Sprintf(`{"result":"$absent","error":{"code":%d}}`, code) }

// Section 7: MCP.
var section7 = []story{
	{section: "7", steps: []step{
		rpc("initialize/streamable HTTP", "agent", "initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`, `{"result":{"serverInfo":{"name":"$text"},"capabilities":{"tools":"$object"}}}`, ""),
		rpc("tools/those that can be served", "agent", "tools/list", `{}`, `{"result":{"tools":["$has",{"name":"remember"},{"name":"recall"},{"name":"context"},{"name":"reflect"},{"name":"forget"},{"name":"inspect"}]}}`, ""),
		tool("remember/text", "agent", "remember", `{"text":"finch one"}`, done(`{"mode":"full","session_id":"$text"}`), "s=result.structuredContent.session_id"),
		tool("remember/session_id, labels, infer", "agent", "remember", `{"text":"finch two","session_id":"<s>","labels":["a=b"],"infer":"none"}`, done(`{"mode":"none","session_id":"<s>"}`), ""),
		tool("remember/scope", "agent", "remember", `{"text":"finch three","scope":"/","infer":"none"}`, done(`{"mode":"none"}`), ""),
		tool("remember/preview", "agent", "remember", `{"text":"finch four","infer":"preview"}`, done(`{"mode":"preview"}`), ""),
		tool("remember/no triples", "agent", "remember", `{"text":"x","infer":"triples"}`, failed(400), ""),
		tool("remember/-32602 text is required", "agent", "remember", `{}`, refused(-32602), ""),
		tool("remember/403", "reader", "remember", `{"text":"x"}`, failed(403), ""),
		tool("remember/403 a session that is none", "agent", "remember", `{"text":"x","session_id":"absent"}`, failed(403), ""),
		tool("remember/400 a scope that is not registered", "agent", "remember", `{"text":"x","scope":"org/acme"}`, failed(400), ""),
		tool("recall/query", "agent", "recall", `{"query":"finch"}`, done(`{"hits":["$any","$any","$any"],"trace_id":"$text"}`), "trace=result.structuredContent.trace_id"),
		tool("recall/k, mode, lens, labels", "agent", "recall", `{"query":"finch","k":5,"mode":"bm25","lens":"/*","labels":["a=b"]}`, done(`{"hits":[{"text":"finch two"}]}`), ""),
		tool("recall/the same masking", "planner", "recall", `{"query":"finch"}`, done(`{"hits":[]}`), ""),
		tool("recall/-32602 query is required", "agent", "recall", `{}`, refused(-32602), ""),
		tool("recall/-32602 oversized k", "agent", "recall", `{"query":"x","k":51}`, refused(-32602), ""),
		tool("recall/400 vector", "agent", "recall", `{"query":"x","mode":"vector"}`, failed(400), ""),
		tool("context/query", "agent", "context", `{"query":"finch"}`, done(`{"context":"$contains finch"}`), ""),
		tool("context/k, lens, labels", "agent", "context", `{"query":"finch","k":1,"lens":"/","labels":["a=b"]}`, done(`{"context":"$contains finch two"}`), ""),
		tool("context/-32602 query is required", "agent", "context", `{}`, refused(-32602), ""),
		tool("context/-32602 oversized k", "agent", "context", `{"query":"x","k":51}`, refused(-32602), ""),
		tool("reflect/query", "agent", "reflect", `{"query":"finch"}`, done(`{"reflection":"$contains finch","evidence":"$filled","persisted_attributes":[],"trace_id":"$text"}`), ""),
		tool("reflect/403 an agent never persists", "agent", "reflect", `{"query":"finch","persist":true}`, failed(403), ""),
		tool("reflect/a supervisor persists", "supervisor", "reflect", `{"query":"finch","persist":true}`, done(`{"persisted_attributes":"$filled"}`), ""),
		tool("inspect/trace", "agent", "inspect", `{"ref":"trace:<trace>"}`, done(`{"kind":"trace"}`), ""),
		tool("inspect/404", "agent", "inspect", `{"ref":"entity:person/absent"}`, failed(404), ""),
		tool("inspect/501 document", "agent", "inspect", `{"ref":"document:x"}`, failed(501), ""),
		tool("inspect/400", "agent", "inspect", `{"ref":"nonsense"}`, failed(400), ""),
		tool("inspect/-32602 ref is required", "agent", "inspect", `{}`, refused(-32602), ""),
		tool("forget/403", "reader", "forget", `{"query":"finch"}`, failed(403), ""),
		tool("forget/query", "agent", "forget", `{"query":"finch"}`, done(`{"deleted":"$some"}`), ""),
		tool("forget/purge", "agent", "forget", `{"query":"finch","purge":true}`, done(`{"deleted":"$int"}`), ""),
		tool("forget/-32602 query is required", "agent", "forget", `{}`, refused(-32602), ""),
		tool("recall/it is forgotten", "agent", "recall", `{"query":"finch one"}`, done(`{"hits":"$list"}`), ""),
		tool("unknown tool/-32601", "agent", "nonsense", `{}`, refused(-32601), ""),
		tool("unknown tool/-32601 old names", "agent", "memory_store", `{}`, refused(-32601), ""),
		tool("context_id/the key's own", "agent", "recall", `{"query":"x","context_id":"<ctx>"}`, done(`{"hits":[]}`), ""),
		tool("context_id/401 another", "agent", "recall", `{"query":"x","context_id":"first"}`, failed(401), "&401"),
		tool("context_id/401 none, the same", "agent", "recall", `{"query":"x","context_id":"nobodys"}`, "&401", ""),
		{"X-Spectron-Context/advisory only", "agent", "POST /mcp | Accept: application/json, text/event-stream | X-Spectron-Context: first", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, 200, `{"result":{"tools":"$filled"}}`, ""},
		{"/mcp/401 without credential", "nobody", "POST /mcp | Accept: application/json, text/event-stream", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, 401, "", "&mcp"},
		{"/mcp/401 a management key", "operator", "POST /mcp | Accept: application/json, text/event-stream", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, 401, "&mcp", ""},
	}},
}
