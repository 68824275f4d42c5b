package main_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
	"github.com/spectron-hq/spectron/services/verifier"
)

const (
	oldPepper = "1:the first pepper of this drill which is long"
	newPepper = "2:the second pepper of this drill longer still"
)

// pair is two key managers on one database, behind one address.
type pair struct {
	database string
	at       [2]string
	running  [2]*server
	link     string
}

func (p *pair) env(peppers string, i int) []string {
	return []string{
		"SPECTRON_CONNECTION_STRING=" + p.database, "SPECTRON_PEPPER=" + peppers, "SPECTRON_SERVICE_SECRET=" + testServiceSecret,
		"SPECTRON_BIND_ADDRESS=" + p.at[i], "SPECTRON_LEASE_TTL=500ms",
	}
}

// roll restarts both with other peppers, one after the other.
func (p *pair) roll(t *testing.T, peppers string) {
	t.Helper()
	for i := range p.at {
		if p.running[i] != nil {
			if err := p.running[i].stop(); err != nil {
				t.Error(err)
			}
		}
		p.running[i] = start(t, p.env(peppers, i), "management", "start")
	}
}

// The pepper is replaced under two key managers while keys are used all the time, by verifiers that remember nothing: none is refused.
func TestPepperDrill(t *testing.T) {
	t.Parallel()
	p := &pair{database: dbtest.Postgres(t), at: [2]string{freeAddress(t), freeAddress(t)}}
	must(t, []string{"SPECTRON_CONNECTION_STRING=" + p.database}, "migrate")
	p.roll(t, oldPepper)
	proxy, err := faultproxy.Listen(t.Context(), p.at[0], p.at[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() }) // the test is over
	p.link = "http://" + proxy.Address()
	first := readEnv(must(t, []string{"SPECTRON_MANAGEMENT_URL=" + p.link, "SPECTRON_SERVICE_SECRET=" + testServiceSecret}, "bootstrap").stdout)
	managed := &place{keys: p.link + "/api/v1/contexts/default/keys", managementKey: first["SPECTRON_MANAGEMENT_API_KEY"]}
	keys := []string{first["SPECTRON_API_KEY"]}
	for _, name := range []string{"/one", "/two", "/three"} {
		keys = append(keys, managed.must(t, http.MethodPost, name, "key"))
	}
	idle := managed.must(t, http.MethodPost, "/idle", "key")

	using, end := context.WithCancel(t.Context())
	defer end()
	var users sync.WaitGroup
	var asked, refused atomic.Int64
	users.Go(func() { p.use(using, keys, &asked, &refused) })
	for _, peppers := range []string{oldPepper + "," + newPepper, newPepper + "," + oldPepper} {
		p.roll(t, peppers)
	}
	minted := managed.must(t, http.MethodPost, "/minted", "key")
	status := func() outcome {
		return spectrond(t, []string{"SPECTRON_CONNECTION_STRING=" + p.database}, "pepper", "status", "--without", "1", "-o", "json")
	}
	for deadline := time.Now().Add(patience); !strings.Contains(status().stderr, "the pepper of version 1 is needed by 1 key"); {
		if _, err := managed.do(t.Context(), http.MethodGet, "?limit=1", ""); err == nil && time.Now().After(deadline) {
			t.Fatalf("keys in use are not sealed anew: %s", status().stdout)
		}
	}
	// Too early: one key that nobody uses needs the old one.
	out := spectrond(t, p.env(newPepper, 0)[:3], "management", "start", "--bind-address", "127.0.0.1:0")
	if out.status != 1 || !strings.Contains(out.stderr, "1 keys are sealed under version 1") {
		t.Errorf("starting without a pepper that is needed: exit status %d: %s", out.status, out.stderr)
	}
	p.verify(t, idle, nil) // it is used, and so sealed anew
	for deadline := time.Now().Add(patience); status().status != 0; {
		if time.Now().After(deadline) {
			t.Fatalf("the last key is not sealed anew: %s", status().stdout)
		}
	}
	p.roll(t, newPepper)
	for _, key := range append(keys, idle, minted) {
		p.verify(t, key, nil)
	}
	end()
	users.Wait()
	t.Logf("%d questions, %d good keys refused", asked.Load(), refused.Load())
	if refused.Load() > 0 || asked.Load() == 0 {
		t.Errorf("%d of %d questions about good keys were answered with a refusal", refused.Load(), asked.Load())
	}

	// Given up, a pepper takes its keys with it.
	p.roll(t, "3:the third pepper of this drill which is long,"+newPepper)
	env := append(p.env("3:the third pepper of this drill which is long", 0), "SPECTRON_RETIRED_PEPPERS=2", "SPECTRON_BIND_ADDRESS="+freeAddress(t))
	p.link = start(t, env, "management", "start").address
	p.verify(t, minted, fault.Unauthenticated)
}

// use asks about every key, each time by a verifier that remembers nothing.
func (p *pair) use(ctx context.Context, keys []string, asked, refused *atomic.Int64) {
	for ctx.Err() == nil {
		v, err := verifier.New(verifier.Config{URL: p.link, ServiceSecret: []byte(testServiceSecret)})
		if err != nil {
			refused.Add(1)
			return
		}
		for _, key := range keys {
			asked.Add(1)
			if _, err := v.Verify(ctx, key); errors.Is(err, fault.Unauthenticated) {
				refused.Add(1)
			}
		}
		v.Close()
	}
}

// verify asks about a key until there is an answer, which must be want.
func (p *pair) verify(t *testing.T, key string, want error) {
	t.Helper()
	v, err := verifier.New(verifier.Config{URL: p.link, ServiceSecret: []byte(testServiceSecret)})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for deadline := time.Now().Add(patience); ; {
		_, err = v.Verify(t.Context(), key)
		if !errors.Is(err, fault.AuthorityUnavailable) || time.Now().After(deadline) {
			break
		}
	}
	if !errors.Is(err, want) {
		t.Errorf("verifying: %v, want %v", err, want)
	}
}
