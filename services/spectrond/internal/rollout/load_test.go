package rollout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	workers = 8
	// pace is the rest that a worker takes between two requests.
	pace = 10 * time.Millisecond
	// verifyPatience and changePatience are how long clients wait: a change may wait for a lease.
	verifyPatience = 5 * time.Second
	changePatience = 15 * time.Second
	// keysEach is how many live keys a worker has at the most, and deadKept how many dead secrets are asked about at random.
	keysEach = 5
	deadKept = 200
)

// target is a deployment as its clients know it.
type target struct {
	data, management, context string
	key, operator             string
}

// load is what clients do to a deployment all the while: verify good and dead keys, mint, rotate, revoke, and write to memory. What
// was answered is held against what was done.
type load struct {
	target
	client *http.Client
	ledger ledger

	mu    sync.Mutex // guards seen
	seen  []sighting
	begun time.Time
}

// sighting is one request as its client saw it.
type sighting struct {
	at, took time.Duration // since the load began
	what     string
	status   int // 0 when there was no answer
	good     bool
	detail   string
}

func newLoad(t target) *load {
	return &load{target: t, begun: time.Now(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * workers}}}
}

// start begins; what it returns ends it and returns when the last answer is there.
func (l *load) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for i := range workers {
		w := &worker{load: l, name: fmt.Sprintf("w%d-%08x", i, rand.Uint32())}
		running.Go(func() { w.run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
		l.client.CloseIdleConnections()
	}
}

// take returns what was seen since the last time.
func (l *load) take() []sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// send sends one request and waits for its answer whatever becomes of the load. It takes the answer down as good when its status is want.
func (l *load) send(what, method, url, key, body string, want int) (status int, answer string) {
	patience := verifyPatience
	if strings.HasPrefix(url, l.management) && method != http.MethodGet {
		patience = changePatience
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := sighting{at: time.Since(l.begun), what: what}
	status, answer, err := l.exchange(ctx, method, url, key, body)
	s.took = time.Since(l.begun) - s.at
	s.status, s.good = status, err == nil && status == want
	switch {
	case err != nil:
		s.status, s.detail = 0, err.Error()
	case !s.good && status != http.StatusOK && status != http.StatusCreated: // those hold keys
		s.detail = answer
	}
	l.mu.Lock()
	l.seen = append(l.seen, s)
	l.mu.Unlock()
	return s.status, answer
}

func (l *load) exchange(ctx context.Context, method, url, key, body string) (status int, answer string, err error) {
	var content io.Reader = http.NoBody
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return 0, "", err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := l.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(text), err
}

func (t target) me() string    { return t.data + "/api/v1/" + t.context + "/me" }
func (t target) query() string { return t.data + "/api/v1/" + t.context + "/query" }
func (t target) facts() string { return t.data + "/api/v1/" + t.context + "/facts" }
func (t target) keys(name string) string {
	return t.management + "/api/v1/contexts/" + t.context + "/keys/" + name
}

// worker is one client. Its keys are changed by nobody else.
type worker struct {
	*load

	name   string
	made   int
	living []*liveKey
}

type liveKey struct{ name, secret string }

func (w *worker) run(ctx context.Context) {
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
		switch {
		case turn%20 == 0 && len(w.living) < keysEach:
			w.mint()
		case turn%20 == 10 && len(w.living) > 0:
			w.rotate()
		case turn%60 == 45 && len(w.living) > 1:
			w.revoke()
		case turn%40 == 25:
			w.remember()
		case turn%2 == 0:
			w.verifyDead()
		default:
			w.verifyGood()
		}
	}
}

// secretIn returns the key in an answer.
func secretIn(answer string) string {
	var out struct{ Key string }
	if json.Unmarshal([]byte(answer), &out) != nil {
		return ""
	}
	return out.Key
}

func (w *worker) mint() {
	w.made++
	k := &liveKey{name: fmt.Sprintf("%s-%d", w.name, w.made)}
	if status, answer := w.send("mint", http.MethodPost, w.keys(k.name), w.operator, "", http.StatusCreated); status == http.StatusCreated {
		k.secret = secretIn(answer)
		w.ledger.born(k)
		w.living = append(w.living, k)
	}
}

func (w *worker) rotate() {
	k := w.living[rand.IntN(len(w.living))]
	status, answer := w.send("rotate", http.MethodPost, w.keys(k.name)+"/rotate", w.operator, "", http.StatusOK)
	if status != http.StatusOK {
		w.doubt(k)
		return
	}
	w.ledger.died(k.secret)
	k.secret = secretIn(answer)
	w.ledger.born(k)
	// The promise is about the very next requests.
	w.ask("dead key", w.ledger.lastDead(), http.StatusUnauthorized)
	w.ask("good key", k.secret, http.StatusOK)
}

func (w *worker) revoke() {
	k := w.living[rand.IntN(len(w.living))]
	status, _ := w.send("revoke", http.MethodDelete, w.keys(k.name), w.operator, "", http.StatusNoContent)
	if status == http.StatusNoContent {
		w.ledger.died(k.secret)
	}
	w.doubt(k)
}

// doubt forgets a key of which it is not known what became of it; one that died is dead already.
func (w *worker) doubt(k *liveKey) {
	w.ledger.doubt(k)
	for i, other := range w.living {
		if other == k {
			w.living = append(w.living[:i], w.living[i+1:]...)
			return
		}
	}
}

func (w *worker) remember() {
	w.made++
	word := fmt.Sprintf("%sx%d", strings.ReplaceAll(w.name, "-", "x"), w.made)
	body := `{"text":"the drill has written ` + word + `","infer":"none"}`
	if status, _ := w.send("write", http.MethodPost, w.facts(), w.key, body, http.StatusOK); status == http.StatusOK {
		w.ledger.wrote(word)
	}
}

func (w *worker) verifyGood() {
	secret := w.key
	if len(w.living) > 0 {
		secret = w.living[rand.IntN(len(w.living))].secret
	}
	w.ask("good key", secret, http.StatusOK)
}

func (w *worker) verifyDead() {
	if secret := w.ledger.anyDead(); secret != "" {
		w.ask("dead key", secret, http.StatusUnauthorized)
	}
}

func (w *worker) ask(what, secret string, want int) {
	w.send(what, http.MethodGet, w.me(), secret, "", want)
}

// ledger is what the deployment has acknowledged.
type ledger struct {
	mu      sync.Mutex // guards the following fields
	living  map[string]string
	dead    []string
	written []string
}

func (l *ledger) born(k *liveKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.living == nil {
		l.living = map[string]string{}
	}
	l.living[k.name] = k.secret
}

func (l *ledger) doubt(k *liveKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.living, k.name)
}

