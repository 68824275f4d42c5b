package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

// maxText is the most bytes that are read from a file: far more than a server takes, so that it is the server that refuses.
const maxText = 16 << 20

func (a *app) remember() *cobra.Command {
	var opts client.RememberOptions
	var scopes []string
	var fromFile string
	infer := newChoice(string(client.InferFull), string(client.InferNone), string(client.InferPreview))
	cmd := &cobra.Command{
		Use:   `remember "<text>"`,
		Short: "Write a text to memory",
		Long: `Write a text to memory.

Without --scope the text belongs to everything that the key may write. With several, it belongs to each of them: whoever
may read one of them finds it. The same text twice within half a minute is remembered once.

--infer says what is made of the text:
  full     store it, and extract what a language model finds in it (nothing, when the server has no model)
  none     store it as it is
  preview  store nothing, show what would be extracted`,
		Example: `  spectron remember "Ada prefers tea."
  spectron remember "The launch is on Friday." --scope org/acme --label source=standup
  spectron remember --from-file notes.txt --infer none
  git log -1 | spectron remember --from-file - --session release-7`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return errors.New("give one text, in quotes when it has spaces")
			case len(args) == 1 && fromFile != "":
				return errors.New("give a text or --from-file, not both")
			case len(args) == 0 && fromFile == "":
				return errors.New("give a text, or --from-file")
			default:
				return nil
			}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.text(cmd.Context(), args, fromFile)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			opts.Infer, opts.Scopes = client.Infer(infer.value), client.AnyOf(scopes...)
			done, err := c.Remember(cmd.Context(), text, opts)
			if err != nil {
				return err
			}
			return a.print(done, func(w io.Writer) { printRemembered(w, done) })
		},
	}
	flags := cmd.Flags()
	infer.register(cmd, flags, "infer", "", "what is made of the text")
	flags.StringArrayVar(&scopes, "scope", nil, "scope `path` that the text belongs to, such as org/acme (repeatable)")
	flags.StringVar(&opts.SessionID, "session", "", "`id` of the session to append to; a new one without it")
	flags.StringArrayVar(&opts.Labels, "label", nil, "`key=value` to find it by (repeatable)")
	flags.StringVar(&fromFile, "from-file", "", "read the text from a `file`; - is standard input")
	return cmd
}

// text returns what to remember: the argument, or else the content of a file.
func (a *app) text(ctx context.Context, args []string, fromFile string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	in := a.In
	if fromFile != "-" {
		file, err := os.Open(fromFile) //nolint:gosec // the user names the user's own file
		if err != nil {
			return "", fmt.Errorf("reading the text: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	return interruptible(ctx, func() (string, error) {
		content, err := io.ReadAll(io.LimitReader(in, maxText))
		if err != nil {
			return "", fmt.Errorf("reading the text: %w", err)
		}
		if !utf8.Valid(content) {
			return "", usagef("%s is not UTF-8 text", fromFile)
		}
		return string(content), nil
	})
}

func printRemembered(w io.Writer, done client.Remembered) {
	stored := "yes"
	if done.Preview {
		stored = "no, a preview"
	}
	field(w, "STORED", stored)
	field(w, "MODE", string(done.Mode))
	field(w, "SESSION", done.SessionID)
	field(w, "TURN", done.TurnID)
	field(w, "CHUNK", done.ChunkID)
	if found := done.Extraction; found != nil {
		field(w, "EXTRACTED", fmt.Sprintf("%d entities, %d attributes, %d relations, %d instructions",
			len(found.Entities), len(found.Attributes), len(found.Relations), len(found.Instructions)))
	}
}
