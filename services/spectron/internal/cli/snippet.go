package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
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
	note string
	// entry is the server as the program's configuration holds it.
	entry func(s mcpServer) mcpEntry
	// command writes the command that adds the server, for a program that has one; else the entry is shown.
	command func(w io.Writer, s mcpServer) error
	// file is the path of its configuration on system; nil where that is not known.
	file func(getenv settings.Getenv, system string) (string, error)
	// after says what to do once the file is written.
	after string
}

var programs = []program{
	{
		name: "claude-code", title: "Claude Code", where: "run",
		variable: "${SPECTRON_API_KEY}", note: "set SPECTRON_API_KEY before you run the command",
		entry: httpEntry, command: writeClaudeCode, file: claudeCodeFile,
		after: "start Claude Code in this directory with SPECTRON_API_KEY set",
	},
	{
		name: "claude-desktop", title: "Claude Desktop",
		where:    "merge into claude_desktop_config.json (Settings, Developer, Edit Config); needs Node.js",
		variable: "${SPECTRON_API_KEY}", note: "put the API key in the place of ${SPECTRON_API_KEY}, which it does not expand",
		entry: bridgeEntry, file: claudeDesktopFile,
		after: "quit Claude Desktop and start it again; it needs Node.js",
	},
	{
		name: "cursor", title: "Cursor", where: "merge into ~/.cursor/mcp.json, or .cursor/mcp.json in a project",
		variable: "${env:SPECTRON_API_KEY}", note: "set SPECTRON_API_KEY where it is started",
		entry: urlEntry, file: cursorFile,
		after: "reload the servers in Cursor's settings",
	},
	{
		name: "json", title: "Other programs", where: "merge into their configuration",
		variable: "${SPECTRON_API_KEY}", note: "put the API key in the place of ${SPECTRON_API_KEY}, unless the program expands it",
		entry: httpEntry,
	},
}

// mcpEntry is a server in the configuration of a program: by URL, or, for a program that only starts commands, by
// command.
type mcpEntry struct {
	Type    string            `json:"type,omitempty"`
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// write writes what adds s to p: a command, or the entry.
func (p program) write(w io.Writer, s mcpServer) error {
	if p.command != nil {
		return p.command(w, s)
	}
	return writeJSON(w, map[string]map[string]mcpEntry{"mcpServers": {s.name: p.entry(s)}})
}

// urlEntry is the entry for programs that see by the URL that the server is not a command.
func urlEntry(s mcpServer) mcpEntry {
	return mcpEntry{URL: s.endpoint, Headers: map[string]string{"Authorization": s.bearer}}
}

// httpEntry is the entry for programs that want to be told; they take an entry without a type for a command.
func httpEntry(s mcpServer) mcpEntry {
	entry := urlEntry(s)
	entry.Type = "http"
	return entry
}

// bridgeEntry is the entry for Claude Desktop, whose file knows commands only: mcp-remote carries the protocol to the URL.
// It fills ${…} in its headers from its own environment. There is no space in the arguments, because on Windows they are
// taken apart at spaces.
func bridgeEntry(s mcpServer) mcpEntry {
	entry := mcpEntry{
		Command: "npx",
		Args:    []string{"-y", "mcp-remote", s.endpoint, "--transport", "http-only", "--header", "Authorization:${SPECTRON_AUTHORIZATION}"},
		Env:     map[string]string{"SPECTRON_AUTHORIZATION": s.bearer},
	}
	if needsAllowHTTP(s.endpoint) {
		entry.Args = append(entry.Args, "--allow-http")
	}
	return entry
}

// claudeCodeFile is that of the project in the working directory. The user's own holds much that Claude Code itself writes
// all the time.
func claudeCodeFile(settings.Getenv, string) (string, error) { return ".mcp.json", nil }

func cursorFile(getenv settings.Getenv, _ string) (string, error) {
	home, err := homeDir(getenv)
	return filepath.Join(home, ".cursor", "mcp.json"), err
}

func claudeDesktopFile(getenv settings.Getenv, system string) (string, error) {
	home, err := homeDir(getenv)
	dir := getenv("XDG_CONFIG_HOME")
	switch {
	case system == "darwin":
		dir = filepath.Join(home, "Library", "Application Support")
	case system == "windows":
		dir = getenv("APPDATA")
	case !filepath.IsAbs(dir):
		dir = filepath.Join(home, ".config")
	}
	if dir == "" {
		err = errors.New("APPDATA is not set")
	}
	return filepath.Join(dir, "Claude", "claude_desktop_config.json"), err
}

func homeDir(getenv settings.Getenv) (string, error) {
	if home := getenv("HOME"); home != "" {
		return home, nil
	}
	return os.UserHomeDir()
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
