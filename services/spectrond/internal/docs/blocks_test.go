package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

// composeVariable makes the blocks for Compose run, and no others, in projects whose names begin with its value.
// deployments/compose/docs-test.sh sets it.
const composeVariable = "SPECTRON_DOCS_COMPOSE"

// Every block of commands is run as a reader would, from the top of its document to the end, and prints what the document says.
func TestBlocks(t *testing.T) {
	t.Parallel()
	compose := os.Getenv(composeVariable) != ""
	for _, doc := range documents(t) {
		for _, story := range storiesOf(doc, compose) {
			t.Run(doc.name+":"+story.line, func(t *testing.T) {
				if !compose { // those come one after the other
					t.Parallel()
				}
				story.play(t)
			})
		}
	}
}

// TestComposeRunsTheDocuments: without it nothing here would run the blocks for Compose.
func TestComposeRunsTheDocuments(t *testing.T) {
	t.Parallel()
	for file, line := range map[string]string{"Makefile": "\n\tdeployments/compose/docs-test.sh\n", "deployments/compose/docs-test.sh": "SPECTRON_DOCS_COMPOSE=$run"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || !strings.Contains(string(content), line) {
			t.Errorf("%s does not hold %q: %v", file, line, err)
		}
	}
}

// A fence that nobody runs must be told from one that holds no commands.
func TestEveryBlockHasARunner(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		for i, b := range doc.blocks {
			switch runner := strings.Join(b.words, " "); {
			case b.directive != "":
				if !slices.Contains([]string{"from nothing", "in a clone", "with a node", "with a Postgres", "Ctrl-C"}, b.directive) && !isTest(t, b.directive) {
					t.Errorf("%s:%d: nobody knows the directive %q", doc.name, b.line, b.directive)
				}
			case b.language == "output":
				if i == 0 || doc.blocks[i-1].language != "sh" {
					t.Errorf("%s:%d: this is the output of nothing", doc.name, b.line)
				}
			case b.language != "sh":
				if !slices.Contains(notCommands, b.language) || len(b.words) > 0 {
					t.Errorf("%s:%d: nobody runs %s %s", doc.name, b.line, b.language, runner)
				}
			case !slices.Contains([]string{"", "terminal", "compose", "compose terminal", "compose pulled", "kubernetes", "make"}, runner):
				t.Errorf("%s:%d: nobody runs sh %s", doc.name, b.line, runner)
			}
		}
	}
}

// isTest reports whether a directive names a test of the commands.
func isTest(t *testing.T, directive string) bool {
	t.Helper()
	files, err := filepath.Glob("../../cmd/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	name, ok := strings.CutPrefix(directive, "by ")
	return ok && slices.ContainsFunc(files, func(file string) bool {
		source, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(source), "\nfunc "+name+"(t *testing.T) {")
	})
}

var target = regexp.MustCompile(`(?m)^([a-z-]+):`)

// Blocks of make are not run here, but what they name is there.
func TestTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, found := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, found[1])
	}
	for _, doc := range documents(t) {
		for _, b := range doc.blocks {
			if b.language != "sh" || !slices.Equal(b.words, []string{"make"}) {
				continue
			}
			for line := range strings.Lines(b.text) {
				command, _, _ := strings.Cut(line, "#")
				words := strings.Fields(command)
				if len(words) == 0 || words[0] != "make" {
					if _, err := exec.LookPath(root + "/" + strings.TrimSpace(command)); err != nil {
						t.Errorf("%s:%d: %s", doc.name, b.line, line)
					}
					continue
				}
				for _, word := range words[1:] {
					if !strings.Contains(word, "=") && !slices.Contains(targets, word) {
						t.Errorf("%s:%d: make has no target %s", doc.name, b.line, word)
					}
				}
			}
		}
	}
}

// story is a row of blocks that share a world.
type story struct {
	begin  string
	line   string
	blocks []block
}

