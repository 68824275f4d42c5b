package backup

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// made are the actions that a restoration makes again, undone those that its operator is told to.
var (
	made = []string{
		"key.deleted", "key.rotated", "token.revoked", "token.rotated", "service_account.revoked", "principal.deleted", "context.deleted",
	}
	undone = []string{
		"key.disabled", "key.edited", "principal.patched", "context.patched", "service_account.edited", "management_key.replaced",
		"webhook.patched", "webhook.deleted", "webhook.secret_rotated",
	}
)

// Of everything that the audit log names it is known what a restoration does about it.
func TestEveryActionSinceTheBackup(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../../../docs/reference/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, found := range regexp.MustCompile("(?m)^- `([a-z_.]+)`").FindAllStringSubmatch(string(reference), -1) {
		all = append(all, found[1])
	}
	decided := slices.Concat(made, undone, harmless)
	slices.Sort(all)
	slices.Sort(decided)
	if !slices.Equal(all, decided) {
		t.Errorf("the log names %v\nwhat is decided is of %v", all, decided)
	}
	var lines strings.Builder
	for i, action := range append(all, "something.later") {
		for _, outcome := range []string{"done", "denied"} {
			fmt.Fprintf(&lines, `{"id":%d,"action":%q,"context_id":"acme","target":"t-%s","outcome":%q,"detail":{"revision":8,"revoked":["r"]}}`+"\n",
				i+100, action, action, outcome)
		}
		// The backup has this one.
		fmt.Fprintf(&lines, `{"id":%d,"action":%q,"context_id":"acme","target":"before","outcome":"done","detail":{"revision":7}}`+"\n", i+100, action)
	}
	list, err := parseRevocations(strings.NewReader(lines.String()), Manifest{Revision: 7, AuditEntry: 50})
	if err != nil {
		t.Fatal(err)
	}
	told := slices.Sorted(maps.Keys(list.others))
	if want := slices.Sorted(slices.Values(append(undone, "something.later"))); !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	for action, n := range list.others {
		if n != 1 {
			t.Errorf("%d × %s, want one", n, action)
		}
	}
	slices.Sort(list.revoked.Keys)
	if want := []string{"r", "t-key.deleted", "t-key.rotated", "t-token.revoked"}; !slices.Equal(list.revoked.Keys, want) {
		t.Errorf("keys %v, want %v", list.revoked.Keys, want)
	}
	if len(list.revoked.Principals) != 2 || len(list.revoked.Contexts) != 1 {
		t.Errorf("%+v", list.revoked)
	}
}
