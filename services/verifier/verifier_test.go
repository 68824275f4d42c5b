package verifier_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

func TestVerifyTellsGoodFromBad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		key := r.mint(t)
		got, err := v.Verify(t.Context(), key.Reveal())
		if err != nil || got.Context != "acme" || got.KeyID != key.ID() || got.Effective == nil {
			t.Fatalf("a good key: %+v, %v", got, err)
		}
		r.revoke(key)
		settle()
		if _, err := v.Verify(t.Context(), key.Reveal()); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a revoked key: %v", err)
		}
	})
}

func TestMalformedKeysAreRefusedWithoutAsking(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	good := r.mint(t).Reveal()
	for _, text := range []string{"", "secret", good[:54], good + "x", "sp-aaaaaaaaaaaaaaaa-00000000000000000000000000000000000"} {
		if _, err := v.Verify(t.Context(), text); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("got %v", err)
		}
	}
	if asked := r.asked(); len(asked) != 0 {
		t.Errorf("the authority was asked %d times", len(asked))
	}
}

func TestArrivalsGatherWhileTwoQuestionsAreOnTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		v := open(t, r, verifier.Config{})
		var pending []<-chan result
		for range 2 {
			pending = append(pending, verify(v, r.mint(t)))
			synctest.Wait()
		}
		shared := r.mint(t)
		for range 10 {
			pending = append(pending, verify(v, r.mint(t)), verify(v, shared))
		}
		synctest.Wait()
		close(r.gate)
		for _, p := range pending {
			if got := <-p; got.err != nil {
				t.Error(got.err)
			}
		}
		if got, want := r.asked(), []int{1, 1, 11}; !slices.Equal(got, want) {
			t.Errorf("questions of %v keys, want %v", got, want)
		}
	})
}

// The rule that a request never joins a question on the wire: its snapshot may be older than the request.
func TestARequestNeverJoinsAQuestionOnTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		v := open(t, r, verifier.Config{})
		key := r.mint(t)
		before := []<-chan result{verify(v, key)}
		synctest.Wait() // the first question is on the wire, its snapshot taken
		before = append(before, verify(v, r.mint(t)))
		synctest.Wait() // and the second: what arrives now waits
		r.revoke(key)
		after := verify(v, key)
		synctest.Wait()
		close(r.gate)
		if got := <-after; !errors.Is(got.err, fault.Unauthenticated) {
			t.Errorf("a request after the revocation got %v", got.err)
		}
		for _, b := range before {
			if got := <-b; got.err != nil {
				t.Errorf("a request before the revocation got %v", got.err)
			}
		}
	})
}

func TestLargeQuestionsAreSplit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		v := open(t, r, verifier.Config{})
		var pending []<-chan result
		for i := range 2 + introspection.MaxDigests + 1 {
			pending = append(pending, verify(v, r.mint(t)))
			if i < 2 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		close(r.gate)
		for _, p := range pending {
			if got := <-p; got.err != nil {
				t.Fatal(got.err)
			}
		}
		got := r.asked()
		slices.Sort(got)
		if want := []int{1, 1, 1, introspection.MaxDigests}; !slices.Equal(got, want) {
			t.Errorf("questions of %v keys, want %v", got, want)
		}
	})
}

func TestItFailsClosed(t *testing.T) {
	t.Parallel()
	t.Run("authority down, then back", func(t *testing.T) {
		t.Parallel()
		r := newRegistry()
		r.err = fault.New(fault.AuthorityUnavailable, "down")
		v := open(t, r, verifier.Config{})
		key := r.mint(t).Reveal()
		if _, err := v.Verify(t.Context(), key); !errors.Is(err, fault.AuthorityUnavailable) {
			t.Errorf("down: %v", err)
		}
		r.mu.Lock()
		r.err = nil
		r.mu.Unlock()
		if _, err := v.Verify(t.Context(), key); err != nil {
			t.Errorf("back: %v", err)
		}
	})
	t.Run("authority refuses us", func(t *testing.T) {
		t.Parallel()
		r := newRegistry()
		r.err = errors.New("another service secret")
		v := open(t, r, verifier.Config{})
		if _, err := v.Verify(t.Context(), r.mint(t).Reveal()); !errors.Is(err, fault.AuthorityUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("authority silent", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry()
			r.gate = make(chan struct{})
			v := open(t, r, verifier.Config{})
			start := time.Now()
			_, err := v.Verify(t.Context(), r.mint(t).Reveal())
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.AuthorityUnavailable || e.RetryAfter <= 0 {
				t.Errorf("got %v", err)
			}
			if waited := time.Since(start); waited != 5*time.Second {
				t.Errorf("waited %v", waited)
			}
		})
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry()
			r.gate = make(chan struct{})
			v := open(t, r, verifier.Config{})
			under := verify(v, r.mint(t))
			synctest.Wait()
			v.Close()
			if got := <-under; !errors.Is(got.err, fault.AuthorityUnavailable) {
				t.Errorf("under way: %v", got.err)
			}
			if _, err := v.Verify(t.Context(), r.mint(t).Reveal()); !errors.Is(err, fault.AuthorityUnavailable) {
				t.Errorf("afterwards: %v", err)
			}
		})
	})
	t.Run("caller gone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry()
			r.gate = make(chan struct{})
			v := open(t, r, verifier.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if _, err := v.Verify(ctx, r.mint(t).Reveal()); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("flood", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry()
			r.gate = make(chan struct{})
			v := open(t, r, verifier.Config{})
			capacity := 2 + 64*introspection.MaxDigests
			for i := range capacity {
				verify(v, r.mint(t))
				if i < 2 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			if _, err := v.Verify(t.Context(), r.mint(t).Reveal()); !errors.Is(err, fault.AuthorityUnavailable) {
				t.Errorf("beyond the capacity: %v", err)
			}
		})
	})
}