// storiesOf cuts a document where a directive begins a new folder. Those without anything to run are left out.
func storiesOf(doc document, compose bool) []story {
	begin := "from nothing"
	if compose {
		begin = "in a clone"
	}
	stories := []story{{begin: begin, line: "1"}}
	for i, b := range doc.blocks {
		last := &stories[len(stories)-1]
		switch {
		case b.directive == "Ctrl-C":
			if !compose || slices.ContainsFunc(last.blocks, func(b block) bool { return slices.Contains(b.words, "terminal") }) { // else it is another's
				last.blocks = append(last.blocks, b)
			}
		case strings.HasPrefix(b.directive, "by "): // a test of its own runs what follows
			stories = append(stories, story{begin: b.directive})
		case b.directive != "" && (!compose || b.directive == begin):
			stories = append(stories, story{begin: b.directive, line: strconv.Itoa(b.line)})
		case b.language == "sh" && runs(b, compose), b.language == "output" && i > 0 && runs(doc.blocks[i-1], compose):
			last.blocks = append(last.blocks, b)
		}
	}
	return slices.DeleteFunc(stories, func(s story) bool {
		return strings.HasPrefix(s.begin, "by ") || !slices.ContainsFunc(s.blocks, func(b block) bool { return b.language == "sh" })
	})
}

func runs(b block, compose bool) bool {
	switch strings.Join(b.words, " ") {
	case "", "terminal":
		return !compose
	case "compose", "compose terminal", "compose pulled":
		return compose
	default:
		return false
	}
}

func (s story) play(t *testing.T) {
	t.Helper()
	if slices.ContainsFunc(s.blocks, func(b block) bool { return slices.Contains(b.words, "pulled") }) {
		requireImages(t)
	}
	w := newWorld(t, s.begin)
	for i, b := range s.blocks {
		var expected *regexp.Regexp
		if i+1 < len(s.blocks) && s.blocks[i+1].language == "output" {
			expected = pattern(s.blocks[i+1].text, slices.Contains(b.words, "terminal"))
		}
		switch {
		case b.directive != "":
			w.interrupt(t)
		case b.language == "output":
		case slices.Contains(b.words, "terminal"):
			term := w.terminal(t, b.text)
			if expected != nil {
				enough := func(said string) bool { return expected.MatchString(squeeze(w.there(said))) }
				if file := teed.FindStringSubmatch(b.text); file != nil {
					enough = w.kept(file[1], enough)
				}
				term.await(t, enough)
			}
		default:
			said := w.run(t, b.text)
			if expected != nil && !expected.MatchString(squeeze(said)) {
				t.Errorf("line %d: the block prints\n%s\nwhich is not\n%s", b.line, apikey.Redact(said), s.blocks[i+1].text)
			}
		}
	}
}

var teed = regexp.MustCompile(`\| tee (\S+)`)

var image = regexp.MustCompile(`image: \$\{[A-Z_]+:-(.*)\}`)

// requireImages skips a story whose images are neither here nor to be had.
func requireImages(t *testing.T) {
	t.Helper()
	overlay, err := os.ReadFile(root + "/deployments/observability/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range image.FindAllStringSubmatch(string(overlay), -1) {
		here := exec.CommandContext(t.Context(), "docker", "image", "inspect", found[1]).Run() == nil
		if !here && exec.CommandContext(t.Context(), "docker", "pull", "--quiet", found[1]).Run() != nil {
			t.Skipf("NOT RUN: the image %s is not here and cannot be pulled", found[1])
		}
	}
}

// pattern is what an output must match: … stands for anything in a line, and alone for any lines. How wide columns are depends
// on what is in them, so blanks count as one. A terminal may show more later.
func pattern(output string, terminal bool) *regexp.Regexp {
	var expression strings.Builder
	for line := range strings.Lines(squeeze(output)) {
		if strings.TrimSpace(line) == "…" {
			expression.WriteString(`(?:.*\n)*?`)
			continue
		}
		expression.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	if !terminal {
		expression.WriteString("$")
	}
	return regexp.MustCompile("^" + expression.String())
}

var blanks = regexp.MustCompile(`[ \t]+`)

func squeeze(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(blanks.ReplaceAllString(line, " "))
	}
	return strings.Join(lines, "\n") + "\n"
}
