package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
)

// mcpServer is what a snippet adds to a program.
type mcpServer struct {
	name, endpoint string
	// key is the API key; empty when it is not to be shown.
	key string
	// bearer is the value of the Authorization header: with the key, or with the variable that stands for it.
	bearer string
}

// forProgram returns the server with the header as p takes it.
func (s mcpServer) forProgram(p program) mcpServer {
	s.bearer = "Bearer " + s.key
	if s.key == "" {
		s.bearer += p.variable
	}
	return s
}

// program is one that speaks MCP, and how it takes a server.
type program struct {
	name  string
	title string
	// where says what to do with the snippet.
	where string
	// variable stands for the key when it is not to be shown.
	variable string
	// note says what to do then.
	note  string
	write func(w io.Writer, s mcpServer) error
}

var programs = []program{
	{
		name: "claude-code", title: "Claude Code", where: "run",
		variable: "${SPECTRON_API_KEY}", note: "set SPECTRON_API_KEY before you run the command",
		write: writeClaudeCode,
	},
	{
		name: "claude-desktop", title: "Claude Desktop",
		where:    "merge into claude_desktop_config.json (Settings, Developer, Edit Config); needs Node.js",
		variable: "${SPECTRON_API_KEY}", note: "put the API key in the place of ${SPECTRON_API_KEY}, which it does not expand",
		write: writeClaudeDesktop,
	},
	{
		name: "cursor", title: "Cursor", where: "merge into ~/.cursor/mcp.json, or .cursor/mcp.json in a project",
		variable: "${env:SPECTRON_API_KEY}", note: "set SPECTRON_API_KEY where it is started",
		write: writeRemote,
	},
	{
		name: "json", title: "Other programs", where: "merge into their configuration",
		variable: "${SPECTRON_API_KEY}", note: "put the API key in the place of ${SPECTRON_API_KEY}, unless the program expands it",
		write: writeRemote,
	},
}

// mcpEntry is a server in the configuration of a program: by URL, or, for a program that only starts commands, by
// command.
type mcpEntry struct {
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

func writeEntry(w io.Writer, name string, entry mcpEntry) error {
	return writeJSON(w, map[string]map[string]mcpEntry{"mcpServers": {name: entry}})
}

// writeRemote writes the entry for programs that take a URL.
func writeRemote(w io.Writer, s mcpServer) error {
	return writeEntry(w, s.name, mcpEntry{URL: s.endpoint, Headers: map[string]string{"Authorization": s.bearer}})
}

// writeClaudeDesktop writes the entry for Claude Desktop, whose file knows commands only: mcp-remote carries the
// protocol to the URL. It fills ${…} in its headers from its own environment. There is no space in the arguments,
// because on Windows they are taken apart at spaces.
func writeClaudeDesktop(w io.Writer, s mcpServer) error {
	entry := mcpEntry{
		Command: "npx",
		Args:    []string{"-y", "mcp-remote", s.endpoint, "--header", "Authorization:${SPECTRON_AUTHORIZATION}"},
		Env:     map[string]string{"SPECTRON_AUTHORIZATION": s.bearer},
	}
	if needsAllowHTTP(s.endpoint) {
		entry.Args = append(entry.Args, "--allow-http")
	}
	return writeEntry(w, s.name, entry)
}

// needsAllowHTTP reports whether mcp-remote refuses endpoint unless it is told that plain HTTP is meant.
func needsAllowHTTP(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1"
}

// writeClaudeCode writes the command that adds the server to Claude Code.
func writeClaudeCode(w io.Writer, s mcpServer) error {
	header := shellQuote("Authorization: " + s.bearer)
	if s.key == "" {
		header = `"Authorization: ` + s.bearer + `"` // the shell fills the variable in
	}
	_, err := fmt.Fprintf(w, "claude mcp add --transport http %s %s --header %s\n", shellQuote(s.name), shellQuote(s.endpoint), header)
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// shellQuote returns text as one word of a POSIX shell.
func shellQuote(text string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-_./:@%+=", r)
	}
	if text != "" && strings.TrimFunc(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
