package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier"
)

// place is a deployment of two processes on one database of either engine, which can be moved to another.
type place struct {
	database            string
	management, data    *server
	managementAt        string
	first               map[string]string
	managementKey, keys string
	settings            []string // beside those that every place has
}

func newPlace(t *testing.T, database string, settings ...string) *place {
	t.Helper()
	p := &place{database: database, managementAt: freeAddress(t), settings: settings}
	must(t, []string{"SPECTRON_CONNECTION_STRING=" + database}, "migrate")
	p.start(t)
	boot := must(t, []string{"SPECTRON_MANAGEMENT_URL=" + p.management.address, "SPECTRON_SERVICE_SECRET=" + testServiceSecret}, "bootstrap")
	p.first = readEnv(boot.stdout)
	p.managementKey = p.first["SPECTRON_MANAGEMENT_API_KEY"]
	return p
}

func (p *place) env() []string {
	return append([]string{
		"SPECTRON_CONNECTION_STRING=" + p.database, "SPECTRON_PEPPER=" + testPepper, "SPECTRON_SERVICE_SECRET=" + testServiceSecret,
		"SPECTRON_MANAGEMENT_URL=http://" + p.managementAt, "SPECTRON_LEASE_TTL=500ms",
	}, p.settings...)
}

func (p *place) start(t *testing.T) {
	t.Helper()
	p.startManagement(t)
	p.data = start(t, append(p.env(), "SPECTRON_BIND_ADDRESS=127.0.0.1:0"), "api", "start")
}

func (p *place) startManagement(t *testing.T) {
	t.Helper()
	p.management = start(t, append(p.env(), "SPECTRON_BIND_ADDRESS="+p.managementAt), "management", "start")
	p.keys = p.management.address + "/api/v1/contexts/default/keys"
}

func (p *place) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.data.stop(), p.management.stop()); err != nil {
		t.Error(err)
	}
}

// do asks the management API, and returns the field of the answer.
func (p *place) do(ctx context.Context, method, path, field string) (string, error) {
	got, err := call(ctx, method, p.keys+path, p.managementKey, "")
	if err != nil || got.status >= http.StatusMultipleChoices {
		return "", errors.Join(err, fmt.Errorf("%s %s: %d", method, path, got.status))
	}
	var body map[string]any
	if field == "" {
		return "", nil
	}
	err = json.Unmarshal([]byte(got.body), &body)
	text, _ := body[field].(string)
	return text, err
}

func (p *place) must(t *testing.T, method, path, field string) string {
	t.Helper()
	text, err := p.do(t.Context(), method, path, field)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// churn mints, rotates, deletes and remembers until ctx ends, and returns how many rounds that were.
func (p *place) churn(ctx context.Context, t *testing.T, who int) (rounds int) {
	t.Helper()
	for ; ctx.Err() == nil; rounds++ {
		name := fmt.Sprintf("/churn-%d-%d", who, rounds)
		key, err := p.do(context.WithoutCancel(ctx), http.MethodPost, name, "key")
		if err == nil {
			_, err = call(context.WithoutCancel(ctx), http.MethodPost, p.data.address+"/api/v1/default/facts", key, `{"text":"something is written meanwhile","infer":"none"}`)
		}
		if err == nil {
			_, err = p.do(context.WithoutCancel(ctx), http.MethodPost, name+"/rotate", "")
		}
		if err == nil && rounds%2 == 0 {
			_, err = p.do(context.WithoutCancel(ctx), http.MethodDelete, name, "")
		}
		if err != nil {
			t.Errorf("under load: %v", err)
			return rounds
		}
	}
	return rounds
}

// known is what must be as it was.
type known struct {
	live, dead []string
	facts      []string
}

func (p *place) know(t *testing.T) (k known) {
	t.Helper()
	for i := range 12 {
		name := fmt.Sprintf("/key-%d", i)
		key := p.must(t, http.MethodPost, name, "key")
		switch i % 3 {
		case 0:
			k.live = append(k.live, key)
		case 1:
			k.live, k.dead = append(k.live, p.must(t, http.MethodPost, name+"/rotate", "key")), append(k.dead, key)
		default:
			p.must(t, http.MethodDelete, name, "")
			k.dead = append(k.dead, key)
		}
	}
	for i := range 10 {
		text := fmt.Sprintf("Lighthouse number %d is painted in colour %d.", i, i*7)
		body, _ := json.Marshal(map[string]string{"text": text, "infer": "none"}) // a text can always be encoded
		expect(t, http.StatusOK, http.MethodPost, p.data.address+"/api/v1/default/facts", p.first["SPECTRON_API_KEY"], string(body))
		k.facts = append(k.facts, text)
	}
	return k
}

func (p *place) check(t *testing.T, k known) {
	t.Helper()
	for i, key := range k.live {
		if got := expect(t, http.StatusOK, http.MethodGet, p.data.address+"/api/v1/default/me", key, ""); got.status != http.StatusOK {
			t.Errorf("live key %d opens nothing", i)
		}
	}
	for _, key := range k.dead {
		expect(t, http.StatusUnauthorized, http.MethodGet, p.data.address+"/api/v1/default/me", key, "")
	}
	for i, text := range k.facts {
		query := fmt.Sprintf(`{"query":"lighthouse number %d painted","mode":"bm25","k":20}`, i)
		got := expect(t, http.StatusOK, http.MethodPost, p.data.address+"/api/v1/default/query", p.first["SPECTRON_API_KEY"], query)
		if !strings.Contains(got.body, text) {
			t.Errorf("fact %d is not found", i)
		}
	}
}

// A backup is taken while everything changes, and restored elsewhere, on both engines: what had been acknowledged before it began holds,
// and a verifier that is attached to what is restored remembers nothing of what came after.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	for engine, fresh := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			drill(t, newPlace(t, fresh(t)), fresh)
		})
	}
}

