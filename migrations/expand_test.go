package migrations_test

import (
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/migrations"
)

// narrowing is what a migration must not do while the release before runs on the schema: it takes away, renames or forbids something.
var narrowing = map[string]*regexp.Regexp{
	"drops something":                    regexp.MustCompile(`(?i)\bDROP\b`),
	"renames something":                  regexp.MustCompile(`(?i)\bRENAME\b`),
	"changes a type":                     regexp.MustCompile(`(?i)\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b`),
	"forbids null in what is there":      regexp.MustCompile(`(?i)\bSET\s+NOT\s+NULL\b`),
	"takes rows away":                    regexp.MustCompile(`(?i)(?:^|;)\s*(TRUNCATE|DELETE\s+FROM)\b`),
	"adds a constraint to what is there": regexp.MustCompile(`(?i)\bALTER\s+TABLE\b[^;]*\bADD\s+(CONSTRAINT|CHECK|UNIQUE|FOREIGN|PRIMARY|EXCLUDE)\b`),
}

var (
	addedColumn = regexp.MustCompile(`(?is)\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s[^,;]*`)
	notNull     = regexp.MustCompile(`(?i)\bNOT\s+NULL\b`)
	defaulted   = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)
	created     = regexp.MustCompile(`(?i)\bCREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)`)
	uniqueIndex = regexp.MustCompile(`(?i)\bCREATE\s+UNIQUE\s+INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+ON\s+(\w+)`)
	comment     = regexp.MustCompile(`--[^\n]*`)
	// What functions and triggers do is not done by the migration.
	body = regexp.MustCompile(`(?is)\$\$.*?\$\$|\bBEGIN\b.*?\bEND\b`)
)

// faults returns what is wrong with the statements of a migration for the release before.
func faults(up string) (out []string) {
	up = body.ReplaceAllString(comment.ReplaceAllString(up, ""), "")
	for what, pattern := range narrowing {
		if pattern.MatchString(up) {
			out = append(out, what)
		}
	}
	for _, added := range addedColumn.FindAllString(up, -1) {
		if notNull.MatchString(added) && !defaulted.MatchString(added) {
			out = append(out, "adds a column that the release before does not fill: "+strings.Join(strings.Fields(added), " "))
		}
	}
	own := map[string]bool{}
	for _, table := range created.FindAllStringSubmatch(up, -1) {
		own[table[1]] = true
	}
	for _, index := range uniqueIndex.FindAllStringSubmatch(up, -1) {
		if !own[index[1]] {
			out = append(out, "forbids in "+index[1]+" what the release before may write")
		}
	}
	return out
}

// Every migration since the release before only adds, so that it goes on running while this one is rolled out, and after it was rolled back.
func TestMigrationsOnlyExpand(t *testing.T) {
	t.Parallel()
	known := previous(t)
	for plane, open := range map[string]func(string) (fs.FS, error){"control": migrations.Control, "data": migrations.Data} {
		for _, engine := range []string{"postgres", "sqlite"} {
			files, err := open(engine)
			if err != nil {
				t.Fatal(err)
			}
			names, err := fs.Glob(files, "*.sql")
			if err != nil || len(names) < known[plane] {
				t.Fatalf("%s/%s: %d migrations, %v", plane, engine, len(names), err)
			}
			for _, name := range names {
				number, err := strconv.Atoi(name[:5])
				if err != nil {
					t.Fatal(err)
				}
				if number <= known[plane] {
					continue
				}
				text, err := fs.ReadFile(files, name)
				if err != nil {
					t.Fatal(err)
				}
				up, _, _ := strings.Cut(string(text), "-- +goose Down")
				for _, fault := range faults(up) {
					t.Errorf("%s/%s/%s %s: the release before could not run on it", plane, engine, name, fault)
				}
			}
		}
	}
}

// previous reads what the release before knows.
func previous(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("previous")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.Atoi(value); err == nil {
			out[name] = number
		}
	}
	if out["control"] == 0 || out["data"] == 0 {
		t.Fatalf("the file previous says %v", out)
	}
	return out
}

func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for statement, bad := range map[string]bool{
		"CREATE TABLE a (b text NOT NULL); CREATE UNIQUE INDEX c ON a (b);":             false,
		"ALTER TABLE keys ADD COLUMN a text;":                                           false,
		"ALTER TABLE keys ADD COLUMN a bigint NOT NULL DEFAULT 0, ADD COLUMN b text;":   false,
		"-- DROP is what we do not do\nCREATE INDEX a ON keys (b);":                     false,
		"ALTER TABLE keys ADD COLUMN a bigint NOT NULL, ADD COLUMN b text DEFAULT 'a';": true,
		"ALTER TABLE keys ADD a text NOT NULL;":                                         true,
		"ALTER TABLE keys DROP COLUMN a;":                                               true,
		"DROP INDEX a;":                                                                 true,
		"ALTER TABLE keys RENAME TO tokens;":                                            true,
		"ALTER TABLE keys ALTER COLUMN a TYPE bigint;":                                  true,
		"ALTER TABLE keys ALTER COLUMN a SET NOT NULL;":                                 true,
		"ALTER TABLE keys ADD CONSTRAINT a CHECK (b > 0);":                              true,
		"CREATE UNIQUE INDEX a ON keys (b);":                                            true,
		"CREATE TRIGGER a BEFORE TRUNCATE ON audit EXECUTE FUNCTION b();":               false,
		"CREATE FUNCTION b() RETURNS trigger AS $$ BEGIN DELETE FROM c; END $$;":        false,
		"CREATE TABLE a (b text); DELETE FROM keys;":                                    true,
		"DELETE FROM keys WHERE expires_at IS NULL AND enabled;":                        true,
	} {
		if got := len(faults(statement)) > 0; got != bad {
			t.Errorf("%s: found %v", statement, faults(statement))
		}
	}
}
