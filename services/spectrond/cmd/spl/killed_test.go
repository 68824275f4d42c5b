package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// killsVariable says how often TestKilled kills the daemon.
const killsVariable = "SPECTRON_SPL_KILLS"

// The daemon is killed, as a power cut would, while records are written, tokens minted and revoked, and tokens rotated in both
// ways: in one request, and by a mint and revocations, as 'spl token rotate' does it. Started again it must have every record
// that was acknowledged, let in no token whose revocation was, and every token whose mint was and which nobody touched; and of an
// account that was being rotated at most the old token and the new one live.
func TestKilled(t *testing.T) {
	t.Parallel()
	kills := 10
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	d := newDrill(t)
	round := 0
	// On a slow machine a few kills may all come too early: then there are some more.
	for ; round < kills || round < 5*kills && d.idle(); round++ {
		d.start()
		d.look(round)
		d.mopUp()
		// The lease of a daemon that was killed lives on for up to two seconds, and changes wait for that. Some kills come while they
		// do, some when changes are quick again.
		window := 2500 * time.Millisecond
		if rand.IntN(3) > 0 {
			window = 400 * time.Millisecond
			if err := d.comeAndGo(); err != nil {
				t.Fatal(err)
			}
		}
		d.work(rand.N(window))
	}
	d.start()
	d.look(round)
	d.lookAtAll()
	t.Logf("%d kills: %d records acknowledged, %d tokens minted, %d revoked, %d rotations in one request, %d by mint and revoke; two tokens lived %d times",
		round, len(d.records), len(d.live)+len(d.dead)+d.unsure, len(d.dead), d.rotated, d.replaced, d.pairs)
	if d.idle() {
		t.Error("nothing was going on when the daemon was killed")
	}
}

// idle reports whether there is something that has not been done yet.
func (d *drill) idle() bool {
	return len(d.records) == 0 || len(d.dead) == 0 || d.rotated == 0 || d.replaced == 0
}

const drillActor = "did:sync:user:ada"

// drill is what was asked of a daemon, and what it acknowledged.
type drill struct {
	t      *testing.T
	env    []string
	url    string
	admin  string
	client *http.Client
	daemon *exec.Cmd
	stderr *bytes.Buffer

	// The accounts whose tokens are rotated, in one request and in several, and one whose tokens come and go.
	whole, steps, loose string

	mu      sync.Mutex        // guards the following fields
	records map[string]string // by id: the text in the body
	fresh   []string          // the ids of this round
	live    map[string]string // tokens that must be let in, by id
	dead    map[string]string // tokens that must not be
	unsure  int               // tokens of which either is right

	rotated, replaced, pairs int
}

func newDrill(t *testing.T) *drill {
	t.Helper()
	home := filepath.Join(t.TempDir(), "state")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	const secret = "the-secret-of-the-drill"
	d := &drill{
		t: t, url: "http://127.0.0.1:" + strconv.Itoa(port), admin: "spl_prod_sa-bootstrap-env_" + secret,
		client:  &http.Client{Timeout: patience},
		env:     []string{"PATH=" + os.Getenv("PATH"), "SYNCROPEL_HOME=" + home, "SPL_ACTOR=" + drillActor, "SPL_PORT=" + strconv.Itoa(port), "SPL_BOOTSTRAP_TOKEN=" + secret},
		records: map[string]string{}, live: map[string]string{}, dead: map[string]string{},
	}
	t.Cleanup(d.kill)
	d.start()
	for name, id := range map[string]*string{"whole": &d.whole, "steps": &d.steps, "loose": &d.loose} {
		var made struct {
			ID string `json:"id"`
		}
		d.must(http.MethodPost, "/v1/service-accounts", map[string]any{"name": name, "actors": []string{drillActor}, "scopes": []string{"records:read"}}, &made)
		*id = made.ID
	}
	for _, id := range []string{d.whole, d.steps} {
		if _, err := d.mint(id); err != nil {
			t.Fatal(err)
		}
	}
	d.kill()
	return d
}

// start starts the daemon and returns when it serves.
func (d *drill) start() {
	d.t.Helper()
	d.stderr = &bytes.Buffer{}
	d.daemon = exec.Command("spl", "serve")
	d.daemon.Env, d.daemon.Stderr = d.env, d.stderr
	if err := d.daemon.Start(); err != nil {
		d.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		answer, err := d.client.Get(d.url + "/health")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			d.kill()
			d.t.Fatalf("it does not serve: %v\n%s", err, d.stderr)
		}
	}
}

