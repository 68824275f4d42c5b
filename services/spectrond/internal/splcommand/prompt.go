package splcommand

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// errDeclined says that the user was asked, and said no.
var errDeclined = errors.New("not confirmed, so nothing was done")

// terminal returns standard input when a person sits there.
func terminal(cmd *cobra.Command) (*os.File, bool) {
	file, ok := cmd.InOrStdin().(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// confirm asks the person at the terminal, if there is one. Errors: errDeclined.
func (a *app) confirm(cmd *cobra.Command, question string) error {
	file, ok := terminal(cmd)
	if !ok {
		return nil
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question) // a prompt that cannot be seen is no reason to stop
	answer, err := interruptible(cmd.Context(), func() (string, error) { return bufio.NewReader(file).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return errDeclined
	}
}

// secretInput reads what is secret: without echo where a person sits at standard input, all there is elsewhere.
func secretInput(cmd *cobra.Command, label string, limit int64) (string, error) {
	file, ok := terminal(cmd)
	if !ok {
		content, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), limit))
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}
		return string(content), nil
	}
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("preparing the terminal: %w", err)
	}
	// An interrupt leaves the reading goroutine behind, and with it a terminal without echo.
	defer func() { _ = term.Restore(fd, state) }()
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s (not shown): ", label)
	answer, err := interruptible(cmd.Context(), func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
	_, _ = fmt.Fprintln(cmd.ErrOrStderr())
	return answer, err
}

// interruptible runs read until it is done or ctx ends. Reading a terminal cannot be stopped: in the second case read is left
// behind, in a program that is about to end.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type outcome struct {
		line string
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		line, err := read()
		done <- outcome{line, err}
	}()
	select {
	case got := <-done:
		return got.line, got.err
	case <-ctx.Done():
		return "", fmt.Errorf("reading standard input: %w", context.Cause(ctx))
	}
}
