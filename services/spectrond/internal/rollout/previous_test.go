package rollout_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// root is the top of the repository.
const root = "../../../.."

// previousRelease returns the program of the release before, which is built from the history, once.
func previousRelease(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a while to build")
	}
	program, err := buildPrevious()
	if err != nil {
		t.Fatalf("the release before this one is built from the history of the repository: %v.\nIn a shallow clone, `git fetch --unshallow` brings it.", err)
	}
	return program
}

var buildPrevious = sync.OnceValues(func() (string, error) {
	commit, err := previousCommit()
	if err != nil {
		return "", err
	}
	// Named by its commit, and kept: whoever runs the tests again has it.
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	program := filepath.Join(cache, "spectron-previous", commit, "spectrond")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	sources, err := os.MkdirTemp("", "spectron-previous-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(sources) }()
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	// Under another name first: two test processes may build at once.
	built := fmt.Sprintf("%s.%d", program, os.Getpid())
	script := `set -o pipefail; git -C "$1" archive "$2" | tar -x -C "$3" && cd "$3" && go build -trimpath -buildvcs=false -o "$4" ./services/spectrond/cmd/spectrond`
	build := exec.CommandContext(context.Background(), "bash", "-c", script, "bash", root, commit, sources, built)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", commit, err, out)
	}
	return program, os.Rename(built, program)
})

func previousCommit() (string, error) {
	file, err := os.Open(filepath.Join(root, "migrations", "previous"))
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if commit, ok := strings.CutPrefix(lines.Text(), "commit "); ok {
			return commit, nil
		}
	}
	return "", errors.New("migrations/previous names no commit")
}

// The release before runs on the schema of this one: it can be rolled back to, and goes on serving while this one is rolled out.
func TestThePreviousReleaseRunsOnThisSchema(t *testing.T) {
	t.Parallel()
	previous := previousRelease(t)
	f := newFleet(t)
	keymanager := f.keymanager(t, previous)
	dataplane := f.dataplane(t, previous, keymanager.url())
	s := session{bootstrap(t, previous, dataplane.url(), keymanager.url())}
	s.play(t, "previous")
	s.spl(t)
	// Then this release takes over, and the one before again.
	for _, program := range []string{current, previous} {
		keymanager.replace(t, program)
		dataplane.replace(t, program)
		s.play(t, filepath.Base(program)+"-after")
	}
}

// While a release is rolled out, replicas of both serve on one database, in any combination, and a revocation holds on all of them.
func TestTwoReleasesSideBySide(t *testing.T) {
	t.Parallel()
	previous := previousRelease(t)
	f := newFleet(t)
	older, newer := f.keymanager(t, previous), f.keymanager(t, current)
	keymanagers := []*replica{older, newer}
	dataplanes := []*replica{
		f.dataplane(t, previous, newer.url()), f.dataplane(t, current, older.url()),
		f.dataplane(t, previous, older.url()), f.dataplane(t, current, newer.url()),
	}
	first := bootstrap(t, previous, dataplanes[0].url(), older.url())
	for i, data := range dataplanes {
		for j, management := range keymanagers {
			at := first
			at.data, at.management = data.url(), management.url()
			session{at}.play(t, fmt.Sprintf("side-by-side-%d-%d", i, j))
		}
	}
	rotateEverywhere(t, first, keymanagers, dataplanes)

	// And under load, each request wherever it happens to go.
	first.data, first.management = newProxy(t, dataplanes...).url, newProxy(t, keymanagers...).url
	l := newLoad(first)
	stop := l.start(t.Context())
	l.warm(t)
	time.Sleep(3 * time.Second)
	stop()
	seen := l.take()
	if bad := failures(seen); len(bad) > 0 {
		t.Errorf("%d of %d requests failed, the first: %+v", len(bad), len(seen), bad[0])
	}
	if gone := l.audit(t); len(gone.lost)+len(gone.stale) > 0 {
		t.Errorf("lost: %v; stale: %v", gone.lost, gone.stale)
	}
}