func (l *ledger) died(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = append(l.dead, secret)
}

func (l *ledger) wrote(word string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = append(l.written, word)
}

func (l *ledger) anyDead() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := l.dead[max(0, len(l.dead)-deadKept):]
	if len(recent) == 0 {
		return ""
	}
	return recent[rand.IntN(len(recent))]
}

func (l *ledger) lastDead() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead[len(l.dead)-1]
}

// take returns what was acknowledged since the last time, and keeps what lives.
func (l *ledger) take() (living map[string]string, dead, written []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	living = maps.Clone(l.living)
	dead, written = l.dead, l.written
	l.dead, l.written = l.dead[max(0, len(l.dead)-deadKept):], nil
	return living, dead, written
}

// losses is what the deployment has acknowledged and does not keep to.
type losses struct{ stale, lost []string }

// audit holds the deployment against the ledger. Call it when the load has stopped.
func (l *load) audit(t *testing.T) losses {
	t.Helper()
	living, dead, written := l.ledger.take()
	var out losses
	for name, secret := range living {
		if l.settled(t, http.MethodGet, l.me(), secret, "").status != http.StatusOK {
			out.lost = append(out.lost, "the key "+name)
		}
	}
	for i, secret := range dead {
		if l.settled(t, http.MethodGet, l.me(), secret, "").status != http.StatusUnauthorized {
			out.stale = append(out.stale, fmt.Sprintf("dead secret %d", i))
		}
	}
	for _, word := range written {
		got := l.settled(t, http.MethodPost, l.query(), l.key, `{"query":"`+word+`","mode":"bm25","k":1}`)
		if got.status != http.StatusOK || !strings.Contains(got.body, word) {
			out.lost = append(out.lost, "the memory "+word)
		}
	}
	l.take()
	t.Logf("audit: %d keys, %d dead secrets, %d memories", len(living), len(dead), len(written))
	return out
}

type settledAnswer struct {
	status int
	body   string
}

// settled asks until there is an answer that is none of a deployment that recovers.
func (l *load) settled(t *testing.T, method, url, key, body string) settledAnswer {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		status, answer, err := l.exchange(t.Context(), method, url, key, body)
		if err == nil && status < http.StatusInternalServerError {
			return settledAnswer{status, answer}
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: no answer within a minute: %d %v", url, status, err)
			return settledAnswer{}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// failures returns what was not good, and what clients were told instead.
func failures(seen []sighting) (bad []sighting) {
	for _, s := range seen {
		if !s.good {
			bad = append(bad, s)
		}
	}
	return bad
}

// staleAccepts returns the requests that a dead secret was served.
func staleAccepts(seen []sighting) int {
	n := 0
	for _, s := range seen {
		if s.what == "dead key" && s.status >= 200 && s.status < 300 {
			n++
		}
	}
	return n
}
