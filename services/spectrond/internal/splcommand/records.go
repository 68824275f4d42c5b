package splcommand

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// acts and dataTypes are what a record can do and hold.
var (
	acts      = []string{"INTEND", "DO", "KNOW", "LEARN", "GET", "PUT", "CALL", "MAP"}
	dataTypes = []string{"SCALAR", "FORMULA", "DISTRIBUTION", "REFERENCE", "MORPHISM", "VOID"}
)

// maxBody is the most that is read of a record's body; the daemon takes less.
const maxBody = 4 << 20

func (a *app) records() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "record",
		Aliases: []string{"records"},
		Short:   "Write and read records",
		Long: `A record is a statement of an actor in a thread. It never changes, and its id is the SHA-256 of what it says, so the same one
again is no other.`,
		Example: `  spl record add --thread th_notes --act KNOW --body '{"topic":"weather","is":"fine"}'
  spl record list --thread th_notes
  spl record query --filter '{"body.topic":"weather"}'`,
	}, a.addRecord(), a.listRecords(), a.getRecord(), a.queryRecords())
}

// recordFlags are the flags of record add.
type recordFlags struct {
	thread, act, body, dataType, actor string
	parents                            []string
	clock                              int64
}

func (a *app) addRecord() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "add --thread <thread>",
		Short: "Write a record",
		Long: `Write a record and print its id. It is written as the actor that you act as: SPL_ACTOR, the actor in config.toml, or
did:sync:user:<your name>. The scope is records:write.`,
		Example: `  spl record add --thread th_notes --body '{"text":"hello"}'
  echo '{"text":"hello"}' | spl record add --thread th_notes --act KNOW --body -`,
		Args: cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.thread, "thread", "", "thread that it is of; begins with th_ (required)")
	flags.StringVar(&f.act, "act", "KNOW", "what it does: "+strings.Join(acts, ", "))
	flags.StringVar(&f.body, "body", "{}", "what it says: a JSON object, or - for standard input")
	flags.StringVar(&f.dataType, "data-type", "", strings.Join(dataTypes, ", ")+" (default SCALAR)")
	flags.StringVar(&f.actor, "actor", "", "who says it, if not who you act as")
	flags.StringSliceVar(&f.parents, "parents", nil, "ids of the records that it follows, separated by commas")
	flags.Int64Var(&f.clock, "clock", 0, "its clock (default the actor's next one in the thread)")
	for name, words := range map[string][]string{"act": acts, "data-type": dataTypes} {
		// It fails only for a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		record, err := f.request(cmd)
		if err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			if record.Actor == "" {
				record.Actor = s.actor
			}
			written, err := remote.Read[splclient.Record](s.AppendRecord(cmd.Context(), nil, record))
			if err != nil {
				return err
			}
			return a.answer(cmd, written, written.ID)
		})(cmd, args)
	}
	return cmd
}

func (f *recordFlags) request(cmd *cobra.Command) (splclient.NewRecord, error) {
	record := splclient.NewRecord{Thread: f.thread, Actor: f.actor, Act: splclient.Act(strings.ToUpper(f.act))}
	if f.thread == "" {
		return record, errors.New("--thread is required")
	}
	if !slices.Contains(acts, string(record.Act)) {
		return record, fmt.Errorf("--act %q is none of %s", f.act, strings.Join(acts, ", "))
	}
	if f.dataType != "" {
		kind := splclient.DataType(strings.ToUpper(f.dataType))
		if !slices.Contains(dataTypes, string(kind)) {
			return record, fmt.Errorf("--data-type %q is none of %s", f.dataType, strings.Join(dataTypes, ", "))
		}
		record.DataType = &kind
	}
	body, err := object(cmd, "--body", f.body)
	if err != nil {
		return record, err
	}
	record.Body = body
	if parents := tidy(f.parents); len(parents) > 0 {
		slices.Sort(parents)
		record.Parents = &parents
	}
	if cmd.Flags().Changed("clock") {
		record.Clock = &f.clock
	}
	return record, nil
}

// object reads a JSON object from the value of a flag, or from standard input where that is -. It stays as it is written, its
// numbers among it.
func object(cmd *cobra.Command, flag, text string) (json.RawMessage, error) {
	if text == "-" {
		input, err := secretInput(cmd, "JSON", maxBody)
		if err != nil {
			return nil, err
		}
		text = input
	}
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") || !json.Valid([]byte(text)) {
		return nil, errors.New(flag + " is no JSON object")
	}
	return json.RawMessage(text), nil
}

