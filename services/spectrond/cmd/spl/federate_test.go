package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const sharedThread = "th_shared"

// party is a daemon with a state directory of its own, which is a process of its own while it runs.
type party struct {
	t               *testing.T
	home, url       string
	token, did      string
	env             []string
	stderr          bytes.Buffer
	client          *http.Client
	process         *exec.Cmd
	mu              sync.Mutex // guards the following field
	acknowledged    []string
	secretsOfOthers []string
}

func newParty(t *testing.T, name string) *party {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	secret := "the-secret-of-" + name + "-for-tests"
	p := &party{
		t: t, home: filepath.Join(t.TempDir(), "state"), url: "http://127.0.0.1:" + strconv.Itoa(port),
		token: "spl_prod_sa-bootstrap-env_" + secret, client: &http.Client{Timeout: patience},
	}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "SYNCROPEL_HOME=" + p.home, "SPL_ACTOR=" + drillActor, "SPL_PORT=" + strconv.Itoa(port),
		"SPL_BOOTSTRAP_TOKEN=" + secret, "SPL_TOKEN=" + p.token,
	}
	t.Cleanup(func() { p.end(os.Kill) })
	p.start()
	var who struct {
		DID string `json:"did"`
	}
	p.must(http.MethodGet, "/v1/identity", nil, &who)
	p.did = who.DID
	return p
}

func (p *party) start() {
	p.t.Helper()
	p.process = exec.Command("spl", "serve")
	p.process.Env, p.process.Stderr = p.env, &p.stderr
	if err := p.process.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.eventually("it serves", func() bool { return p.ask(http.MethodGet, "/health", nil, nil) == http.StatusOK })
}

// end ends the process, by a kill as a power cut does, by a termination gracefully.
func (p *party) end(signal os.Signal) {
	if p.process != nil {
		_ = p.process.Process.Signal(signal)
		_ = p.process.Wait()
		p.process = nil
	}
}

// ask returns the status of an answer, 0 if there is none.
func (p *party) ask(method, path string, body, out any) int {
	text, err := json.Marshal(body)
	if err != nil {
		return 0
	}
	request, err := http.NewRequest(method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+p.token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	text, err = io.ReadAll(answer.Body)
	if err != nil || (out != nil && json.Unmarshal(text, out) != nil) {
		return 0
	}
	return answer.StatusCode
}

func (p *party) must(method, path string, body, out any) {
	p.t.Helper()
	if status := p.ask(method, path, body, out); status < 200 || status > 299 {
		p.t.Fatalf("%s %s: %d", method, path, status)
	}
}

// spl runs a command at the party and returns its output.
func (p *party) spl(input string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command("spl", args...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stderr = append(slices.Clone(p.env), "SPL_SERVE_URL="+p.url), strings.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("spl %s: %v: %s", args[0], err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (p *party) eventually(what string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never happened: %s\n%s", what, p.stderr.String())
		}
	}
}

// admit makes an account for a peer and returns its id, and the id and text of its token.
func (p *party) admit(name string) (account, tokenID, token string) {
	p.t.Helper()
	var made struct {
		ID      string `json:"id"`
		Token   string `json:"token"`
		TokenID string `json:"token_id"`
	}
	p.must(http.MethodPost, "/v1/service-accounts", map[string]any{
		"name": name, "actors": []string{"did:sync:svc:" + name}, "scopes": []string{"federation:manage"}, "with_token": true,
	}, &made)
	return made.ID, made.TokenID, made.Token
}

// pull makes a pair by the command that people type.
func (p *party) pull(from *party, did, token string) (pair string) {
	p.t.Helper()
	p.secretsOfOthers = append(p.secretsOfOthers, token)
	return p.spl(token, "sync", "pair", "--peer-did", did, "--peer-url", from.url, "--thread", sharedThread, "--peer-token", "-")
}

// pairState returns the state of a pair and what its last error is.
func (p *party) pairState(id string) (state, lastError string) {
	var pair struct {
		State string `json:"state"`
		Error string `json:"last_error"`
	}
	p.ask(http.MethodGet, "/v1/sync/pairs/"+id, nil, &pair)
	return pair.State, pair.Error
}

// say writes a record, if the daemon is there to take it.
func (p *party) say(text string) {
	var made struct {
		ID string `json:"id"`
	}
	status := p.ask(http.MethodPost, "/v1/records", map[string]any{
		"thread": sharedThread, "actor": drillActor, "act": "KNOW", "body": map[string]any{text: true, "last": text},
	}, &made)
	if status == http.StatusCreated {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.acknowledged = append(p.acknowledged, made.ID)
	}
}

// feed returns the ids of the shared thread, sorted.
func (p *party) feed() (ids []string) {
	cursor := ""
	for {
		var page struct {
			Records []struct {
				ID string `json:"id"`
			} `json:"records"`
			Next string `json:"next_cursor"`
			More bool   `json:"has_more"`
		}
		if p.ask(http.MethodGet, "/v1/sync/changes?thread="+sharedThread+"&since="+cursor, nil, &page) != http.StatusOK {
			return nil
		}
		for _, each := range page.Records {
			ids = append(ids, each.ID)
		}
		if cursor = page.Next; !page.More {
			slices.Sort(ids)
			return ids
		}
	}
}

func (p *party) state() string {
	var state map[string]any
	p.ask(http.MethodGet, "/v1/threads/"+sharedThread+"/state", nil, &state)
	return fmt.Sprint(state)
}

// TestTwoDaemonsFederate pulls a thread both ways while both are written to and are killed, stopped and started.
func TestTwoDaemonsFederate(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "anna"), newParty(t, "bert")
	_, _, forB := a.admit("bert")
	_, _, forA := b.admit("anna")
	pairs := map[*party]string{b: b.pull(a, a.did, forB), a: a.pull(b, b.did, forA)}

	done := make(chan struct{})
	var writers sync.WaitGroup
	for name, p := range map[string]*party{"anna": a, "bert": b} {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					p.say(fmt.Sprintf("%s %d", name, i))
				}
			}
		})
	}
	for i, p := range []*party{b, b, a, b} {
		time.Sleep(300 * time.Millisecond)
		p.end([]os.Signal{os.Kill, syscall.SIGTERM}[i%2])
		time.Sleep(100 * time.Millisecond)
		p.start()
	}
	close(done)
	writers.Wait()

	all := slices.Concat(a.acknowledged, b.acknowledged)
	for _, p := range []*party{a, b} {
		p.eventually("it has all", func() bool {
			feed := p.feed()
			return !slices.ContainsFunc(all, func(id string) bool { _, there := slices.BinarySearch(feed, id); return !there }) &&
				slices.Equal(a.feed(), b.feed())
		})
		p.eventually("its pair is well", func() bool { state, _ := p.pairState(pairs[p]); return state == "active" })
		if feed := p.feed(); len(slices.Compact(slices.Clone(feed))) != len(feed) {
			t.Error("a record is there twice")
		}
	}
	if a.state() != b.state() {
		t.Errorf("the thread is %s at one and %s at the other", a.state(), b.state())
	}
	t.Logf("%d and %d records were acknowledged", len(a.acknowledged), len(b.acknowledged))
	if len(a.acknowledged) == 0 || len(b.acknowledged) == 0 {
		t.Error("nothing was written")
	}
	a.keepsSecrets()
	b.keepsSecrets()
}