// kill ends the daemon without a word.
func (d *drill) kill() {
	if d.daemon == nil {
		return
	}
	_ = d.daemon.Process.Kill()
	_ = d.daemon.Wait() // a signal ended it
	d.daemon = nil
	d.client.CloseIdleConnections()
}

// errUnanswered says that nobody knows whether a request was carried out.
var errUnanswered = errors.New("no answer")

// ask sends a request and decodes the answer into out. Errors: errUnanswered, and what the daemon refused with.
func (d *drill) ask(method, path, token string, body, out any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(context.Background(), method, d.url+path, &sent)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Syncropel-Actor", drillActor)
	r.Header.Set("Content-Type", "application/json")
	answer, err := d.client.Do(r)
	if err != nil {
		return errUnanswered
	}
	content, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return errUnanswered
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(answer.StatusCode)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(content, out)
}

type refusal int

func (r refusal) Error() string { return "refused with " + strconv.Itoa(int(r)) }

// must is ask, as the administrator, of a daemon that is not about to be killed.
func (d *drill) must(method, path string, body, out any) {
	d.t.Helper()
	if err := d.ask(method, path, d.admin, body, out); err != nil {
		d.t.Fatalf("%s %s: %v\n%s", method, path, err, d.stderr)
	}
}

// work has everything going on at once until the daemon is killed.
func (d *drill) work(until time.Duration) {
	d.t.Helper()
	d.fresh = nil
	var all sync.WaitGroup
	for writer := range 2 {
		all.Go(func() { d.untilKilled(func(turn int) error { return d.write(writer, turn) }) })
	}
	all.Go(func() { d.untilKilled(func(int) error { return d.rotate() }) })
	all.Go(func() { d.untilKilled(func(int) error { return d.replace() }) })
	all.Go(func() { d.untilKilled(func(int) error { return d.comeAndGo() }) })
	time.Sleep(until)
	d.kill()
	all.Wait()
}

// untilKilled repeats act until it gets no answer.
func (d *drill) untilKilled(act func(turn int) error) {
	for turn := 0; ; turn++ {
		switch err := act(turn); {
		case errors.Is(err, errUnanswered):
			return
		case err != nil:
			// A daemon that has lost its right to answer says 503, and does not act on what it refuses.
			if code := refusal(0); !errors.As(err, &code) || code != http.StatusServiceUnavailable {
				d.t.Errorf("turn %d: %v", turn, err)
				return
			}
		}
	}
}

func (d *drill) write(writer, turn int) error {
	text := fmt.Sprintf("%d %d %d", writer, turn, time.Now().UnixNano())
	var made struct {
		ID string `json:"id"`
	}
	err := d.ask(http.MethodPost, "/v1/records", d.admin, map[string]any{
		"thread": "th_drill", "actor": drillActor, "act": "KNOW", "body": map[string]any{"text": text},
	}, &made)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[made.ID] = text
	d.fresh = append(d.fresh, made.ID)
	return nil
}

type token struct {
	ID      string `json:"token_id"`
	Account string `json:"sa_id"`
	Text    string `json:"token"`
	Status  string `json:"status"`
}

func (d *drill) mint(account string) (token, error) {
	var made token
	err := d.ask(http.MethodPost, "/v1/service-accounts/"+account+"/tokens", d.admin, map[string]any{}, &made)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.live[made.ID] = made.Text
	}
	return made, err
}

// doubt takes a token out of those of which something is known, before that is changed.
func (d *drill) doubt(ids ...string) map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := map[string]string{}
	for _, id := range ids {
		if text, ok := d.live[id]; ok {
			taken[id] = text
			delete(d.live, id)
			d.unsure++
		}
	}
	return taken
}

// bury notes that the daemon has acknowledged the end of tokens.
func (d *drill) bury(tokens map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.dead, tokens)
	d.unsure -= len(tokens)
}

func (d *drill) revoke(account, id string) error {
	taken := d.doubt(id)
	err := d.ask(http.MethodDelete, "/v1/service-accounts/"+account+"/tokens/"+id, d.admin, nil, nil)
	if err == nil {
		d.bury(taken)
	}
	return err
}

