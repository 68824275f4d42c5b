package table_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/spectron/table"
)

func text(t *testing.T, tab *table.Table, styled bool) string {
	t.Helper()
	var b strings.Builder
	if err := tab.Write(&b, styled); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRowsAreAligned(t *testing.T) {
	t.Parallel()
	list := table.New("NAME", "ÉTAT", "TEXT")
	list.Row("a", "né", "long text that ends the row")
	list.Row("longer", "", "x")
	want := "NAME    ÉTAT  TEXT\na       né    long text that ends the row\nlonger        x\n"
	if diff := cmp.Diff(want, text(t, list, false)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	styled := "\x1b[1mNAME\x1b[0m    \x1b[1mÉTAT\x1b[0m  \x1b[1mTEXT\x1b[0m\na       né    long text that ends the row\nlonger        x\n"
	if diff := cmp.Diff(styled, text(t, list, true)); diff != "" {
		t.Errorf("styled (-want +got):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	fields := table.New()
	fields.Field("NAME", "a")
	fields.Field("NOTHING", "")
	fields.Row("GRANTS", "read", "x y")
	fields.Row("", "write", "z")
	if diff := cmp.Diff("NAME    a\nGRANTS  read   x y\n        write  z\n", text(t, fields, false)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if got := text(t, fields, true); strings.Count(got, "\x1b[1m") != 2 {
		t.Errorf("got %q", got)
	}
}

func TestNothingIsNotEvenAHead(t *testing.T) {
	t.Parallel()
	for name, tab := range map[string]*table.Table{"headed": table.New("A", "B"), "fields": table.New()} {
		if got := text(t, tab, true); got != "" || !tab.Empty() {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// Whatever the cells hold: one line per row, and nothing that drives a terminal.
func TestCellsCannotDriveATerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := table.New("A", "B")
		rows := rapid.IntRange(1, 4).Draw(t, "rows")
		for range rows {
			tab.Row(rapid.String().Draw(t, "a"), rapid.StringMatching(`.*\x1b\[2J\r\n.*`).Draw(t, "b"))
		}
		var b bytes.Buffer
		if err := tab.Write(&b, false); err != nil {
			t.Fatal(err)
		}
		if strings.Count(b.String(), "\n") != rows+1 || strings.ContainsAny(b.String(), "\x1b\r\x07\x00") {
			t.Errorf("got %q", b.String())
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorsAreTold(t *testing.T) {
	t.Parallel()
	tab := table.New("A")
	tab.Row("x")
	if err := tab.Write(full{}, false); err == nil {
		t.Error("want an error")
	}
}

func TestOnlyTerminalsAreStyled(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	getenv := func(string) string { return "" }
	if table.Styled(file, getenv) || table.Styled(&bytes.Buffer{}, getenv) {
		t.Error("a file, or a buffer, is no terminal")
	}
}
