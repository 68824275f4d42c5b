package table_test

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spectron-hq/spectron/services/spectron/table"
)

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return slave
}

func TestATerminalIsStyledUnlessItsOwnerAsksForNone(t *testing.T) {
	t.Parallel()
	tty := terminal(t)
	for name, test := range map[string]struct {
		environ map[string]string
		want    bool
	}{
		"a terminal":      {map[string]string{"TERM": "xterm"}, true},
		"NO_COLOR":        {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		"NO_COLOR, empty": {map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true},
		"dumb":            {map[string]string{"TERM": "dumb"}, false},
	} {
		if got := table.Styled(tty, func(name string) string { return test.environ[name] }); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
