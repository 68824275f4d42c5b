package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/commandline"
	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splcommand"
)

// trees are the programs by their names.
func trees() map[string]*cobra.Command {
	return map[string]*cobra.Command{"spectrond": command.Tree(), "spectron": commandline.Tree(), "spl": splcommand.Tree()}
}

// start is where a command of ours begins in a line.
var start = regexp.MustCompile(`(?:^|[\s/"'(|;&])(spectrond|spectron|spl) ([^|;&)>` + "`" + `#]*)`)

var elsewhere = regexp.MustCompile(`\b(docker|kubectl) `)

// Every command and every flag that a document names is one that there is.
func TestCommandsExist(t *testing.T) {
	t.Parallel()
	all, count := trees(), 0
	for _, doc := range documents(t) {
		if strings.HasPrefix(doc.name, "docs/reference/") && doc.name != "docs/reference/README.md" || doc.name == "CHANGELOG.md" {
			continue // written by the trees themselves; about the past
		}
		for _, text := range doc.commandTexts() {
			for _, found := range start.FindAllStringSubmatch(text, -1) {
				if elsewhere.MatchString(text) && found[1] != "spectrond" {
					continue // the name of a service, of a namespace or of an image
				}
				count++
				if complaint := look(all[found[1]], strings.Fields(found[2])); complaint != "" {
					t.Errorf("%s: %q: %s", doc.name, strings.TrimSpace(found[0]), complaint)
				}
			}
		}
	}
	if count < 80 {
		t.Errorf("only %d commands were found", count)
	}
}

// commandTexts are the lines of blocks, and the spans of code in the prose that begin with one of our programs.
func (d document) commandTexts() []string {
	var texts []string
	for _, b := range d.blocks {
		if b.language == "sh" {
			texts = append(texts, strings.Split(strings.ReplaceAll(b.text, "\\\n", " "), "\n")...)
		}
	}
	for _, span := range inlining.FindAllString(d.prose(), -1) {
		span = strings.Trim(span, "`")
		if program, _, _ := strings.Cut(span, " "); slices.Contains(programs, program) {
			texts = append(texts, span)
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "#") })
}

// look follows words into a tree, and says what it has not.
func look(cmd *cobra.Command, words []string) string {
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") && words[0] != "\\" {
		child := childOf(cmd, words[0])
		if child == nil {
			if cmd.HasSubCommands() && word.MatchString(words[0]) {
				return "there is no command " + words[0]
			}
			break
		}
		cmd, words = child, words[1:]
	}
	cmd.InitDefaultHelpFlag()
	for _, w := range words {
		name, _, _ := strings.Cut(strings.TrimRight(w, `.,:"'`), "=")
		switch {
		case name == "--" || !flagText.MatchString(name):
		case strings.HasPrefix(name, "--"):
			if cmd.Flags().Lookup(name[2:]) == nil && cmd.InheritedFlags().Lookup(name[2:]) == nil {
				return "there is no flag " + name
			}
		case cmd.Flags().ShorthandLookup(name[1:2]) == nil && cmd.InheritedFlags().ShorthandLookup(name[1:2]) == nil:
			return "there is no flag " + name
		}
	}
	return ""
}

var (
	word     = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flagText = regexp.MustCompile(`^(-[a-z]|--[a-z][a-z-]*)$`)
)

func childOf(cmd *cobra.Command, name string) *cobra.Command {
	for _, child := range cmd.Commands() {
		if child.Name() == name || child.HasAlias(name) {
			return child
		}
	}
	return nil
}

var (
	variable = regexp.MustCompile(`\b(?:SPECTRON|SPL|SYNCROPEL)_[A-Z_]*[A-Z]\b`)
	metric   = regexp.MustCompile(`\bspectron_[a-z]+_[a-z_]+\b`)
)

// Every variable and every metric that the pages name is one that the code reads or counts.
func TestVariablesAndMetricsExist(t *testing.T) {
	t.Parallel()
	source := sources(t)
	metrics := read(t, "docs/reference/metrics.md").text
	for _, doc := range documents(t) {
		if !strings.HasPrefix(doc.name, "docs/") && doc.name != "README.md" && doc.name != "SECURITY.md" {
			continue
		}
		for _, name := range variable.FindAllString(doc.text, -1) {
			if !strings.Contains(source, `"`+strings.TrimSuffix(name, "_FILE")) && !strings.Contains(source, "${"+name) {
				t.Errorf("%s: nothing reads %s", doc.name, name)
			}
		}
		for _, name := range metric.FindAllString(doc.text, -1) {
			if plain := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum"); !strings.Contains(metrics, "`"+plain+"`") {
				t.Errorf("%s: there is no metric %s", doc.name, name)
			}
		}
	}
}

// sources is the text of all that reads variables.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.yml", "deployments/*/*.yml", "deployments/compose/*.yaml", "services/*/*.go", "services/*/*/*.go", "services/*/internal/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				all.Write(content)
			}
		}
	}
	return all.String()
}
