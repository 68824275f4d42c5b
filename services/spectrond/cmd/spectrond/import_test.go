package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier"
)

// foreignKey is a key as other systems make them.
func foreignKey(i int) string { return fmt.Sprintf("sk_live_%040d", i) }

// hashes writes a file to import, of n keys.
func hashes(t *testing.T, n int) string {
	t.Helper()
	var text strings.Builder
	for i := range n {
		sum := sha256.Sum256([]byte(foreignKey(i)))
		fmt.Fprintf(&text, `{"name":"imported-%d","hash":"%s","scope_floor":{"org":"acme"}}`+"\n", i, hex.EncodeToString(sum[:]))
	}
	path := filepath.Join(t.TempDir(), "keys.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Keys of another system are imported in bulk, by a program that is killed and goes on; then they are accepted as they are, and revoked
// as others.
func TestImport(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		const keys = 2_000
		p := newPlace(t, database)
		v, err := verifier.New(verifier.Config{URL: "http://" + p.managementAt, ServiceSecret: []byte(testServiceSecret)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		native := p.must(t, http.MethodPost, "/native", "key")
		fromMemory(t, v, native)

		nobodyIsAsked(t, v, native)

		file, state := hashes(t, keys), filepath.Join(t.TempDir(), "state")
		env := []string{"SPECTRON_MANAGEMENT_URL=" + p.management.address, "SPECTRON_MANAGEMENT_API_KEY=" + p.managementKey}
		args := []string{"keys", "import", file, "--resume", state, "--batch", "100", "-o", "json"}
		must(t, env, append(args, "--dry-run")...)
		killed := exec.Command("spectrond", args...)
		killed.Env = environ(env...)
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		for _, err := os.Stat(state); err != nil; _, err = os.Stat(state) {
			time.Sleep(time.Millisecond) // polling for the file
		}
		if err := killed.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = killed.Wait() // it was killed
		out := must(t, env, args...)
		t.Logf("after the kill: %s", strings.Join(strings.Fields(out.stdout), " "))
		again := must(t, env, "keys", "import", file, "-o", "json")
		if !strings.Contains(again.stdout, fmt.Sprintf(`"exists": %d`, keys)) {
			t.Errorf("the same again: %s", again.stdout)
		}

		for _, i := range []int{0, 1, keys / 2, keys - 1} {
			fromMemory(t, v, foreignKey(i))
			expect(t, http.StatusOK, http.MethodGet, p.data.address+"/api/v1/default/me", foreignKey(i), "")
		}
		refused(t, p, v, foreignKey(keys))
		p.must(t, http.MethodDelete, "/imported-0", "")
		refused(t, p, v, foreignKey(0))
		fromMemory(t, v, foreignKey(1))
		rotated := p.must(t, http.MethodPost, "/imported-1/rotate", "key")
		refused(t, p, v, foreignKey(1))
		fromMemory(t, v, rotated)
		fromMemory(t, v, native)
		expect(t, http.StatusUnauthorized, http.MethodGet, p.keys, foreignKey(2), "") // it opens no management route

		conflict := filepath.Join(t.TempDir(), "conflict.csv")
		lines := "name,hash\nimported-2," + strings.Repeat("ab", 32) + "\nbroken,xyz\nnew," + strings.Repeat("cd", 32) + "\n"
		if err := os.WriteFile(conflict, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		bad := spectrond(t, env, "keys", "import", conflict, "-o", "json")
		if bad.status != 1 || !strings.Contains(bad.stderr, "line 2: imported-2: conflict") || !strings.Contains(bad.stderr, "line 3: hash") ||
			!strings.Contains(bad.stdout, `"created": 1`) {
			t.Errorf("exit status %d: %s%s", bad.status, bad.stdout, bad.stderr)
		}
		for _, s := range []*server{p.management, p.data} {
			if log, _ := s.log.read(); strings.Contains(log, "sk_live_") {
				t.Error("a log holds the text of a foreign key")
			}
		}
	})
}

// nobodyIsAsked shows v a foreign text while nothing has been imported: what is no key of ours is refused then, and nobody is asked. That
// takes a lease, which a busy machine may lose in the middle of it; native is a key by which v tells that it has one.
func nobodyIsAsked(t *testing.T, v *verifier.Verifier, native string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		fromMemory(t, v, native)
		before := v.Stats()
		if _, err := v.Verify(t.Context(), foreignKey(1)); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a foreign text before any import: %v", err)
		}
		after := v.Stats()
		if after.Questions == before.Questions {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the authority is asked about foreign texts before any import")
		}
	}
}

// fromMemory waits until v answers for a good key from memory.
func fromMemory(t *testing.T, v *verifier.Verifier, key string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		verdict, err := v.Check(t.Context(), key)
		if err == nil && verdict.Source == verifier.FromCache {
			return
		}
		if errors.Is(err, fault.Unauthenticated) || time.Now().After(deadline) {
			t.Fatalf("a good key: %v, from %q", err, verdict.Source)
		}
	}
}

// refused sees that a key opens nothing, at once.
func refused(t *testing.T, p *place, v *verifier.Verifier, key string) {
	t.Helper()
	if _, err := v.Verify(t.Context(), key); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that opens nothing: %v", err)
	}
	expect(t, http.StatusUnauthorized, http.MethodGet, p.data.address+"/api/v1/default/me", key, "")
}
