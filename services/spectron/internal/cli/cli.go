// Package cli is the command line of spectron: it finds its settings, calls the Go client and prints. Results go to
// standard output, as a table for people or as JSON for programs; everything else goes to standard error.
//
// What the package promises: a key is printed only where it is what was asked for, with --reveal.
package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
)

// Process is what a run of the command line has around it.
type Process struct {
	// Args are the arguments, without the name of the program.
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	// Environment is looked into for settings.
	Environment settings.Getenv
	// Version is what the version command says.
	Version string
}

// Run runs one command and returns its exit status: 0 done, 1 refused or failed, 2 usage, 3 already done.
func Run(ctx context.Context, p Process) int {
	a := &app{Process: p}
	root := a.root()
	root.SetArgs(p.Args)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !a.started {
		err = &usageError{err: err, command: cmd.CommandPath()}
	}
	a.complain("spectron: %s", a.explain(err))
	return exitStatus(err)
}

// Tree returns every command, to be looked at and not to be run.
func Tree() *cobra.Command { return (&app{}).root() }

// app is one run.
type app struct {
	Process
	flags  settings.Flags
	output *choice
	// started says that the arguments were accepted: an error after that is not one of usage.
	started bool
	// settings is nil until a command has asked for them.
	settings *settings.Settings
	// onBehalfOf is the principal of --on-behalf-of; empty for none.
	onBehalfOf string
	// managementKey is set once a command has needed one: errors must not show it.
	managementKey client.APIKey
}

// outputJSON is what --output says for programs.
const outputJSON = "json"

func (a *app) root() *cobra.Command {
	a.output = newChoice("table", outputJSON)
	root := &cobra.Command{
		Use:   "spectron",
		Short: "Remember and recall through a Spectron server",
		Long: `spectron speaks to a Spectron server as the holder of one API key.

It needs three things: the URL of the server, an API key, and the id of the context that the key opens. Each is
taken from a flag, else from the environment, else from a profile that spectron login has stored:

  --url         SPECTRON_URL          http://127.0.0.1:9090 when nothing is said
  --api-key     SPECTRON_API_KEY      or SPECTRON_API_KEY_FILE, the file that holds it
  --context-id  SPECTRON_CONTEXT_ID
  --profile     SPECTRON_PROFILE      "default" when nothing is said

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 already done.`,
		Example: `  spectron login --url https://spectron.example.com --context-id acme
  spectron whoami
  spectron remember "Ada prefers tea." --scope user/ada
  spectron recall "What does Ada drink?"
  spectron sessions list -o json`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       a.Version,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
	}
	root.SetVersionTemplate("spectron {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.flags.URL, "url", "u", "", "URL of the server (SPECTRON_URL; default "+client.DefaultURL+")")
	flags.StringVarP((*string)(&a.flags.APIKey), "api-key", "a", "",
		"API key (SPECTRON_API_KEY); prefer the variable or spectron login: every user of the machine can see arguments in ps")
	flags.StringVarP(&a.flags.ContextID, "context-id", "c", "", "id of the context that the key opens (SPECTRON_CONTEXT_ID)")
	flags.StringVarP(&a.flags.Profile, "profile", "p", "", "stored profile to use (SPECTRON_PROFILE; default \""+settings.DefaultProfile+"\")")
	flags.StringVar(&a.onBehalfOf, "on-behalf-of", "", "act on behalf of the principal of this `id`: with what both may do")
	a.output.register(root, flags, "output", "o", "output for people or for programs")
	root.AddCommand(
		a.remember(), a.recall(), a.context(), a.reflect(), a.forget(),
		a.state(), a.profile(), a.entities(), a.sessions(), a.inspect(), a.traces(), a.audit(), a.lifecycle(),
		a.whoami(), a.scopes(), a.principals(), a.keys(),
		a.login(), a.config(), a.mcp(), a.version(),
	)
	return root
}

// load finds the settings. create allows a profile that does not exist yet.
func (a *app) load(create bool) (*settings.Settings, error) {
	s, err := settings.Resolve(a.flags, a.Environment, create)
	if err != nil {
		return nil, asUsage(err)
	}
	a.settings = s
	a.warnIfMended(s.File)
	return s, nil
}

// warnIfMended says that keys were readable by others, which is for their owner to judge.
func (a *app) warnIfMended(file *settings.File) {
	if file.Mended {
		a.complain("spectron: others could read %s; it is private now, but consider to rotate the keys in it", file.Path)
	}
}

// client returns the client that the settings describe.
func (a *app) client() (*client.Client, error) {
	s, err := a.load(false)
	if err != nil {
		return nil, err
	}
	var missing []string
	if s.APIKey == "" {
		missing = append(missing, "an API key (SPECTRON_API_KEY)")
	}
	if s.ContextID == "" {
		missing = append(missing, "a context (--context-id or SPECTRON_CONTEXT_ID)")
	}
	if len(missing) > 0 {
		return nil, usagef("this needs %s; set what is missing, or run spectron login", strings.Join(missing, " and "))
	}
	c, err := client.New(s.Config)
	if err != nil {
		return nil, asUsage(err)
	}
	return c.OnBehalfOf(a.onBehalfOf), nil
}
