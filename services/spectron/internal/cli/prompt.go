package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxLine is the most bytes of a line that are read.
const maxLine = 4096

// terminal returns the file of standard input when a person sits there.
func (a *app) terminal() (*os.File, bool) {
	file, ok := a.In.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// ask asks the person at the terminal for a line. An empty answer is fallback.
func (a *app) ask(ctx context.Context, label, fallback string) (string, error) {
	question := label + ": "
	if fallback != "" {
		question = fmt.Sprintf("%s [%s]: ", label, fallback)
	}
	_, _ = io.WriteString(a.Err, question) // a prompt that cannot be seen is no reason to stop
	answer, err := interruptible(ctx, a.readLine)
	if err != nil {
		return "", err
	}
	if answer == "" {
		return fallback, nil
	}
	return answer, nil
}

// askSecret asks for a line without echo where a person sits at standard input, and reads a line of it elsewhere.
func (a *app) askSecret(ctx context.Context, label string) (string, error) {
	file, ok := a.terminal()
	if !ok {
		return interruptible(ctx, a.readLine)
	}
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("preparing the terminal: %w", err)
	}
	// An interrupt leaves the reading goroutine behind, and with it a terminal without echo.
	defer func() { _ = term.Restore(fd, state) }()
	_, _ = io.WriteString(a.Err, label+" (not shown): ")
	answer, err := interruptible(ctx, func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
	_, _ = io.WriteString(a.Err, "\n")
	return strings.TrimSpace(answer), err
}

// readLine reads a line of standard input: byte by byte, because a buffer would swallow what the next question is for.
func (a *app) readLine() (string, error) {
	var line []byte
	next := make([]byte, 1)
	for len(line) < maxLine {
		n, err := a.In.Read(next)
		if n == 1 && next[0] == '\n' {
			break
		}
		line = append(line, next[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}
	}
	return strings.TrimSpace(string(line)), nil
}

// interruptible runs read until it is done or ctx ends. Reading a terminal or a pipe cannot be stopped: in the second case
// read is left behind, in a program that is about to end.
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
