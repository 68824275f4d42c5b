package splcommand

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) threads() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "thread",
		Aliases: []string{"threads"},
		Short:   "Show, make and hide threads of records",
		Long:    "A thread is what records belong to. One comes into being with its first record, or is made empty.",
		Example: `  spl thread list
  spl thread show th_notes`,
	}, a.listThreads(), a.showThread(), a.createThread(), a.deleteThread())
}

func (a *app) listThreads() *cobra.Command {
	var since string
	var limit int32
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show the threads",
		Long:    "Show the threads, by id. The scope is records:read.",
		Example: "  spl thread list",
		Args:    cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			list, err := remote.Read[splclient.ThreadList](
				s.ListThreads(cmd.Context(), &splclient.ListThreadsParams{Since: given(since), Limit: &limit}))
			if err != nil {
				return err
			}
			if list.HasMore && list.NextCursor != nil {
				a.tell(cmd, "there are more: --since %s", *list.NextCursor)
			}
			if a.output == outputStream {
				return a.encode(cmd, list.Data)
			}
			rows := table.New("ID", "TITLE", "RECORDS", "CREATED", "LAST RECORD")
			for _, one := range list.Data {
				rows.Row(one.ID, one.Title, strconv.FormatInt(one.Records, 10), moment(&one.CreatedAt), moment(one.LastRecordAt))
			}
			if rows.Empty() {
				a.tell(cmd, "no threads")
			}
			return a.answerTable(cmd, list, rows)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "go on behind this thread")
	cmd.Flags().Int32Var(&limit, "limit", 100, "the most to show, up to 1000")
	return cmd
}

func (a *app) showThread() *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use:     "show <thread>",
		Aliases: []string{"records"},
		Short:   "Show the records of a thread",
		Long:    "Show the records of a thread in the order of their arrival. The scope is records:read.",
		Example: "  spl thread show th_notes",
		Args:    idArguments("thread"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			return a.showRecords(remote.Read[splclient.RecordList](
				s.ListThreadRecords(cmd.Context(), args[0], &splclient.ListThreadRecordsParams{Limit: &limit})))(cmd)
		}),
	}
	cmd.Flags().Int32Var(&limit, "limit", 100, "the most to show, up to 1000")
	return cmd
}

func (a *app) createThread() *cobra.Command {
	var title string
	cmd := &cobra.Command{
		Use:   "create [thread]",
		Short: "Make a thread, empty",
		Long:  "Make a thread and print its id, which is a random one unless given. The scope is threads:write.",
		Example: `  spl thread create th_notes --title "What I noticed"
  spl thread create`,
		Args: optional("thread"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			body := splclient.NewThread{Title: given(title)}
			if len(args) == 1 {
				if err := notAToken(args[0]); err != nil {
					return cli.Usage(cmd, err)
				}
				body.ID = &args[0]
			}
			made, err := remote.Read[splclient.Thread](s.CreateThread(cmd.Context(), nil, body))
			if err != nil {
				return err
			}
			return a.answer(cmd, made, made.ID)
		}),
	}
	cmd.Flags().StringVar(&title, "title", "", "title, for people")
	return cmd
}

func (a *app) deleteThread() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete <thread>",
		Short:   "Hide a thread and its records, for good",
		Long:    "Hide a thread and its records, for good; it takes no more. The scope is threads:write.",
		Example: "  spl thread delete th_notes",
		Args:    idArguments("thread"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			if !yes {
				if err := a.confirm(cmd, "Hide "+args[0]+" and its records, for good?"); err != nil {
					return err
				}
			}
			done, err := remote.Read[splclient.Deleted](s.DeleteThread(cmd.Context(), args[0], nil))
			if err != nil {
				return err
			}
			return a.answer(cmd, done, "hid thread "+args[0])
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
