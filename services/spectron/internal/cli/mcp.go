package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

// everyProgram asks for the snippets of all programs.
const everyProgram = "all"

func (a *app) mcp() *cobra.Command {
	var reveal bool
	var name string
	names := []string{everyProgram}
	for _, p := range programs {
		names = append(names, p.name)
	}
	wanted := newChoice(names...)
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Print how to add the server to programs that speak MCP",
		Long: `Print how to add the server to programs that speak MCP (Model Context Protocol): Claude Code, Claude Desktop, Cursor,
or plain JSON for others. They get the tools of the server, remember and recall, with the authority of the key.

Nothing is installed. The key is shown only with --reveal; without it the snippets name the variable SPECTRON_API_KEY.`,
		Example: `  spectron mcp
  spectron mcp --client cursor > .cursor/mcp.json
  spectron mcp --client claude-code | sh
  spectron mcp --client claude-desktop --reveal`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.load(false)
			if err != nil {
				return err
			}
			server := mcpServer{name: name}
			if server.endpoint, err = mcpEndpoint(s.Config); err != nil {
				return err
			}
			if reveal {
				if s.APIKey == "" {
					return usagef("there is no API key to reveal: set SPECTRON_API_KEY, or run spectron login")
				}
				server.key = s.APIKey.Reveal()
			}
			if a.output.value == "json" && wanted.value == everyProgram {
				wanted.value = "json"
			}
			return a.printSnippets(wanted.value, server)
		},
	}
	flags := cmd.Flags()
	wanted.register(cmd, flags, "client", "", "program to print for")
	flags.StringVar(&name, "name", "spectron", "`name` of the server in that program")
	flags.BoolVar(&reveal, "reveal", false, "put the API key into the snippets")
	return cmd
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
