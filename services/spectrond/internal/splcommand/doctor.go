package splcommand

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// verdict is how a check went. The worst of all is what doctor exits with.
type verdict int

const (
	pass verdict = iota
	warn
	fail
)

// String returns the word for people.
func (v verdict) String() string { return [...]string{"pass", "warn", "fail"}[v] }

// MarshalText returns the word for programs.
func (v verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// finding is what came of one check.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"status"`
	Message string  `json:"message"`
	// Fix is the command that mends it; empty when all is well.
	Fix string `json:"fix,omitempty"`
}

// diagnosis is the answer for programs.
type diagnosis struct {
	Status   verdict   `json:"status"`
	Findings []finding `json:"findings"`
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Tell what is wrong, and the command that mends it",
		Long: `Look at the state directory, the saved token, the daemon, and what the token opens there, and tell what is wrong and the command
that mends it. Nothing is changed.

Exit status: 0 all is well, 1 there are warnings, 2 something fails.`,
		Example: `  spl doctor
  spl doctor -o json`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDoctor(cmd) },
	}
}

func (a *app) runDoctor(cmd *cobra.Command) error {
	var d diagnosis
	for _, found := range a.examine(cmd.Context(), cmd) {
		d.Findings = append(d.Findings, found)
		d.Status = max(d.Status, found.Verdict)
	}
	rows := table.New("CHECK", "STATUS", "FINDING", "TO MEND IT")
	problems := 0
	for _, one := range d.Findings {
		rows.Row(one.Check, one.Verdict.String(), one.Message, one.Fix)
		if one.Verdict != pass {
			problems++
		}
	}
	shown := a.showDiagnosis(cmd, d, rows)
	if d.Status == pass || shown != nil {
		return shown
	}
	return &cli.StatusError{Status: int(d.Status), Err: fmt.Errorf("%d finding(s), the worst is a %s", problems, d.Status)}
}

func (a *app) showDiagnosis(cmd *cobra.Command, d diagnosis, rows *table.Table) error {
	if a.output == outputStream {
		return a.encode(cmd, d.Findings)
	}
	return a.answerTable(cmd, d, rows)
}

// examine makes every check that makes sense after those before it.
func (a *app) examine(ctx context.Context, cmd *cobra.Command) []finding {
	dir, err := a.home()
	if err != nil {
		return []finding{{"state directory", fail, err.Error(), "export HOME=<your home directory>"}}
	}
	findings := append(a.examineDirectory(dir), a.examineConfig(dir)...)
	findings = append(findings, examineProcess(dir), a.examineTokenFile(dir), a.examineSource(dir))
	s, err := a.connect(cmd)
	if err != nil {
		// What is unusable was told above, unless it is the daemon's address, the actor or the token's characters.
		return append(findings, finding{"settings", fail, withoutUsage(err).Error(), "spl token show-source"})
	}
	return append(findings, a.examineDaemon(ctx, s)...)
}

// withoutUsage returns what is wrong, without where to read on.
func withoutUsage(err error) error {
	if usage, ok := errors.AsType[*cli.UsageError](err); ok {
		return usage.Unwrap()
	}
	return err
}
