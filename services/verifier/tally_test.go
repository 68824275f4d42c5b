package verifier_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier"
)

func TestUsesAreCounted(t *testing.T) {
	t.Parallel()
	bubble(t, "hits and questions, soon", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{Reread: 24 * time.Hour})
		settle()
		key, other := r.mint(t), r.mint(t)
		for range 700 { // a question, then hits
			check(t, v, key)
		}
		check(t, v, other)
		time.Sleep(2 * time.Minute)
		if got, once := r.counted(key.ID()), r.counted(other.ID()); got != 700 || once != 1 {
			t.Errorf("%d of 700 uses were counted, and %d of one", got, once)
		}
	})
	bubble(t, "across revisions, readings and growth", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{Reread: time.Minute})
		settle()
		key := r.mint(t)
		for range 300 {
			check(t, v, key)
			check(t, v, r.mint(t)) // so that tables grow
			time.Sleep(time.Second)
		}
		r.revoke(key)
		settle()
		v.Close()
		if got := r.counted(key.ID()); got != 300 {
			t.Errorf("%d of 300 uses were counted", got)
		}
	})
	bubble(t, "the rest at the end", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		for range 10 {
			check(t, v, key)
		}
		v.Close()
		if got := r.counted(key.ID()); got != 10 {
			t.Errorf("%d of 10 uses were counted", got)
		}
	})
	bubble(t, "while the authority is away nothing is lost", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		for range 10 { // one question, then hits
			check(t, v, key)
		}
		time.Sleep(2 * time.Minute)
		for range 5 {
			check(t, v, key)
		}
		r.set(func() { r.refuse = true })
		time.Sleep(5 * time.Minute)
		r.set(func() { r.refuse = false })
		time.Sleep(2 * time.Minute)
		if got := r.counted(key.ID()); got != 15 {
			t.Errorf("%d of 15 uses were counted", got)
		}
	})
}

func TestALookAgainIsNoUse(t *testing.T) {
	t.Parallel()
	bubble(t, "of a key that is remembered, and of one that is asked about", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		again := func() error {
			_, err := v.Recheck(t.Context(), key.Reveal(), "")
			return err
		}
		if err := again(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			check(t, v, key)
			if err := again(); err != nil {
				t.Fatal(err)
			}
		}
		r.revoke(key)
		settle()
		if err := again(); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a revoked key: %v", err)
		}
		v.Close()
		if got := r.counted(key.ID()); got != 10 {
			t.Errorf("%d of 10 uses were counted", got)
		}
	})
}
