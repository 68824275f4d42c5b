// Package daemon runs the local daemon of spl and looks after it: one per state directory, in the foreground or behind. It
// promises that
//
//   - no second daemon serves the same state directory, whatever races, and however the first one ended;
//   - nobody is signalled but the daemon itself: a PID file proves by a lock that its process lives;
//   - a daemon with authentication never listens while nobody could pass it, and says what leads out of that;
//   - whoever starts it in the background learns how the start went, and returns once it answers;
//   - no secret is in its arguments, its log, or what it tells of itself.
package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// claim keeps other daemons out of a state directory while it is held. Two locks make it: one file that stays for good says
// who may start, and the PID file, which comes and goes, is locked by the process that it names. The operating system ends
// both with the process, however that ends, so a PID file that nobody locks is stale, whoever bears that number by now.
type claim struct {
	dir  statedir.Dir
	lock *os.File
	pid  *os.File
}

// take claims the directory and writes the PID file. stale says what was found of a daemon that ended without a word.
// Errors: fault.AlreadyDone when a daemon runs.
func take(dir statedir.Dir) (c *claim, stale string, err error) {
	lock, err := os.OpenFile(dir.Lock(), os.O_CREATE|os.O_RDWR, privatefile.Mode)
	if err != nil {
		return nil, "", fmt.Errorf("claiming the state directory: %w", err)
	}
	if err := exclude(dir, lock); err != nil {
		return nil, "", errors.Join(err, lock.Close())
	}
	c = &claim{dir: dir, lock: lock}
	if stale, err = c.clean(); err == nil {
		err = c.writePID()
	}
	if err != nil {
		return nil, "", errors.Join(err, lock.Close())
	}
	return c, stale, nil
}

// exclude takes the lock that lets one daemon start. Somebody may hold it for a moment only: to clean up, or because its start
// is about to fail.
func exclude(dir statedir.Dir, lock *os.File) error {
	for range 250 {
		held, err := tryLock(lock, syscall.LOCK_EX)
		if err != nil || !held {
			return err
		}
		if err := refuseRunning(dir); err != nil {
			return err
		}
		time.Sleep(probePause)
	}
	return fault.New(fault.AlreadyDone, "already running, or being started by another command")
}

// refuseRunning returns an error when a daemon runs in dir.
func refuseRunning(dir statedir.Dir) error {
	pid, running, err := Running(dir)
	if err == nil && running {
		err = fault.New(fault.AlreadyDone, "already running (pid %d); to start it in another way: spl serve --stop, then this again", pid)
	}
	return err
}

// clean removes what a daemon left that ended without a word.
func (c *claim) clean() (stale string, err error) {
	content, err := os.ReadFile(c.dir.PID())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("reading the PID file: %w", err)
	default:
		stale = staleness(c.dir.PID(), string(content))
	}
	return stale, c.forget()
}

func staleness(path, content string) string {
	pid, err := strconv.Atoi(strings.TrimSpace(content))
	if err != nil || pid <= 0 {
		return "removed a damaged PID file, " + path
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return fmt.Sprintf("removed a stale PID file: the daemon with pid %d is gone", pid)
	}
	return fmt.Sprintf("removed a stale PID file: pid %d is not the daemon any more", pid)
}

// writePID gives the PID file its name once it is written and locked.
func (c *claim) writePID() error {
	file, err := os.CreateTemp(c.dir.Run(), ".pid-*")
	if err != nil {
		return fmt.Errorf("writing the PID file: %w", err)
	}
	if _, err = tryLock(file, syscall.LOCK_EX); err == nil { // nobody else knows it yet
		_, err = fmt.Fprintln(file, os.Getpid())
	}
	if err == nil {
		err = os.Rename(file.Name(), c.dir.PID())
	}
	if err != nil {
		return fmt.Errorf("writing the PID file: %w", errors.Join(err, file.Close(), os.Remove(file.Name())))
	}
	c.pid = file
	return nil
}

// forget removes the PID file and what else is only true while the daemon runs.
func (c *claim) forget() error {
	if err := os.Remove(c.dir.PID()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the PID file: %w", err)
	}
	entries, err := os.ReadDir(c.dir.Run())
	if err != nil {
		return fmt.Errorf("looking into the state directory: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") { // else written by halves when a process was killed
			continue
		}
		if err := os.Remove(filepath.Join(c.dir.Run(), entry.Name())); err != nil {
			return fmt.Errorf("cleaning the state directory: %w", err)
		}
	}
	return nil
}

// release gives the directory up.
func (c *claim) release() error {
	return errors.Join(c.dir.RemoveRun(), c.forget(), c.pid.Close(), c.lock.Close())
}

// probePause is how often somebody who waits for another process looks.
const probePause = 20 * time.Millisecond

// Running returns the process of the daemon of a state directory, if one runs.
func Running(dir statedir.Dir) (pid int, running bool, err error) {
	file, err := os.Open(dir.PID())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the PID file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	held, err := tryLock(file, syscall.LOCK_SH)
	if err != nil {
		return 0, false, err
	}
	if !held {
		return 0, false, nil
	}
	content := make([]byte, 32)
	n, err := file.ReadAt(content, 0)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(content[:n])))
	if convErr != nil || pid <= 0 {
		return 0, false, fmt.Errorf("the PID file %s is damaged, though a daemon runs: find its process with ps, kill it, remove the file and start again", dir.PID())
	}
	return pid, true, nil
}

// tryLock locks file, unless another process holds a lock on it that excludes this one.
func tryLock(file *os.File, how int) (held bool, err error) {
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return false, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return true, nil
		case errors.Is(err, syscall.EINTR):
		default:
			return false, fmt.Errorf("locking %s: %w", filepath.Base(file.Name()), err)
		}
	}
}
