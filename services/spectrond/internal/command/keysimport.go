package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// keysImport is an import on its way.
type keysImport struct {
	contextID, format, resume string
	dryRun                    bool
	batch                     int

	state  importState
	failed int // items of this run that are not there
}

func newKeysImport(environ settings.Environ, out *output) *cobra.Command {
	var i keysImport
	cmd := &cobra.Command{
		Use:   "import <file>",
		Short: "Import keys of another system by their hashes",
		Long: `Import keys that another system made, by the SHA-256 of their texts: from then on they are accepted as they are, and your users
change nothing. The file, or standard input (-), has one key a line. As JSON Lines:

  {"name": "planner", "hash": "9f86d0…", "scope_floor": {"org": "acme"}, "expires_at": "2030-01-31T00:00:00Z"}

with name and hash (hexadecimal or base64) and, as for a mint, principal (agent or supervisor), scope_floor, grants, ttl_seconds or
expires_at, or principal_id and grants for a key of a principal that there is. As CSV, the first line names the columns: name, hash,
principal, principal_id, org, team, agent, user, ttl_seconds, expires_at.

A key has 16 to 512 visible ASCII characters (in an Authorization header: letters, digits and -._~+/=), and does not begin with sp- or
spl_. Imported keys are rotated, listed and deleted as others are; a rotated one is a key of ours. They open contexts, not the management
API.

HOW GOOD THE KEYS ARE NOBODY CAN TELL FROM A HASH. A word, a number or a short key can be guessed by whoever has the file of hashes; in the
database they are under the pepper. Rotate keys of which you are not sure, and delete the file.

The same again changes nothing. With --resume the place is kept in a file, and an import that was stopped goes on from there. Exit status 1
says that some keys are not there: each is named with its line.`,
		Example: `  spectrond keys import keys.jsonl --context acme --dry-run
  spectrond keys import keys.csv --format csv --context acme --resume keys.state`,
		Args: cli.Arguments("file"),
	}
	flags := cmd.Flags()
	flags.StringVar(&i.contextID, "context", "default", "context to import into")
	flags.StringVar(&i.format, "format", "", "jsonl or csv (default by the file's name, else jsonl)")
	flags.StringVar(&i.resume, "resume", "", "file that keeps the place; made if it is missing")
	flags.BoolVar(&i.dryRun, "dry-run", false, "check the file, and import nothing")
	flags.IntVar(&i.batch, "batch", 500, "keys in one request, at most 1000")
	cmd.RunE = operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
		if i.format == "" && strings.HasSuffix(args[0], ".csv") {
			i.format = "csv"
		}
		if i.format != "" && i.format != "csv" && i.format != "jsonl" {
			return cli.Usage(cmd, errors.New("--format: want jsonl or csv"))
		}
		if i.batch < 1 || i.batch > client.MaxImport {
			return cli.Usage(cmd, fmt.Errorf("--batch: want 1 to %d", client.MaxImport))
		}
		return reading(cmd, args[0], func(r io.Reader) error { return i.run(cmd, out, m, newImportFile(r, i.format == "csv")) })
	})
	return cmd
}

func (i *keysImport) run(cmd *cobra.Command, out *output, m *client.Management, file *importFile) (err error) {
	if i.state, err = loadImportState(i.resume, i.contextID); err != nil {
		return err
	}
	if err := i.skip(file); err != nil {
		return err
	}
	var items []client.KeyImport
	var numbers []int
	for done := false; !done; {
		item, err := file.next()
		wrong, isLine := errors.AsType[*lineError](err)
		switch {
		case errors.Is(err, io.EOF):
			done = true
		case isLine:
			i.fail(cmd, wrong.number, "", wrong.why)
			i.state.Counts["error"]++
		case err != nil:
			return err
		default:
			items, numbers = append(items, item), append(numbers, file.number)
		}
		if len(items) == i.batch || done {
			if err := i.send(cmd, m, items, numbers); err != nil {
				return err
			}
			items, numbers = items[:0], numbers[:0]
			if i.state.Lines, i.state.Sum = file.number, file.sum; !i.dryRun {
				if err := i.state.save(i.resume); err != nil {
					return fmt.Errorf("keeping the place: %w", err)
				}
			}
		}
	}
	return i.tell(cmd, out)
}

// skip reads over what an earlier run has done.
func (i *keysImport) skip(file *importFile) error {
	for file.number < i.state.Lines {
		_, err := file.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if _, isLine := errors.AsType[*lineError](err); err != nil && !isLine {
			return err
		}
	}
	if file.number != i.state.Lines || file.sum != i.state.Sum {
		return fmt.Errorf("the file is not the one of which %d lines were imported: use it again, or another --resume", i.state.Lines)
	}
	return nil
}

func (i *keysImport) send(cmd *cobra.Command, m *client.Management, items []client.KeyImport, numbers []int) error {
	if i.dryRun {
		i.state.Counts["valid"] += len(items)
		return nil
	}
	if len(items) == 0 {
		return nil
	}
	done, err := m.ImportKeys(cmd.Context(), i.contextID, items)
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w", numbers[0], numbers[len(numbers)-1], err)
	}
	for n, key := range done {
		i.state.Counts[key.Status]++
		if key.Status == "conflict" || key.Status == "error" {
			i.fail(cmd, numbers[n], key.Name, key.Status+": "+key.Detail)
		}
	}
	if table.Styled(cmd.ErrOrStderr(), func(string) string { return "" }) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "\r%d lines", numbers[len(numbers)-1]) // only for who looks on
	}
	return nil
}

// fail says what became of a line.
func (i *keysImport) fail(cmd *cobra.Command, number int, name, why string) {
	i.failed++
	if name != "" {
		why = table.Clean(name) + ": " + why
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "line %d: %s\n", number, why) // the summary counts it
}

func (i *keysImport) tell(cmd *cobra.Command, out *output) error {
	rows := table.New("KEYS", "")
	for _, status := range slices.Sorted(maps.Keys(i.state.Counts)) {
		rows.Row(status, strconv.Itoa(i.state.Counts[status]))
	}
	if err := out.write(cmd, i.state.Counts, rows); err != nil {
		return err
	}
	if i.failed > 0 {
		return fmt.Errorf("%d keys are not imported", i.failed)
	}
	return nil
}