func drill(t *testing.T, p *place, fresh func(testing.TB) string) { //nolint:thelper // it is the test of both engines
	before := p.know(t)
	archive := p.backUpUnderLoad(t)
	attached, err := verifier.New(verifier.Config{URL: "http://" + p.managementAt, ServiceSecret: []byte(testServiceSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(attached.Close)
	after := p.must(t, http.MethodPost, "/after", "key")
	rotated := p.must(t, http.MethodPost, "/key-0/rotate", "key")
	for _, key := range []string{after, rotated} {
		verifies(t, attached, key, true)
		verifies(t, attached, key, true) // from memory
	}
	gone := p.idOf(t, "key-3")
	p.must(t, http.MethodDelete, "/key-3", "")
	p.stop(t)

	p.database = fresh(t)
	target := []string{"SPECTRON_CONNECTION_STRING=" + p.database}
	for name, broken := range damage(t, archive) {
		if out := spectrond(t, target, "restore", "--input", broken); out.status != 1 || !strings.Contains(out.stderr, "damaged") {
			t.Errorf("a backup that is %s: exit status %d: %s", name, out.status, out.stderr)
		}
	}
	// No --force: nothing has been put there.
	out := must(t, target, "restore", "--input", archive, "-o", "json")
	if !strings.Contains(out.stderr, "live again") || !strings.Contains(out.stderr, "pepper of version 1") {
		t.Errorf("restoring does not tell what to mind: %s", out.stderr)
	}
	p.start(t)
	p.check(t, before)
	for _, key := range []string{after, rotated} {
		verifies(t, attached, key, false)
	}
	verifies(t, attached, before.live[0], true)
	// The promise holds in the new deployment: a change waits for whoever had a lease of the old one.
	verifies(t, attached, before.live[1], true)
	p.must(t, http.MethodPost, "/key-1/rotate", "key")
	if _, err := attached.Verify(t.Context(), before.live[1]); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("after a rotation in the restored deployment the old secret: %v", err)
	}
	p.stop(t)

	if out := spectrond(t, target, "restore", "--input", archive); out.status != 1 || !strings.Contains(out.stderr, "not empty") {
		t.Errorf("restoring over it: exit status %d: %s", out.status, out.stderr)
	}
	list := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(list, []byte("# since\n"+gone+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out = must(t, target, "restore", "--input", archive, "--force", "--revoked", list)
	if !strings.Contains(out.stderr, "_before_") {
		t.Errorf("restoring does not tell what it kept: %s", out.stderr)
	}
	p.start(t)
	before.dead, before.live = append(before.dead, before.live[2]), append(before.live[:2:2], before.live[3:]...)
	p.check(t, before)
}

// backUpUnderLoad takes a backup while two clients change all they can.
func (p *place) backUpUnderLoad(t *testing.T) (archive string) {
	t.Helper()
	archive = filepath.Join(t.TempDir(), "archive")
	load, end := context.WithCancel(t.Context())
	defer end()
	var churning sync.WaitGroup
	rounds := make([]int, 2)
	for i := range rounds {
		churning.Go(func() { rounds[i] = p.churn(load, t, i) })
	}
	begin := time.Now()
	must(t, []string{"SPECTRON_CONNECTION_STRING=" + p.database}, "backup", "--output", archive)
	took := time.Since(begin)
	end()
	churning.Wait()
	t.Logf("the backup took %s, with %v rounds of changes", took.Round(time.Millisecond), rounds)
	info, err := os.Stat(archive)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup is not there for its owner alone: %v", err)
	}
	must(t, nil, "backup", "verify", archive)
	return archive
}

// idOf returns the id of a key.
func (p *place) idOf(t *testing.T, name string) string {
	t.Helper()
	got := expect(t, http.StatusOK, http.MethodGet, p.keys+"?limit=1000", p.managementKey, "")
	var keys []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(got.body), &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if key.Name == name {
			return key.ID
		}
	}
	t.Fatalf("there is no key %s", name)
	return ""
}

// damage returns copies of an archive that are not what was written.
func damage(t *testing.T, archive string) map[string]string {
	t.Helper()
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		broken := slices.Clone(whole)
		broken[at] ^= 0x10
		return broken
	}
	out := map[string]string{}
	for name, content := range map[string][]byte{
		"cut in half":        whole[:len(whole)/2],
		"a byte short":       whole[:len(whole)-1],
		"flipped in a part":  flipped(len(whole) / 2),
		"flipped at its end": flipped(len(whole) - 6),
		"longer":             append(slices.Clone(whole), "more"...),
		"empty":              nil,
	} {
		out[name] = filepath.Join(t.TempDir(), "broken")
		if err := os.WriteFile(out[name], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// A restoration that is killed leaves nothing that is served, and can be begun anew: before the schemas are there, and when all of them
// are but for the last change.
func TestRestoreIsKilled(t *testing.T) {
	t.Parallel()
	p := newPlace(t, dbtest.Postgres(t))
	before := p.know(t)
	archive := filepath.Join(t.TempDir(), "archive")
	env := func() []string { return []string{"SPECTRON_CONNECTION_STRING=" + p.database} }
	must(t, env(), "backup", "--output", archive)
	p.stop(t)
	for name, script := range map[string]string{ //nolint:paralleltest // each restores into the same database
		"before anything is there": "touch \"$0.reached\"; exec sleep 600",
		"before the last change":   "pg_restore \"$@\" || exit 1; touch \"$0.reached\"; exec sleep 600",
	} {
		t.Run(name, func(t *testing.T) {
			tool := filepath.Join(t.TempDir(), "pg_restore")
			text := "#!/bin/sh\n[ \"$1\" = --version ] && exec pg_restore --version\n" + script + "\n"
			if err := os.WriteFile(tool, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("spectrond", "restore", "--input", archive, "--force", "--pg-restore", tool)
			cmd.Env, cmd.Dir, cmd.SysProcAttr = environ(env()...), t.TempDir(), &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for _, err := os.Stat(tool + ".reached"); err != nil; _, err = os.Stat(tool + ".reached") {
				time.Sleep(10 * time.Millisecond) // polling for the file
			}
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			for _, role := range []string{"management", "api"} {
				env := append(p.env(), "SPECTRON_BIND_ADDRESS=127.0.0.1:0")
				if out := spectrond(t, env, role, "start"); out.status != 1 || !strings.Contains(out.stderr, "spectrond restore") {
					t.Errorf("%s serves what is half restored: %s", role, out.stderr)
				}
			}
			must(t, env(), "restore", "--input", archive)
			p.start(t)
			p.check(t, before)
			p.stop(t)
		})
	}
}

// verifies waits until v says of key what it should.
func verifies(t *testing.T, v *verifier.Verifier, key string, want bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, err := v.Verify(t.Context(), key)
		if want && err == nil || !want && errors.Is(err, fault.Unauthenticated) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("verifying, where %t is expected: %v", want, err)
		}
		time.Sleep(10 * time.Millisecond) // between attempts, not for anything to have happened
	}
}
