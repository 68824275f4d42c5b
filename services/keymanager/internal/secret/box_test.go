package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

func TestBoxes(t *testing.T) {
	t.Parallel()
	before, during, after := ring(t, pepperA), ring(t, "2:"+pepperB+",1:"+pepperA), ring(t, "2:"+pepperB)
	const text = "whsec_something"
	old, err := before.Lock(text, "a")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := during.Lock(text, "a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := during.Lock(text, "a")
	if err != nil || bytes.Equal(fresh.Sealed, again.Sealed) {
		t.Errorf("the same text is sealed alike twice: %v", err)
	}
	bent := secret.Box{Pepper: fresh.Pepper, Sealed: bytes.Clone(fresh.Sealed)}
	bent.Sealed[len(bent.Sealed)-1] ^= 1
	for _, test := range []struct {
		name  string
		ring  *secret.Keyring
		box   secret.Box
		label string
		opens bool
	}{
		{"its pepper", before, old, "a", true},
		{"an old pepper that is kept", during, old, "a", true},
		{"the new pepper", after, fresh, "a", true},
		{"the pepper is gone", after, old, "a", false},
		{"the pepper is not there yet", before, fresh, "a", false},
		{"another label", during, fresh, "b", false},
		{"bent", during, bent, "a", false},
		{"another pepper of that version", ring(t, "2:"+pepperA), fresh, "a", false},
		{"nothing", during, secret.Box{Pepper: 2}, "a", false},
	} {
		got, err := test.ring.Unlock(test.box, test.label)
		if test.opens && (err != nil || got != text) || !test.opens && (!errors.Is(err, secret.ErrBox) || got != "") {
			t.Errorf("%s: opens %v, %v", test.name, got == text, err)
		}
	}
	if bytes.Contains(fresh.Sealed, []byte("something")) || !strings.Contains(fmt.Sprintf("%v %+v %s %x", fresh, fresh, fresh, fresh), "REDACTED REDACTED REDACTED REDACTED") {
		t.Error("a box shows what is in it")
	}
	if during.Current() != 2 || fresh.Pepper != 2 {
		t.Errorf("sealed under %d, current %d", fresh.Pepper, during.Current())
	}
}
