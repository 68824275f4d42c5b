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
	"github.com/spectron-hq/spectron/services/spectron/table"
)

// maxText is the most bytes that are read from a file: far more than a server takes, so that it is the server that refuses.
const maxText = 16 << 20

// memo is what the command remember was asked for.
type memo struct {
	client.RememberOptions

	scopes, triples []string
	fromFile        string
	transcript      bool
	infer, extract  *choice
	asOf            instant
}

func (a *app) remember() *cobra.Command {
	m := memo{
		infer:   newChoice(string(client.InferFull), string(client.InferTriples), string(client.InferNone), string(client.InferPreview)),
		extract: newChoice("whole_conversation", "per_message"),
	}
	cmd := &cobra.Command{
		Use:   `remember "<text>"`,
		Short: "Write a text, facts or a conversation to memory",
		Long: `Write a text, facts or a conversation to memory.

Without --scope the text belongs to everything that the key may write. With several, it belongs to each of them: whoever
may read one of them finds it. The same text twice within half a minute is remembered once.

--infer says what is made of the text:
  full     store it, and extract what a language model finds in it (nothing, when the server has no model)
  triples  store the facts given with --triple; the default where there are any
  none     store it as it is
  preview  store nothing, show what would be extracted

A fact is an attribute, 'person/alice likes=tea', or a relation, 'person/alice -[knows]-> person/bob'.

With --transcript the text is a conversation: lines such as "user: hello" and "assistant: hi", or a JSON list of
{"role", "content", "ts"}. It is remembered as a whole or not at all.`,
		Example: `  spectron remember "Ada prefers tea."
  spectron remember "The launch is on Friday." --scope org/acme --label source=standup
  spectron remember --triple 'person/alice likes=tea' --triple 'person/alice -[knows]-> person/bob'
  spectron remember --from-file notes.txt --infer none --as-of 2026-09-01
  spectron remember --transcript --from-file chat.txt --session release-7
  git log -1 | spectron remember --from-file -`,
		Args: m.checkArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runRemember(cmd, args, m) },
	}
	flags := cmd.Flags()
	m.infer.register(cmd, flags, "infer", "", "what is made of the text")
	m.extract.register(cmd, flags, "extract", "", "what a language model reads of a transcript at a time")
	flags.StringArrayVar(&m.scopes, "scope", nil, "scope `path` that the text belongs to, such as org/acme (repeatable)")
	flags.StringVar(&m.SessionID, "session", "", "`id` of the session to append to; a new one without it")
	flags.StringArrayVar(&m.Labels, "label", nil, "`key=value` to find it by (repeatable)")
	flags.StringArrayVar(&m.triples, "triple", nil, "`fact` to store, such as 'person/alice likes=tea' (repeatable)")
	flags.StringVar(&m.MemoryCategory, "category", "", "identity, knowledge or context (default as the server judges)")
	flags.StringVar(&m.Role, "role", "", "who said it: user, assistant, system or tool (default user)")
	flags.Var(&m.asOf, "as-of", "when it was true or seen")
	flags.StringVar(&m.fromFile, "from-file", "", "read the text from a `file`; - is standard input")
	flags.BoolVar(&m.transcript, "transcript", false, "the text is a conversation")
	refuse(flags, "confidence", "a memory has no measure of confidence")
	refuse(flags, "trust", "a memory has no measure of trust")
	refuse(flags, "location", "a memory has no place")
	return cmd
}

// runRemember reads everything before it looks for a server: what is wrong with it is wrong anywhere.
func (a *app) runRemember(cmd *cobra.Command, args []string, m memo) error {
	if err := checkRefused(cmd); err != nil {
		return err
	}
	if err := m.complete(cmd); err != nil {
		return err
	}
	text, err := a.text(cmd.Context(), args, m.fromFile)
	if err != nil {
		return err
	}
	if m.transcript {
		return a.rememberTranscript(cmd.Context(), text, m)
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	done, err := c.Remember(cmd.Context(), text, m.RememberOptions)
	if err != nil {
		return err
	}
	return a.print(done, rememberedFields(done))
}

func (m *memo) checkArgs(_ *cobra.Command, args []string) error {
	given := len(args)
	if m.fromFile != "" {
		given++
	}
	switch {
	case len(args) > 1:
		return errors.New("give one text, in quotes when it has spaces")
	case given > 1:
		return errors.New("give a text or --from-file, not both")
	case given == 0 && len(m.triples) == 0:
		return errors.New("give a text, --from-file, or --triple")
	default:
		return nil
	}
}

// complete checks what was given together, and completes the options.
func (m *memo) complete(cmd *cobra.Command) (err error) {
	changed := cmd.Flags().Changed
	m.Infer, m.Scopes, m.ObservedAt = client.Infer(m.infer.value), client.AnyOf(m.scopes...), m.asOf.Time
	if m.Triples, err = parseTriples(m.triples); err != nil {
		return err
	}
	if len(m.Triples) > 0 && !changed("infer") {
		m.Infer = client.InferTriples
	}
	switch {
	case (m.Infer == client.InferTriples) != (len(m.Triples) > 0):
		return usagef("--triple and --infer triples go together")
	case changed("extract") && !m.transcript:
		return usagef("--extract is for a --transcript")
	case m.transcript && (len(m.Triples) > 0 || changed("role") || changed("category") || changed("as-of")):
		return usagef("--transcript does not go with --triple, --role, --category or --as-of: each message has its own")
	default:
		return nil
	}
}

func (a *app) rememberTranscript(ctx context.Context, text string, m memo) error {
	messages, err := parseTranscript(text)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	done, err := c.RememberMany(ctx, messages, client.RememberManyOptions{
		Infer: m.Infer, Extract: m.extract.value, SessionID: m.SessionID, Scopes: m.Scopes, Labels: m.Labels,
	})
	if err != nil {
		return err
	}
	fields := table.New()
	if m.Infer == client.InferPreview {
		fields.Field("STORED", "no, a preview")
	} else {
		fields.Field("STORED", fmt.Sprintf("%d turns", len(done.TurnIDs)))
	}
	fields.Field("SESSION", done.SessionID)
	for _, found := range done.Extractions {
		fields.Field("EXTRACTED", extracted(found))
	}
	return a.print(done, fields)
}

// text returns what to remember: the argument, or else the content of a file; nothing where facts alone are given.
func (a *app) text(ctx context.Context, args []string, fromFile string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	in := a.In
	switch fromFile {
	case "":
		return "", nil
	case "-":
	default:
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

func rememberedFields(done client.Remembered) *table.Table {
	fields := table.New()
	stored := "yes"
	if done.Preview {
		stored = "no, a preview"
	}
	fields.Field("STORED", stored)
	fields.Field("MODE", string(done.Mode))
	fields.Field("SESSION", done.SessionID)
	fields.Field("TURN", done.TurnID)
	fields.Field("CHUNK", done.ChunkID)
	if found := done.Extraction; found != nil {
		fields.Field("EXTRACTED", extracted(*found))
		for _, correction := range found.Corrections {
			fields.Field("CORRECTED", fmt.Sprintf("%s: %s, before %s", correction.Key, correction.NewValue, correction.OldValue))
		}
	}
	return fields
}

func extracted(found client.Extraction) string {
	return fmt.Sprintf("%d entities, %d attributes, %d relations, %d instructions",
		len(found.Entities), len(found.Attributes), len(found.Relations), len(found.Instructions))
}
