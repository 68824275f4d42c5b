package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	named    = regexp.MustCompile(`<a (?:name|id)="([^"]+)">`)
	outside  = regexp.MustCompile(`^(https?|mailto):`)
	inlining = regexp.MustCompile("`[^`\n]+`")
)

// Every link of a document leads to a file that there is and, in a document, to a heading that there is.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := map[string]document{}
	for _, doc := range documents(t) {
		all[doc.name] = doc
	}
	count := 0
	for name, doc := range all {
		for _, found := range link.FindAllStringSubmatch(inlining.ReplaceAllString(doc.prose(), ""), -1) {
			if outside.MatchString(found[1]) {
				continue
			}
			count++
			path, fragment, _ := strings.Cut(found[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, found[1])
				continue
			}
			if to, ok := all[target]; fragment != "" && (!ok || !slices.Contains(to.anchors(), fragment)) {
				t.Errorf("%s: %s leads to no heading", name, found[1])
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d links were found", count)
	}
}

// Every page of the folder can be reached from the first one.
func TestEveryPageIsListed(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		folder, file := filepath.Split(doc.name)
		if !strings.HasPrefix(folder, "docs/") || file == "README.md" {
			continue
		}
		if index := read(t, folder+"README.md"); !strings.Contains(index.text, "]("+file+")") {
			t.Errorf("%sREADME.md does not list %s", folder, file)
		}
	}
}

// anchors are what links to a document may name.
func (d document) anchors() []string {
	var all []string
	for _, h := range d.headings {
		all = append(all, h.anchor)
	}
	for _, found := range named.FindAllStringSubmatch(d.text, -1) {
		all = append(all, found[1])
	}
	return all
}