// known returns the tokens of an account that live, as the daemon tells.
func (d *drill) known(account string) ([]string, error) {
	var all []token
	err := d.ask(http.MethodGet, "/v1/service-accounts/"+account+"/tokens", d.admin, nil, &all)
	var live []string
	for _, one := range all {
		if one.Status == "active" {
			live = append(live, one.ID)
		}
	}
	return live, err
}

// rotate rotates in one request.
func (d *drill) rotate() error {
	before, err := d.known(d.whole)
	if err != nil {
		return err
	}
	taken := d.doubt(before...)
	var made token
	if err := d.ask(http.MethodPost, "/v1/service-accounts/"+d.whole+"/tokens/rotate", d.admin, map[string]any{}, &made); err != nil {
		return err
	}
	d.bury(taken)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live[made.ID] = made.Text
	d.rotated++
	return nil
}

// replace rotates as the command does: it mints, and revokes each earlier token.
func (d *drill) replace() error {
	before, err := d.known(d.steps)
	if err != nil {
		return err
	}
	if _, err := d.mint(d.steps); err != nil {
		return err
	}
	for _, id := range before {
		if err := d.revoke(d.steps, id); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replaced++
	return nil
}

func (d *drill) comeAndGo() error {
	made, err := d.mint(d.loose)
	if err != nil {
		return err
	}
	if rand.IntN(4) == 0 {
		return nil
	}
	return d.revoke(d.loose, made.ID)
}

// look holds what the daemon has after a restart against what it acknowledged.
func (d *drill) look(round int) {
	d.t.Helper()
	d.lookForRecords(round, d.fresh)
	// The last ones are those that the kill could have hit.
	dead, live := slices.Collect(maps.Keys(d.dead)), slices.Collect(maps.Keys(d.live))
	d.lookForTokens(round, sample(dead, 60), sample(live, 20))
	whole, err := d.known(d.whole)
	steps, stepsErr := d.known(d.steps)
	if err := errors.Join(err, stepsErr); err != nil {
		d.t.Fatalf("round %d: %v", round, err)
	}
	if len(whole) != 1 {
		d.t.Errorf("round %d: %d tokens live where one request rotates them, want 1", round, len(whole))
	}
	if len(steps) < 1 || len(steps) > 2 {
		d.t.Errorf("round %d: %d tokens live in the middle of a rotation, want 1 or 2", round, len(steps))
	}
	if len(steps) == 2 {
		d.pairs++
	}
}

func sample(ids []string, n int) []string {
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(n, len(ids))]
}

func (d *drill) lookAtAll() {
	d.t.Helper()
	d.lookForRecords(-1, slices.Collect(maps.Keys(d.records)))
	d.lookForTokens(-1, slices.Collect(maps.Keys(d.dead)), slices.Collect(maps.Keys(d.live)))
}

func (d *drill) lookForRecords(round int, ids []string) {
	d.t.Helper()
	for _, id := range ids {
		var found struct {
			Body struct{ Text string }
		}
		if err := d.ask(http.MethodGet, "/v1/records/"+id, d.admin, nil, &found); err != nil || found.Body.Text != d.records[id] {
			d.t.Errorf("round %d: an acknowledged record is lost: %v", round, err)
		}
	}
}

func (d *drill) lookForTokens(round int, dead, live []string) {
	d.t.Helper()
	for _, id := range dead {
		if err := d.ask(http.MethodGet, "/v1/identity", d.dead[id], nil, nil); !errors.Is(err, refusal(http.StatusUnauthorized)) {
			d.t.Errorf("round %d: a token lives whose revocation was acknowledged: %v", round, err)
		}
	}
	for _, id := range live {
		if err := d.ask(http.MethodGet, "/v1/identity", d.live[id], nil, nil); err != nil {
			d.t.Errorf("round %d: a token that nobody revoked is refused: %v", round, err)
		}
	}
}

// mopUp revokes what a rotation left that was cut off, as its user would.
func (d *drill) mopUp() {
	d.t.Helper()
	live, err := d.known(d.steps)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, id := range live[:len(live)-1] {
		if err := d.revoke(d.steps, id); err != nil {
			d.t.Fatal(err)
		}
	}
}