// rotateEverywhere rotates a key at each key manager in turn, and sees its old secret refused by every data plane.
func rotateEverywhere(t *testing.T, at target, keymanagers, dataplanes []*replica) {
	t.Helper()
	at.data, at.management = dataplanes[0].url(), keymanagers[0].url()
	s := session{at}
	secret := s.key(t, s.keys("wanderer"), http.StatusCreated)
	for turn := range 20 {
		for _, data := range dataplanes { // all remember it
			at.data = data.url()
			session{at}.expect(t, http.StatusOK, http.MethodGet, at.me(), secret, "")
		}
		at.management = keymanagers[turn%len(keymanagers)].url()
		s = session{at}
		old := secret
		secret = s.key(t, s.keys("wanderer")+"/rotate", http.StatusOK)
		for i, data := range dataplanes {
			at.data = data.url()
			if status := (session{at}).status(t, http.MethodGet, at.me(), old, ""); status != http.StatusUnauthorized {
				t.Errorf("turn %d: data plane %d answers %d to a secret that was rotated away", turn, i, status)
			}
		}
	}
}

// session is what a user does on the first day.
type session struct{ target }

func (s session) play(t *testing.T, name string) {
	t.Helper()
	word := strings.ReplaceAll(name, "-", "") + "lighthouse"
	s.expect(t, http.StatusOK, http.MethodPost, s.facts(), s.target.key, `{"text":"the `+word+` opens at nine","infer":"none"}`)
	if found := s.expect(t, http.StatusOK, http.MethodPost, s.query(), s.target.key, `{"query":"`+word+`","mode":"bm25"}`); !strings.Contains(found, word) {
		t.Errorf("%s: what was written is not found", name)
	}
	minted := s.key(t, s.keys(name), http.StatusCreated)
	s.expect(t, http.StatusOK, http.MethodGet, s.me(), minted, "")
	rotated := s.key(t, s.keys(name)+"/rotate", http.StatusOK)
	s.expect(t, http.StatusUnauthorized, http.MethodGet, s.me(), minted, "")
	s.expect(t, http.StatusOK, http.MethodGet, s.me(), rotated, "")
	s.expect(t, http.StatusNoContent, http.MethodDelete, s.keys(name), s.operator, "")
	s.expect(t, http.StatusUnauthorized, http.MethodGet, s.me(), rotated, "")
}

// spl makes a service account and a token of it, and revokes that.
func (s session) spl(t *testing.T) {
	t.Helper()
	var first struct{ ID, Token string }
	decode(t, s.expect(t, http.StatusCreated, http.MethodPost, s.data+"/v1/bootstrap/service-account", "",
		`{"name":"admin","actors":["did:sync:user:admin"],"scopes":["admin"],"with_token":true}`), &first)
	tokens := s.data + "/v1/service-accounts/" + first.ID + "/tokens"
	var second struct {
		Token string
		ID    string `json:"token_id"`
	}
	decode(t, s.expect(t, http.StatusCreated, http.MethodPost, tokens, first.Token, `{"env_tag":"ci"}`), &second)
	s.expect(t, http.StatusOK, http.MethodGet, s.data+"/v1/identity", second.Token, "")
	s.expect(t, http.StatusOK, http.MethodDelete, tokens+"/"+second.ID, first.Token, "")
	s.expect(t, http.StatusUnauthorized, http.MethodGet, s.data+"/v1/identity", second.Token, "")
	s.expect(t, http.StatusOK, http.MethodGet, s.data+"/v1/identity", first.Token, "")
}

func decode(t *testing.T, body string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), out); err != nil {
		t.Fatal(err)
	}
}

// key sends a request as the operator and returns the secret in the answer.
func (s session) key(t *testing.T, url string, want int) string {
	t.Helper()
	secret := secretIn(s.expect(t, want, http.MethodPost, url, s.operator, ""))
	if secret == "" {
		t.Fatalf("%s: no key in the answer", url)
	}
	return secret
}

func (s session) status(t *testing.T, method, url, key, body string) int {
	t.Helper()
	status, _, err := s.load().exchange(t.Context(), method, url, key, body)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func (s session) expect(t *testing.T, want int, method, url, key, body string) string {
	t.Helper()
	status, answer, err := s.load().exchange(t.Context(), method, url, key, body)
	if err != nil {
		t.Fatal(err)
	}
	if status != want {
		if status < http.StatusMultipleChoices {
			answer = "" // it may hold a key
		}
		t.Fatalf("%s %s: got %d, want %d %s", method, url, status, want, answer)
	}
	return answer
}

// load lends its client.
func (s session) load() *load { return &load{target: s.target, client: http.DefaultClient} }
