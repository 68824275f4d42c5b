package rollout_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// The drills are run by deployments/compose/faults.sh and overlays.sh, which have a deployment ready. The file of drillsVariable has one
// per line: `name | how long | command that begins it | command that ends it`, and, with an exclamation mark before the name, that no
// request may fail. The file of envVariable is what bootstrap has printed; the table is written to the file of tableVariable.
const (
	drillsVariable = "SPECTRON_DRILLS"
	envVariable    = "SPECTRON_DRILLS_ENV"
	tableVariable  = "SPECTRON_DRILLS_TABLE"
	// fromVariable is the folder that commands are run in.
	fromVariable = "SPECTRON_DRILLS_FROM"

	// before is how long the load runs before something happens, and calm how long all must be well for it to be over.
	before = 3 * time.Second
	calm   = 3 * time.Second
	// recovery is how long a deployment may take until it works again after everything has been healed.
	recovery = 2 * time.Minute
)

// drill is one thing that is done to a deployment.
type drill struct {
	name       string
	strict     bool
	hold       time.Duration
	begin, end string
}

func TestDrills(t *testing.T) { //nolint:paralleltest // it needs the deployment for itself
	path := os.Getenv(drillsVariable)
	if path == "" {
		t.Skipf("%s is not set: deployments/compose/faults.sh sets it", drillsVariable)
	}
	printed, err := os.ReadFile(os.Getenv(envVariable))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(printed)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	l := newLoad(readTarget(t, string(printed), values["SPECTRON_URL"], values["SPECTRON_MANAGEMENT_URL"]))
	// Management goes through the data planes, as published clients send it, so that the fault is met with wherever it is.
	l.management = l.data
	table := strings.Builder{}
	table.WriteString(header)
	for _, d := range readDrills(t, path) {
		row := d.run(t, l)
		t.Log(row)
		table.WriteString(row)
		if t.Context().Err() != nil {
			break
		}
	}
	if out := os.Getenv(tableVariable); out != "" {
		if err := os.WriteFile(out, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readDrills(t *testing.T, path string) (all []drill) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 4 {
			t.Fatalf("not a drill: %s", line)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		hold, err := time.ParseDuration(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		name, strict := strings.CutPrefix(fields[0], "!")
		all = append(all, drill{strings.TrimSpace(name), strict, hold, fields[2], fields[3]})
	}
	return all
}

// run lets d happen under load and returns the row of the table about it.
func (d drill) run(t *testing.T, l *load) string {
	t.Helper()
	t.Logf("%s: %s; for %s; %s", d.name, d.begin, d.hold, d.end)
	l.take()
	stop := l.start(t.Context())
	time.Sleep(before)
	if bad := failures(l.take()); len(bad) > 0 {
		t.Errorf("%s: before it, %d requests failed: %+v", d.name, len(bad), bad[0])
	}
	from := time.Since(l.begun)
	shell(t, d.begin)
	time.Sleep(d.hold)
	shell(t, d.end)
	healed := time.Since(l.begun)
	over := l.awaitCalm(t, healed)
	stop()
	seen := l.take()
	stale, refused := staleAccepts(seen), refusedGood(seen)
	gone := l.audit(t)
	stale += len(gone.stale)
	if stale > 0 || refused > 0 || len(gone.lost) > 0 {
		t.Errorf("%s: %d stale accepts, %d good keys refused, lost: %v", d.name, stale, refused, gone.lost)
	}
	if bad := failures(seen); d.strict && len(bad) > 0 {
		t.Errorf("%s: %d of %d requests failed, the first: %+v", d.name, len(bad), len(seen), bad[0])
	}
	asked := slices.DeleteFunc(slices.Clone(seen), func(s sighting) bool { return !strings.HasSuffix(s.what, " key") })
	changed := slices.DeleteFunc(slices.Clone(seen), func(s sighting) bool { return strings.HasSuffix(s.what, " key") })
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d | %d |\n", d.name, (healed - from).Round(100*time.Millisecond),
		saw(asked), saw(changed), trouble(seen, from), max(0, over-healed).Round(100*time.Millisecond), len(gone.lost)+refused, stale)
}

const header = `| Fault | Lasted | Verifications that failed | Changes and writes that failed | From the first failure to the last | Well again after it ended | Acknowledged, then lost | Stale accepts |
|---|---|---|---|---|---|---|---|
`

// awaitCalm returns when requests of every kind have been answered for a while, and since when.
func (l *load) awaitCalm(t *testing.T, healed time.Duration) time.Duration {
	t.Helper()
	deadline := time.Now().Add(recovery)
	for {
		now := time.Since(l.begun)
		last, kinds := healed, map[string]bool{}
		l.mu.Lock()
		for _, s := range l.seen {
			if !s.good {
				last = max(last, s.at+s.took)
			} else if s.at > last {
				kinds[s.what] = true
			}
		}
		l.mu.Unlock()
		if now-last > calm && kinds["rotate"] && kinds["write"] && kinds["good key"] {
			return last
		}
		if time.Now().After(deadline) {
			t.Errorf("not well again within %s", recovery)
			return now
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func shell(t *testing.T, line string) {
	t.Helper()
	if line == "" || line == "-" {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euc", line)
	command.Dir = os.Getenv(fromVariable)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// saw says how many requests failed and what their clients were told instead.
func saw(seen []sighting) string {
	bad := failures(seen)
	if len(bad) == 0 {
		return fmt.Sprintf("none of %d; slowest %s", len(seen), slowest(seen))
	}
	told := map[string]int{}
	for _, s := range bad {
		name := fmt.Sprint(s.status)
		if s.status == 0 {
			name = "no answer"
		}
		told[name]++
	}
	var parts []string
	for _, name := range slices.SortedFunc(maps.Keys(told), func(a, b string) int { return cmp.Compare(told[b], told[a]) }) {
		parts = append(parts, fmt.Sprintf("%s × %d", name, told[name]))
	}
	return fmt.Sprintf("%d of %d (%.1f %%): %s; slowest %s", len(bad), len(seen), 100*float64(len(bad))/float64(len(seen)), strings.Join(parts, ", "), slowest(seen))
}

func slowest(seen []sighting) time.Duration {
	var worst time.Duration
	for _, s := range seen {
		worst = max(worst, s.took)
	}
	return worst.Round(time.Millisecond)
}

// trouble says how long it was from the first request that failed to the last.
func trouble(seen []sighting, from time.Duration) string {
	bad := failures(seen)
	if len(bad) == 0 {
		return "-"
	}
	first, last := bad[0].at, time.Duration(0)
	for _, s := range bad {
		first, last = min(first, s.at), max(last, s.at+s.took)
	}
	return max(0, last-max(first, from)).Round(100 * time.Millisecond).String()
}

// refusedGood counts the good keys that were refused.
func refusedGood(seen []sighting) int {
	n := 0
	for _, s := range seen {
		if s.what == "good key" && s.status >= 400 && s.status < 500 {
			n++
		}
	}
	return n
}
