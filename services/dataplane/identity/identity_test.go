package identity_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mr-tron/base58"

	"github.com/spectron-hq/spectron/services/dataplane/identity"
)

func open(tb testing.TB, name string) *identity.Identity {
	tb.Helper()
	i, err := identity.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

// keep writes a private key, of which a seed is known, as other programs do.
func keep(t *testing.T, key any, mode os.FileMode) (name string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(t.TempDir(), "id.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestKnownKey is the first key pair of RFC 8032 (7.1), signing nothing, and its did:key by the method's rules.
func TestKnownKey(t *testing.T) {
	t.Parallel()
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	public, _ := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	signature, _ := hex.DecodeString("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
	i := open(t, keep(t, ed25519.NewKeyFromSeed(seed), 0o600))
	if want := "did:key:z" + base58.Encode(append([]byte{0xed, 0x01}, public...)); i.DID() != want || !strings.HasPrefix(want, "did:key:z6Mk") {
		t.Errorf("is %s, want %s", i.DID(), want)
	}
	want := base64.StdEncoding.EncodeToString(signature)
	if got := i.Sign(""); got != want {
		t.Errorf("signs %s, want %s", got, want)
	}
	if err := identity.Verify(i.DID(), "", want); err != nil {
		t.Error(err)
	}
}

// TestPublishedDID is an example of the did:key method's own specification.
func TestPublishedDID(t *testing.T) {
	t.Parallel()
	if did := "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"; !identity.IsDID(did) {
		t.Errorf("%s is refused", did)
	}
}

func TestTheKeyStaysTheSame(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "keys", "identity.pem")
	first := open(t, name)
	again := open(t, name)
	if first.DID() != again.DID() || first.Fingerprint() != again.Fingerprint() || first.Path() != name {
		t.Errorf("was %v, is %v", first, again)
	}
	for path, want := range map[string]os.FileMode{name: 0o600, filepath.Dir(name): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %#o, want %#o", path, got, want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestOfManyAtOnceAllHaveOneKey(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "identity.pem")
	dids := make([]string, 16)
	var group sync.WaitGroup
	for n := range dids {
		group.Go(func() {
			if i, err := identity.Open(name); err == nil {
				dids[n] = i.DID()
			}
		})
	}
	group.Wait()
	for _, did := range dids {
		if did == "" || did != dids[0] {
			t.Fatalf("not one key: %q", dids)
		}
	}
}

func TestWhatIsNotOpened(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]string{
		"insecure permissions": keep(t, key, 0o640),
		"PEM":                  junk,
		"is not a file":        t.TempDir(),
	} {
		if _, err := identity.Open(name); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if content, err := os.ReadFile(junk); err != nil || string(content) != "no key" {
		t.Errorf("the file was changed: %q, %v", content, err)
	}
}

func TestSignaturesThatAreRefused(t *testing.T) {
	t.Parallel()
	us, them := open(t, filepath.Join(t.TempDir(), "a")), open(t, filepath.Join(t.TempDir(), "b"))
	const text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sig := us.Sign(text)
	if err := identity.Verify(us.DID(), text, sig); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string][3]string{
		"of another":       {them.DID(), text, sig},
		"over other text":  {us.DID(), text[1:], sig},
		"cut":              {us.DID(), text, sig[:len(sig)-4]},
		"not base64":       {us.DID(), text, "*" + sig[1:]},
		"with a line feed": {us.DID(), text, sig + "\n"},
		"none":             {us.DID(), text, ""},
		"of no did:key":    {"did:sync:user:alice", text, sig},
		"of an empty did":  {"", text, sig},
		"of a longer did":  {us.DID() + strings.Repeat("1", 1000), text, sig},
		"of leading zeros": {strings.Replace(us.DID(), ":z", ":z1", 1), text, sig},
	} {
		if err := identity.Verify(refused[0], refused[1], refused[2]); err == nil {
			t.Errorf("a signature %s is taken", name)
		}
	}
	if err := identity.Verify(them.DID(), text, sig); !errors.Is(err, identity.ErrSignature) {
		t.Errorf("got %v", err)
	}
}

func TestTheKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	i := open(t, filepath.Join(t.TempDir(), "id"))
	for _, text := range []string{fmt.Sprint(i), fmt.Sprintf("%+v %#v %s", i, i, i), i.LogValue().String()} {
		if strings.Trim(strings.ReplaceAll(text, i.DID(), ""), " ") != "" {
			t.Error("more than the did is printed")
		}
	}
}

func FuzzVerify(f *testing.F) {
	i := open(f, filepath.Join(f.TempDir(), "id"))
	f.Add(i.DID(), i.Sign("x"))
	f.Add("did:key:z", "")
	f.Fuzz(func(t *testing.T, did, sig string) {
		if err := identity.Verify(did, "x", sig); err == nil && did == i.DID() && sig != i.Sign("x") {
			t.Errorf("%q is taken", sig)
		}
		if identity.IsDID(did) && !strings.HasPrefix(did, "did:key:z6Mk") {
			t.Errorf("%q is taken for the did of an Ed25519 key", did)
		}
	})
}
