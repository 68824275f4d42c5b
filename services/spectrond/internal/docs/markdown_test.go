package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository's folder.
const root = "../../../.."

// document is a file of Markdown, taken apart.
type document struct {
	// name is its path in the repository.
	name     string
	text     string
	blocks   []block
	headings []heading
}

// block is a fenced part of a document, or a directive to the tests.
type block struct {
	line int
	// language is the first word at the fence, words are those after it. A directive has no language.
	language  string
	words     []string
	text      string
	directive string
}

// heading is a line that begins with #.
type heading struct {
	level        int
	text, anchor string
}

// notCommands are the languages of fences that hold no commands. Every other must have a runner.
var notCommands = []string{"", "output", "text", "json", "yaml", "toml", "nginx", "go", "js", "python", "sql", "promql", "caddyfile"}

var directive = regexp.MustCompile(`^<!-- tested: (.*) -->$`)

// read takes a document apart.
func read(t *testing.T, name string) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	doc := document{name: name, text: string(text)}
	var open *block
	var body []string
	for i, line := range strings.Split(doc.text, "\n") {
		trimmed := strings.TrimSpace(line)
		info, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case open != nil && fence && info == "":
			open.text = strings.Join(append(body, ""), "\n")
			doc.blocks = append(doc.blocks, *open)
			open, body = nil, nil
		case open != nil:
			body = append(body, line)
		case fence:
			words := append(strings.Fields(info), "")
			open = &block{line: i + 1, language: words[0], words: slices.DeleteFunc(words[1:], func(w string) bool { return w == "" })}
		case directive.MatchString(trimmed):
			doc.blocks = append(doc.blocks, block{line: i + 1, directive: directive.FindStringSubmatch(trimmed)[1]})
		case strings.HasPrefix(line, "#"):
			hashes, title, _ := strings.Cut(line, " ")
			doc.headings = append(doc.headings, heading{len(hashes), title, anchor(title)})
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: a fence is not closed", name, open.line)
	}
	return doc
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)

// anchor is what a heading is linked by where Markdown is shown.
func anchor(title string) string {
	return strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

// prose is the text of a document without its blocks.
func (d document) prose() string {
	text := d.text
	for _, b := range d.blocks {
		if b.text != "" {
			text = strings.ReplaceAll(text, b.text, "")
		}
	}
	return text
}

// documents returns every file of Markdown in the repository; what lies in folders that begin with a dot is not of it.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "testdata", "secrets"}, entry.Name())):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".md"):
			all = append(all, read(t, filepath.ToSlash(name)))
		}
		return nil
	})
	if err != nil || len(all) < 5 {
		t.Fatalf("%d documents: %v", len(all), err)
	}
	return all
}
