package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/DeRuina/timberjack"

	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

const (
	logMegabytes = 10
	logFiles     = 7
	// followPause is how often a follower looks for more.
	followPause = 100 * time.Millisecond
)

// openLog opens the log, which is replaced when it has become large.
func openLog(dir statedir.Dir) *timberjack.Logger {
	return &timberjack.Logger{
		Filename: dir.Log(), MaxSize: logMegabytes, MaxBackups: logFiles, FileMode: privatefile.Mode, Compression: "none",
	}
}

// Tail writes the last lines of the log, and with follow what comes after them until ctx ends, also when a new file takes the
// place of the log. Errors: fs.ErrNotExist when there is no log, unless it follows.
func Tail(ctx context.Context, dir statedir.Dir, lines int, follow bool, w io.Writer) error {
	file, err := os.Open(dir.Log())
	for follow && errors.Is(err, fs.ErrNotExist) {
		if !pause(ctx) {
			return nil
		}
		file, err = os.Open(dir.Log())
	}
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := lastLines(dir, file, lines, w); err != nil || !follow {
		return err
	}
	for {
		next, err := successor(dir, file)
		if err != nil {
			return err
		}
		// Whatever was written before the successor was found is read before it is turned to.
		if _, err := io.Copy(w, file); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		if next != nil {
			_ = file.Close() // it was only read
			file = next
			continue
		}
		if !pause(ctx) {
			return nil
		}
	}
}

// pause waits a little and reports whether to go on.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(followPause):
		return true
	}
}

// successor returns the file that has taken the place of the log, if one has.
func successor(dir statedir.Dir, file *os.File) (*os.File, error) {
	current, err := os.Stat(dir.Log())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none yet: it is just being made
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	open, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	if os.SameFile(current, open) {
		return nil, nil //nolint:nilnil // none
	}
	next, err := os.Open(dir.Log())
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return next, nil
}

// lastLines writes the last lines of file, and of the logs before it when it has too few.
func lastLines(dir statedir.Dir, file *os.File, lines int, w io.Writer) error {
	if lines <= 0 {
		_, err := file.Seek(0, io.SeekEnd)
		return err
	}
	last, err := tail(file, lines)
	if err != nil {
		return err
	}
	older, err := predecessors(dir)
	if err != nil {
		return err
	}
	for _, path := range older {
		if len(last) >= lines {
			break
		}
		before, err := tailOf(path, lines-len(last))
		if err != nil {
			return err
		}
		last = append(before, last...)
	}
	for _, line := range last {
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("writing the log: %w", err)
		}
	}
	return nil
}

// predecessors returns the files that were the log before, the newest first.
func predecessors(dir statedir.Dir) ([]string, error) {
	entries, err := os.ReadDir(dir.Logs())
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	base := filepath.Base(dir.Log())
	stem := strings.TrimSuffix(base, filepath.Ext(base)) + "-"
	var older []string
	for _, entry := range entries { // by name, and the name is the time
		if strings.HasPrefix(entry.Name(), stem) && filepath.Ext(entry.Name()) == filepath.Ext(base) {
			older = append(older, filepath.Join(dir.Logs(), entry.Name()))
		}
	}
	slices.Reverse(older)
	return older, nil
}

func tailOf(path string, lines int) ([][]byte, error) {
	file, err := os.Open(path) //nolint:gosec // a file of the state directory
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it was the oldest, and has just been removed
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return tail(file, lines)
}

// tail returns the last lines of file and leaves it at the end of what it has read.
func tail(file *os.File, lines int) ([][]byte, error) {
	last := make([][]byte, 0, min(lines, 1024))
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			if len(last) == lines {
				last = slices.Delete(last, 0, 1)
			}
			last = append(last, bytes.Clone(line))
		}
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
	}
}
