package cli

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/mcpconfig"
)

// everyProgram asks for the snippets of all programs.
const everyProgram = "all"

// mcpFlags are the flags of the command mcp.
type mcpFlags struct {
	name, file    string
	reveal, force bool
	client, write *choice
}

func (a *app) mcp() *cobra.Command {
	names, files := []string{everyProgram}, []string{""}
	for _, p := range programs {
		names = append(names, p.name)
		if p.file != nil {
			files = append(files, p.name)
		}
	}
	f := mcpFlags{client: newChoice(names...), write: newChoice(files...)}
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Add the server to programs that speak MCP",
		Long: `Print how to add the server to programs that speak MCP (Model Context Protocol): Claude Code, Claude Desktop, Cursor,
or plain JSON for others. They get the tools of the server, such as remember and recall, with the authority
of the key.

With --write the server is added to the configuration file of one of them: .mcp.json in this directory for Claude Code,
~/.cursor/mcp.json for Cursor, claude_desktop_config.json where it is on this system for Claude Desktop, or --file. All
else in the file stays. Another server of that name is replaced only with --force, and a file that is not valid JSON is
left as it is. Afterwards only you can read the file.

The key is shown, or written, only with --reveal; without it the variable SPECTRON_API_KEY stands in its place.`,
		Example: `  spectron mcp
  spectron mcp --client cursor
  spectron mcp --write cursor
  spectron mcp --write claude-desktop --reveal
  spectron mcp --client claude-code | sh`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(false)
			if err != nil {
				return err
			}
			server := mcpServer{name: f.name}
			if server.endpoint, err = mcpEndpoint(s.Config); err != nil {
				return err
			}
			if f.reveal {
				if s.APIKey == "" {
					return usagef("there is no API key to reveal: set SPECTRON_API_KEY, or run spectron login")
				}
				server.key = s.APIKey.Reveal()
			}
			return a.runMCP(cmd, f, server)
		},
	}
	flags := cmd.Flags()
	f.client.register(cmd, flags, "client", "", "program to print for")
	f.write.register(cmd, flags, "write", "", "program to add the server to")
	flags.StringVar(&f.file, "file", "", "configuration `file` to write, instead of the usual one")
	flags.BoolVar(&f.force, "force", false, "replace another server of that name")
	flags.StringVar(&f.name, "name", "spectron", "`name` of the server in that program")
	flags.BoolVar(&f.reveal, "reveal", false, "show, or write, the API key")
	return cmd
}

// runMCP writes a file, or prints.
func (a *app) runMCP(cmd *cobra.Command, f mcpFlags, server mcpServer) error {
	switch {
	case server.name == "":
		return usagef("--name: must not be empty")
	case f.write.value == "" && (f.file != "" || f.force):
		return usagef("--file and --force go with --write")
	case f.write.value != "" && cmd.Flags().Changed("client"):
		return usagef("--write and --client exclude each other")
	case f.write.value != "":
		return a.writeMCP(f, server)
	}
	if a.output.value == outputJSON && f.client.value == everyProgram {
		f.client.value = "json"
	}
	return a.printSnippets(f.client.value, server)
}

// writtenMCP is the result of mcp --write.
type writtenMCP struct {
	Client string            `json:"client"`
	File   string            `json:"file"`
	Name   string            `json:"name"`
	Done   mcpconfig.Outcome `json:"done"`
}

// writeMCP adds the server to the configuration file of a program.
func (a *app) writeMCP(f mcpFlags, server mcpServer) error {
	p := programs[slices.IndexFunc(programs, func(p program) bool { return p.name == f.write.value })]
	path := f.file
	if path == "" {
		var err error
		if path, err = p.file(a.Environment, runtime.GOOS); err != nil {
			return fmt.Errorf("finding the configuration of %s: %w; say --file", p.title, err)
		}
	}
	entry := p.entry(server.forProgram(p))
	done, err := mcpconfig.Write(path, server.name, entry, f.force)
	switch {
	case errors.Is(err, mcpconfig.ErrTaken):
		return fmt.Errorf("%s has another server called %s; --force replaces it, --name gives this one another name", path, server.name)
	case err != nil:
		return err
	}
	if server.key == "" && done != mcpconfig.Unchanged {
		a.complain("%s: the API key is not in the file: %s, or use --reveal", p.title, strings.Replace(p.note, "before you run the command", "where it is started", 1))
	}
	text := fmt.Sprintf("%s server %s in %s; %s", done, server.name, path, p.after)
	if done == mcpconfig.Unchanged {
		text = fmt.Sprintf("server %s is in %s already, as it should be; nothing was changed", server.name, path)
	}
	return a.printText(writtenMCP{p.name, path, server.name, done}, text)
}

// mcpEndpoint returns the URL at which the server speaks MCP.
func mcpEndpoint(cfg client.Config) (string, error) {
	// It is what a client would refuse that is refused here.
	if _, err := client.NewManagement(cfg); err != nil {
		return "", asUsage(err)
	}
	endpoint, err := url.JoinPath(cfg.URL, "mcp")
	if err != nil {
		return "", usagef("the URL is malformed")
	}
	return endpoint, nil
}

// printSnippets prints the snippet of one program alone, fit for a file, or those of all with headings. What there is to
// do about the key goes to standard error.
func (a *app) printSnippets(wanted string, server mcpServer) error {
	for _, p := range programs {
		if wanted != everyProgram && wanted != p.name {
			continue
		}
		if wanted == everyProgram {
			_, _ = fmt.Fprintf(a.Out, "# %s: %s\n", p.title, p.where) // the snippet reports errors
		}
		if err := p.write(a.Out, server.forProgram(p)); err != nil {
			return err
		}
		if wanted == everyProgram {
			_, _ = fmt.Fprintln(a.Out)
		}
		if server.key == "" {
			a.complain("%s: %s, or use --reveal", p.title, p.note)
		}
	}
	return nil
}
