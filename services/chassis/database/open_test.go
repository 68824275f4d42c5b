package database_test

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	tests := map[string]struct {
		url    string
		schema string
		want   string // a part of the message
	}{
		"no URL":          {"postgres://app:" + password + ":x@host:port/db", "app", "is not a URL"},
		"words":           {"host=db password=" + password, "app", "unknown scheme"},
		"other engine":    {"mysql://app:" + password + "@host/db", "app", `unknown scheme "mysql"`},
		"bad option":      {"postgres://app:" + password + "@host/db?sslmode=" + password, "app", "sslmode"},
		"bad pool size":   {"postgres://app:" + password + "@host/db?pool_max_conns=0", "app", "pool_max_conns"},
		"schema to quote": {"postgres://app:" + password + "@host/db", `a"b`, "schema"},
		"sqlite host":     {"sqlite://relative/path", "", "has no meaning"},
		"sqlite memory":   {"sqlite::memory:", "", "names a file"},
		"sqlite options":  {"sqlite:///x.db?mode=memory", "", "no parameters"},
		"sqlite nothing":  {"sqlite:", "", "names a file"},
		"sqlite escape":   {"sqlite:a%zz", "", ""},
		"no server":       {"postgres://app:" + password + "@127.0.0.1:1/db?connect_timeout=2", "app", "127.0.0.1:1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := database.Open(t.Context(), test.url, test.schema)
			if err == nil {
				t.Fatal("opened", db.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Error("the error tells the password")
			}
			if name == "no server" && !errors.Is(err, database.ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
		})
	}
}

// What is to be there already is not made: neither the file nor its folder.
func TestOpenExisting(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "absent")
	db, err := database.OpenExisting(t.Context(), "sqlite://"+filepath.ToSlash(dir)+"/typo.db", "")
	if err == nil {
		t.Fatal("opened", db.Close())
	}
	if _, statErr := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || !errors.Is(statErr, fs.ErrNotExist) || !strings.Contains(err.Error(), "typo.db") {
		t.Errorf("error %v; then the folder: %v", err, statErr)
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		open(t, url)
		again, err := database.OpenExisting(t.Context(), url, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenWrongPassword(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_here", "hunter2")
	_, err = database.Open(t.Context(), u.String(), "app")
	if !errors.Is(err, database.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

func TestOpenTwiceAndPing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		first, second := open(t, url), open(t, url)
		for _, db := range []*database.DB{first, second} {
			if err := db.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if want := filepath.Base(t.Name()); first.Engine.String() != want {
			t.Errorf("engine %v, want %s", first.Engine, want)
		}
	})
}

// A fresh file turns to its journal mode when it is first opened: many may do that at once.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				db, err := database.Open(t.Context(), url, "app")
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "with space?")
	u := url.URL{Scheme: "sqlite", Path: filepath.Join(dir, "data#1.db")}
	db := counters(t, u.String())
	if err := db.Create(&counter{Name: "a"}).Error; err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "data#1.db": 0o600, "data#1.db-wal": 0o600, "data#1.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %q is %v, want %v", name, got, want)
		}
	}
}

func TestSQLiteRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	open(t, "sqlite:data/test.db")
	if _, err := os.Stat(filepath.Join(dir, "data", "test.db")); err != nil {
		t.Error(err)
	}
}

func TestSettingsOfEngine(t *testing.T) {
	t.Parallel()
	tests := map[string][][2]string{ // queries and what they return
		"sqlite": {
			{"PRAGMA journal_mode", "wal"}, {"PRAGMA synchronous", "2"}, {"PRAGMA foreign_keys", "1"}, {"PRAGMA busy_timeout", "5000"},
		},
		"postgres": {
			{"SHOW search_path", "app"},
			{"SHOW timezone", "UTC"},
			{"SHOW statement_timeout", "30s"},
			{"SHOW jit", "off"},
			{"SHOW idle_in_transaction_session_timeout", "1min"},
		},
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		for _, test := range tests[db.Engine.String()] {
			var got string
			if err := db.WithContext(t.Context()).Raw(test[0]).Scan(&got).Error; err != nil || got != test[1] {
				t.Errorf("%s: %q (%v), want %q", test[0], got, err, test[1])
			}
		}
	})
}

// Full-text search is what both services lean on: the pure-Go engine must have been built with it.
func TestSQLiteFullText(t *testing.T) {
	t.Parallel()
	db := open(t, dbtest.SQLite(t))
	for _, statement := range []string{"CREATE VIRTUAL TABLE notes USING fts5(body)", "INSERT INTO notes VALUES ('a brave new world')"} {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := db.Reader(t.Context()).Raw("SELECT count(*) FROM notes WHERE notes MATCH 'brave'").Scan(&n).Error; err != nil || n != 1 {
		t.Errorf("found %d (%v), want 1", n, err)
	}
}
