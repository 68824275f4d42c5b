package acceptance_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := dbtest.Main(m)
	// A part of the tests reaches a part of the statuses.
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" && !testing.Short() &&
		flag.Lookup("test.list").Value.String() == ""
	if code == 0 && whole {
		if missing := unreached(); len(missing) > 0 {
			fmt.Fprintf(os.Stderr, "FAIL: the OpenAPI documents describe %d answers that no test has got:\n", len(missing))
			for _, line := range missing {
				fmt.Fprintln(os.Stderr, "\t"+line)
			}
			code = 1
		}
	}
	os.Exit(code)
}

// size is how much of something to do: what the variable says, or else normally.
func size(tb testing.TB, variable string, normally int) int {
	tb.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(normally)))
	if err != nil || n < 1 {
		tb.Fatalf("%s must be a number from 1", variable)
	}
	return n
}
