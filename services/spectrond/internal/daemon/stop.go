package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// Grace is how long a daemon may take to end by itself: requests in flight get ten seconds.
const Grace = 15 * time.Second

// Stopped tells how a daemon ended.
type Stopped struct {
	PID int
	// Killed says that it did not end by itself.
	Killed bool
}

// Stop ends the daemon of a state directory and returns when it has ended: by itself within grace, or killed. Errors:
// statedir.ErrNotRunning.
func Stop(ctx context.Context, dir statedir.Dir, grace time.Duration) (Stopped, error) {
	pid, running, err := Running(dir)
	if err != nil {
		return Stopped{}, err
	}
	if !running {
		return Stopped{}, errors.Join(statedir.ErrNotRunning, sweep(dir))
	}
	stopped := Stopped{PID: pid}
	// Where the system can, this holds on to the process itself, so that its number cannot come to name another one.
	process, err := os.FindProcess(pid)
	if err != nil {
		return stopped, fmt.Errorf("finding the daemon: %w", err)
	}
	defer func() { _ = process.Release() }() // it fails for one that has ended
	if now, running, err := Running(dir); err != nil || !running || now != pid {
		return stopped, errors.Join(err, sweep(dir))
	}
	if err := signal(process, syscall.SIGTERM); err != nil {
		return stopped, err
	}
	ended, err := awaitEnd(ctx, dir, pid, grace)
	if err != nil {
		return stopped, err
	}
	if !ended {
		stopped.Killed = true
		if err := signal(process, syscall.SIGKILL); err != nil {
			return stopped, err
		}
		if ended, err = awaitEnd(ctx, dir, pid, grace); err != nil || !ended {
			return stopped, errors.Join(err, fmt.Errorf("the daemon (pid %d) cannot be killed", pid))
		}
	}
	return stopped, sweep(dir)
}

func signal(process *os.Process, s syscall.Signal) error {
	if err := process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling the daemon (pid %d): %w", process.Pid, err)
	}
	return nil
}

// awaitEnd waits until the process no longer runs as the daemon, but not longer than patience.
func awaitEnd(ctx context.Context, dir statedir.Dir, pid int, patience time.Duration) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		now, running, err := Running(dir)
		if err != nil {
			return false, err
		}
		if !running || now != pid {
			return true, nil
		}
		select {
		case <-limited.Done():
			return false, ctx.Err()
		case <-time.After(probePause):
		}
	}
}

// sweep removes what an ended daemon left, unless another one has begun meanwhile.
func sweep(dir statedir.Dir) error {
	lock, err := os.OpenFile(dir.Lock(), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cleaning the state directory: %w", err)
	}
	defer func() { _ = lock.Close() }() // nothing was written
	// A daemon gives its lock up last, right after its PID file.
	for range 50 {
		held, err := tryLock(lock, syscall.LOCK_EX)
		if err != nil {
			return err
		}
		if !held {
			c := &claim{dir: dir, lock: lock}
			return errors.Join(dir.RemoveRun(), c.forget())
		}
		if _, running, err := Running(dir); err != nil || running {
			return err
		}
		time.Sleep(probePause)
	}
	return nil
}