// keepsSecrets looks for the tokens of peers in everything that the daemon has written.
func (p *party) keepsSecrets() {
	p.t.Helper()
	files := 0
	err := filepath.WalkDir(p.home, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		for _, secret := range p.secretsOfOthers {
			if bytes.Contains(content, []byte(secret[strings.LastIndex(secret, "_")+1:])) {
				p.t.Errorf("%s holds a peer's token", name)
			}
		}
		files++
		return err
	})
	if err != nil || files == 0 {
		p.t.Errorf("looked at %d files: %v", files, err)
	}
}

func TestPeersThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "carl"), newParty(t, "dora")
	a.say("one")
	account, tokenID, good := a.admit("dora")

	// The daemon is another than the one that was meant.
	liar := b.pull(a, b.did, good)
	b.eventually("the signature is refused", func() bool {
		state, reason := b.pairState(liar)
		return state == "failing" && strings.Contains(reason, "has not signed")
	})
	b.spl("", "sync", "remove", liar)

	wrong := good[:len(good)-32] + strings.Repeat("A", 32)
	pair := b.pull(a, a.did, wrong)
	b.eventually("the token is refused", func() bool {
		state, reason := b.pairState(pair)
		return state == "failing" && strings.Contains(reason, "401 AUTH_INVALID")
	})
	if got := b.feed(); len(got) != 0 {
		t.Fatalf("%d records came", len(got))
	}
	if again := b.pull(a, a.did, good); again != pair {
		t.Errorf("the same pair is %s and %s", pair, again)
	}
	b.eventually("the good token is used", func() bool { return len(b.feed()) == 1 })

	a.must(http.MethodDelete, "/v1/service-accounts/"+account+"/tokens/"+tokenID, nil, nil)
	a.say("two")
	b.eventually("the revoked token is refused", func() bool { state, _ := b.pairState(pair); return state == "failing" })
	if got := b.feed(); len(got) != 1 {
		t.Errorf("%d records came by a revoked token", len(got)-1)
	}
	b.keepsSecrets()
}

// TestTheDocumentPairsTwoDaemons types what docs/spl.md says of two daemons, on one machine.
func TestTheDocumentPairsTwoDaemons(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/spl.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Two daemons, one thread\n")
	_, rest, _ := strings.Cut(section, "\n```sh\n")
	session, _, _ := strings.Cut(rest, "\n```\n")
	here, there, ok := strings.Cut(session, "\n\n")
	if !ok {
		t.Fatal("the document has no session of two daemons")
	}
	a, b := newParty(t, "emma"), newParty(t, "finn")
	folder := t.TempDir()
	sh := func(p *party, script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-e", "-c", script)
		cmd.Dir, cmd.Env = folder, append(slices.Clone(p.env), "SPL_SERVE_URL="+p.url)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		return string(out)
	}
	sh(a, here)
	token, err := os.ReadFile(filepath.Join(folder, "token.txt"))
	if err != nil {
		t.Fatal(err)
	}
	b.secretsOfOthers = append(b.secretsOfOthers, strings.TrimSpace(string(token)))
	if out := sh(b, strings.ReplaceAll(there, "http://192.168.1.10:9100", a.url)); !strings.Contains(out, "th_notes") {
		t.Errorf("listed %s", out)
	}
	sh(a, `spl record add --thread th_notes --body '{"text": "hello"}'`)
	b.eventually("the note has come", func() bool {
		var list struct {
			Data []any `json:"data"`
		}
		b.ask(http.MethodGet, "/v1/records?thread=th_notes", nil, &list)
		return len(list.Data) == 1
	})
	b.keepsSecrets()
}