func (a *app) listRecords() *cobra.Command {
	var params splclient.ListRecordsParams
	var thread, actor, act, since string
	var limit int32
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the records of a thread or of an actor",
		Long:  "Show records in the order of their arrival: those of a thread, of an actor, or both. The scope is records:read.",
		Example: `  spl record list --thread th_notes
  spl record list --actor did:sync:user:ada --limit 20 -o stream-json`,
		Args: cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.StringVar(&thread, "thread", "", "only records of this thread")
	flags.StringVar(&actor, "actor", "", "only records of this actor")
	flags.StringVar(&act, "act", "", "only records that do this")
	flags.StringVar(&since, "since", "", "go on behind this cursor")
	flags.Int32Var(&limit, "limit", 100, "the most to show, up to 1000")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if thread == "" && actor == "" {
			return cli.Usage(cmd, errors.New("give --thread or --actor"))
		}
		params = splclient.ListRecordsParams{Thread: given(thread), Actor: given(actor), Since: given(since), Limit: &limit}
		if act != "" {
			params.Act = new(splclient.Act(strings.ToUpper(act)))
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			return a.showRecords(remote.Read[splclient.RecordList](s.ListRecords(cmd.Context(), &params)))(cmd)
		})(cmd, args)
	}
	return cmd
}

// showRecords shows a page of records, or the error in its place.
func (a *app) showRecords(list splclient.RecordList, err error) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		if err != nil {
			return err
		}
		if list.HasMore {
			hint := "there are more"
			if list.NextCursor != nil {
				hint += ": --since " + *list.NextCursor
			}
			a.tell(cmd, "%s", hint)
		}
		if a.output == outputStream {
			return a.encode(cmd, list.Data)
		}
		rows := table.New("ID", "THREAD", "ACTOR", "ACT", "CLOCK", "BODY")
		for _, one := range list.Data {
			rows.Row(one.ID[:min(12, len(one.ID))], one.Thread, one.Actor, string(one.Act), strconv.FormatInt(one.Clock, 10), brief(one.Body))
		}
		if rows.Empty() {
			a.tell(cmd, "no records")
		}
		return a.answerTable(cmd, list, rows)
	}
}

// brief shows a body in a table.
func brief(body json.RawMessage) string {
	const most = 80
	if runes := []rune(string(body)); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(body)
}

func (a *app) getRecord() *cobra.Command {
	return &cobra.Command{
		Use:     "get <id>",
		Aliases: []string{"show"},
		Short:   "Show one record as JSON",
		Long:    "Show one record, whole, as JSON. The scope is records:read.",
		Example: "  spl record get <id>",
		Args:    idArguments("id"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			one, err := remote.Read[splclient.Record](s.GetRecord(cmd.Context(), args[0], nil))
			if err != nil {
				return err
			}
			return a.encode(cmd, one)
		}),
	}
}

func (a *app) queryRecords() *cobra.Command {
	var filter, thread string
	var sort []string
	var limit, offset int32
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Show the records that a filter describes",
		Long: `Show the records whose fields are as a filter says. Fields are those of a record, and body.<path>; a value stands for itself, or
is one of {"$eq"|"$ne"|"$gt"|"$gte"|"$lt"|"$lte"|"$in"|"$exists": ...}; $and and $or take lists of filters. The scope is
records:read.`,
		Example: `  spl record query --filter '{"act":"KNOW","body.topic":"weather"}' --sort clock=-1
  spl record query --thread th_notes --filter '{"clock":{"$gte":3}}'`,
		Args: cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.StringVar(&filter, "filter", "{}", "what must hold: a JSON object, or - for standard input")
	flags.StringVar(&thread, "thread", "", "only records of this thread")
	flags.StringSliceVar(&sort, "sort", nil, "field=1 for ascending, field=-1 for descending; separated by commas")
	flags.Int32Var(&limit, "limit", 100, "the most to show, up to 1000")
	flags.Int32Var(&offset, "offset", 0, "how many to leave out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted, err := object(cmd, "--filter", filter)
		if err != nil {
			return cli.Usage(cmd, err)
		}
		query := splclient.RecordQuery{Filter: wanted, Thread: given(thread), Limit: &limit, Offset: &offset}
		if query.Sort, err = order(sort); err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			return a.showRecords(remote.Read[splclient.RecordList](s.QueryRecords(cmd.Context(), nil, query)))(cmd)
		})(cmd, args)
	}
	return cmd
}

// order reads the flag --sort.
func order(texts []string) (*map[string]splclient.RecordQuerySort, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := map[string]splclient.RecordQuerySort{}
	for _, text := range texts {
		field, direction, _ := strings.Cut(text, "=")
		switch strings.TrimSpace(direction) {
		case "", "1", "+1", "asc":
			out[strings.TrimSpace(field)] = 1
		case "-1", "desc":
			out[strings.TrimSpace(field)] = -1
		default:
			return nil, fmt.Errorf("--sort %q: want field=1 or field=-1", text)
		}
	}
	return &out, nil
}
