package statedir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ      settings.Environ
		path, backup string
	}{
		"at home":              {settings.Environ{"HOME": "/home/ada"}, "/home/ada/.syncro", "/home/ada/.local/share/syncropel/backups/hub.db.bak"},
		"data elsewhere":       {settings.Environ{"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "/home/ada/.syncro", "/data/syncropel/backups/hub.db.bak"},
		"data nowhere":         {settings.Environ{"HOME": "/home/ada", "XDG_DATA_HOME": "data"}, "/home/ada/.syncro", "/home/ada/.local/share/syncropel/backups/hub.db.bak"},
		"chosen":               {settings.Environ{"HOME": "/home/ada", "SYNCROPEL_HOME": "/srv/spl"}, "/srv/spl", "/srv/spl/backups/hub.db.bak"},
		"chosen without home":  {settings.Environ{"SYNCROPEL_HOME": "/srv/spl"}, "/srv/spl", "/srv/spl/backups/hub.db.bak"},
		"chosen, data as well": {settings.Environ{"SYNCROPEL_HOME": "/srv/spl", "XDG_DATA_HOME": "/data"}, "/srv/spl", "/srv/spl/backups/hub.db.bak"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := statedir.Find(test.environ)
			if err != nil || dir.Path() != test.path || dir.Backup() != test.backup {
				t.Errorf("path %q, backup %q, %v", dir.Path(), dir.Backup(), err)
			}
		})
	}
	if dir, err := statedir.Find(settings.Environ{}); err == nil {
		t.Errorf("without a home it is %q", dir.Path())
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestPrepareMakesAndCloses(t *testing.T) {
	t.Parallel()
	dir := statedir.At(filepath.Join(t.TempDir(), "state"))
	if mended, err := dir.Prepare(); err != nil || len(mended) != 0 {
		t.Fatalf("mended %q, %v", mended, err)
	}
	folders := []string{dir.Path(), dir.Keys(), dir.Secrets(), dir.Run(), dir.Logs(), filepath.Dir(dir.Backup())}
	files := []string{
		dir.Store(), dir.Store() + "-wal", dir.Backup(), dir.ConfigFile(), dir.Pepper(), dir.IdentityKey(), dir.PID(), dir.RunFile(), dir.Log(),
	}
	for _, file := range append(files, dir.Token()) {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range folders {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if open, err := dir.Open(); err != nil || len(open) != len(files)+len(folders)+1 {
		t.Errorf("%d are open, %v", len(open), err)
	}
	mended, err := dir.Prepare()
	if err != nil || len(mended) != len(files)+len(folders) {
		t.Errorf("mended %d: %q, %v", len(mended), mended, err)
	}
	for _, folder := range folders {
		if got := mode(t, folder); got != 0o700 {
			t.Errorf("%s has mode %v", folder, got)
		}
	}
	for _, file := range files {
		if got := mode(t, file); got != 0o600 {
			t.Errorf("%s has mode %v", file, got)
		}
	}
	// The token may be known by now, so its owner is to look at it.
	if got := mode(t, dir.Token()); got != 0o644 {
		t.Errorf("the token has mode %v", got)
	}
	var insecure *statedir.InsecureError
	if err := dir.CheckToken(); !errors.As(err, &insecure) || !strings.Contains(err.Error(), "insecure permissions") {
		t.Errorf("got %v", err)
	}
}

func TestADirectoryOfOtherThingsIsNotClosed(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func() error{
		"prepare": func() error { _, err := statedir.At(path).Prepare(); return err },
		"save":    func() error { return statedir.At(path).SaveToken("spl_") },
	} {
		if err := act(); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := mode(t, path); got != 0o755 {
		t.Errorf("it has mode %v", got)
	}
	file := filepath.Join(path, "letter.txt")
	if _, err := statedir.At(file).Prepare(); err == nil {
		t.Error("a file became a directory")
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	dir := statedir.At(filepath.Join(t.TempDir(), "state"))
	if token, err := dir.ReadToken(); token != "" || err != nil {
		t.Errorf("found one where there is none, %v", err)
	}
	if was, err := dir.UnsetToken(); was || err != nil {
		t.Errorf("removed one where there is none, %v", err)
	}
	for _, text := range []settings.Secret{"first", "second"} {
		if err := dir.SaveToken(text); err != nil {
			t.Fatal(err)
		}
		if token, err := dir.ReadToken(); token != text || err != nil {
			t.Errorf("another came back, %v", err)
		}
	}
	if got := mode(t, dir.Token()); got != 0o600 {
		t.Errorf("mode %v", got)
	}
	if err := os.Chmod(dir.Token(), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := dir.SaveToken("third"); err == nil {
		t.Error("saved over one that others can read")
	}
	if token, err := dir.ReadToken(); token != "second" || err != nil {
		t.Errorf("another came back, %v", err)
	}
	if was, err := dir.UnsetToken(); !was || err != nil {
		t.Errorf("removed: %t, %v", was, err)
	}
	if err := os.WriteFile(dir.Token(), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.ReadToken(); err == nil {
		t.Error("a megabyte was taken for a token")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	port := 9200
	for name, test := range map[string]struct {
		text    string
		want    statedir.Config
		refused string
	}{
		"empty": {},
		"whole": {
			text: "[identity]\nactor='did:sync:user:ada'\ndisplay_name='Ada'\n[store]\nurl='sqlite:///x'\n[server]\nhost='::1'\nport=9200\n",
			want: statedir.Config{Actor: "did:sync:user:ada", DisplayName: "Ada", StoreURL: "sqlite:///x", Host: "::1", Port: &port},
		},
		"unknown names": {text: "[server]\nprot=1\n[ai]\nmodel='x'\n", want: statedir.Config{Unknown: []string{"server.prot", "ai"}}},
		"a slip":        {text: "[store]\nurl='postgres://a:" + password + "@h\n", refused: "line 2"},
		"another type":  {text: "[server]\nport='" + password + "'\n", refused: "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := statedir.At(t.TempDir())
			if err := os.WriteFile(dir.ConfigFile(), []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := dir.ReadConfig()
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) || strings.Contains(err.Error(), password) {
					t.Errorf("got %v", err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b settings.Secret) bool { return a.Reveal() == b.Reveal() })); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestOperator(t *testing.T) {
	t.Parallel()
	config := statedir.Config{Actor: "did:sync:user:configured"}
	if got, err := config.Operator(settings.Environ{"SPL_ACTOR": "did:sync:user:said"}); got != "did:sync:user:said" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := config.Operator(nil); got != "did:sync:user:configured" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := (statedir.Config{}).Operator(nil); !strings.HasPrefix(got, "did:sync:user:") || len(got) == len("did:sync:user:") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRunInformation(t *testing.T) {
	t.Parallel()
	dir := statedir.At(t.TempDir())
	if _, err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.ReadRun(); !errors.Is(err, statedir.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	host := "0.0.0.0"
	want := statedir.Run{
		URL: "http://127.0.0.1:9100", PID: 7, Mode: statedir.Secure, StartedAt: time.Unix(1, 0).UTC(),
		Arguments: statedir.Arguments{Host: &host, StoreKept: true},
	}
	if err := dir.WriteRun(want); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.ReadRun(); err != nil || !cmp.Equal(want, got) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	if err := os.WriteFile(dir.ChosenStore(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dir.RemoveRun(), dir.RemoveRun()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir.ChosenStore()); !errors.Is(err, os.ErrNotExist) {
		t.Error("the store's URL is left")
	}
	if err := os.WriteFile(dir.RunFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.ReadRun(); err == nil || errors.Is(err, statedir.ErrNotRunning) {
		t.Errorf("got %v of a damaged file", err)
	}
}
