package observability_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// interval is between two scrapes, as prometheus.yml has it. Here time passes as the story wants it.
const interval = 15 * time.Second

// stack is both services, each a process of its own, and what is scraped of them.
type stack struct {
	program    string
	folder     string
	processes  map[string]*exec.Cmd
	addresses  map[string][2]string // service and admin, by job
	variables  map[string]string    // what bootstrap printed
	receiver   string               // where webhooks and heads of the audit log are posted
	client     http.Client
	samples    strings.Builder
	now        time.Time
	families   map[string]bool // the names of all samples that were ever scraped
	iterations int
}

// start builds the program, gives each service a store of its own, starts both and makes the first keys.
func start(t *testing.T) *stack {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(receiver.Close)
	s := &stack{
		receiver: receiver.URL,
		folder:   t.TempDir(), processes: make(map[string]*exec.Cmd), families: map[string]bool{"up": true}, variables: make(map[string]string),
		client: http.Client{Timeout: 10 * time.Second}, now: time.Now().Add(-time.Hour).Truncate(interval),
		addresses: map[string][2]string{"keymanager": {free(t), free(t)}, "dataplane": {free(t), free(t)}},
	}
	s.program = filepath.Join(s.folder, "spectrond")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "./services/spectrond/cmd/spectrond")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOWORK=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		for job := range s.processes {
			s.kill(t, job)
		}
	})
	for _, job := range []string{"keymanager", "dataplane"} {
		s.run(t, s.environment(job), "migrate", "up")
		s.launch(t, job)
	}
	printed := s.run(t, s.environment("dataplane"), "bootstrap")
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		s.variables[name] = value
	}
	return s
}

func free(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (s *stack) environment(job string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder,
		"SPECTRON_CONNECTION_STRING=sqlite://" + filepath.Join(s.folder, job+".db"),
		"SPECTRON_PEPPER=a pepper for tests that is long enough",
		"SPECTRON_SERVICE_SECRET=" + strings.Repeat("s", 40),
		"SPECTRON_MANAGEMENT_URL=http://" + s.addresses["keymanager"][0],
		"SPECTRON_BIND_ADDRESS=" + s.addresses[job][0],
		"SPECTRON_ADMIN_ADDRESS=" + s.addresses[job][1],
		"SPECTRON_LEASE_TTL=500ms",
		"SPECTRON_WEBHOOK_ALLOWED_NETWORKS=127.0.0.0/8",
		"SPECTRON_AUDIT_HEAD_URL=" + s.receiver + "/head",
		"SPECTRON_AUDIT_HEAD_INTERVAL=1s",
		"SPECTRON_LOG_LEVEL=error",
	}
}

func (s *stack) run(t *testing.T, environment []string, arguments ...string) string {
	t.Helper()
	var out, complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), s.program, arguments...)
	command.Env, command.Stdout, command.Stderr = environment, &out, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("spectrond %s: %v\n%s", arguments, err, complaints.String())
	}
	return out.String()
}

// launch starts a service and waits until it is ready.
func (s *stack) launch(t *testing.T, job string) {
	t.Helper()
	role := map[string]string{"keymanager": "management", "dataplane": "api"}[job]
	command := exec.CommandContext(context.WithoutCancel(t.Context()), s.program, role, "start")
	command.Env, command.Stderr = s.environment(job), io.Discard
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.processes[job] = command
	s.await(t, "http://"+s.addresses[job][1]+"/readyz")
}

func (s *stack) kill(t *testing.T, job string) {
	t.Helper()
	if err := s.processes[job].Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = s.processes[job].Wait() // it was killed
	delete(s.processes, job)
}

func (s *stack) get(t *testing.T, address string) (int, []byte) {
	t.Helper()
	return s.send(t, http.MethodGet, address, "", "")
}

// send returns the status, 0 when nobody answers, and the body.
func (s *stack) send(t *testing.T, method, address, key, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	return answer.StatusCode, content
}

// inTheBackground makes a webhook, a change that it is told of and a request that is refused, and returns when all that has been delivered,
// counted, chained and published.
func (s *stack) inTheBackground(t *testing.T) {
	t.Helper()
	management := "http://" + s.addresses["keymanager"][0] + "/api/v1/"
	hook := fmt.Sprintf(`{"url":%q}`, s.receiver+"/hook")
	if status, _ := s.send(t, http.MethodPost, management+"webhooks", s.variables["SPECTRON_MANAGEMENT_API_KEY"], hook); status != http.StatusCreated {
		t.Fatalf("making a webhook: %d", status)
	}
	s.traffic(t)
	if status, _ := s.send(t, http.MethodGet, management+"contexts", s.variables["SPECTRON_API_KEY"], ""); status != http.StatusForbidden {
		t.Fatalf("a key of a context lists contexts: %d", status)
	}
	for _, line := range []string{
		`spectron_webhook_deliveries_total\{outcome="delivered"\} [1-9]`,
		`spectron_audit_denials_total\{reason="not_management"\} [1-9]`,
		`spectron_audit_sealed_total [1-9]`,
		`spectron_audit_head_pushes_total\{result="ok"\} [1-9]`,
	} {
		s.until(t, line, func() bool {
			_, measures := s.get(t, "http://"+s.addresses["keymanager"][1]+"/metrics")
			return regexp.MustCompile("(?m)^" + line).Match(measures)
		})
	}
}

// traffic is what users do between two scrapes.
func (s *stack) traffic(t *testing.T) {
	t.Helper()
	s.iterations++
	data := "http://" + s.addresses["dataplane"][0] + "/api/v1/"
	key, management := s.variables["SPECTRON_API_KEY"], s.variables["SPECTRON_MANAGEMENT_API_KEY"]
	for range 3 {
		s.send(t, http.MethodGet, data+"default/me", key, "")
	}
	s.send(t, http.MethodPost, data+"default/facts", key, fmt.Sprintf(`{"text":"the lighthouse opens at %d"}`, s.iterations))
	s.send(t, http.MethodPost, data+"default/query", key, `{"query":"lighthouse"}`)
	s.send(t, http.MethodGet, data+"default/me", "sp-nonsense", "")
	name := fmt.Sprintf("%scontexts/default/keys/k%d", data, s.iterations)
	_, minted := s.send(t, http.MethodPost, name, management, "")
	if fresh := regexp.MustCompile(`"key": ?"([^"]+)"`).FindSubmatch(minted); fresh != nil {
		s.send(t, http.MethodGet, data+"default/me", string(fresh[1]), "")
		s.send(t, http.MethodPost, name+"/rotate", management, "")
		s.send(t, http.MethodGet, data+"default/me", string(fresh[1]), "") // refused by asking, then from memory
		s.send(t, http.MethodGet, data+"default/me", string(fresh[1]), "")
	}
}

// sample is a line of what a service measures: a name, perhaps labels, and a value.
var sample = regexp.MustCompile(`^([a-z_:]+)(?:\{(.*)\})? (\S+)$`)

// scrape reads what both services measure, as Prometheus does, one interval after the last time.
func (s *stack) scrape(t *testing.T) {
	t.Helper()
	s.now = s.now.Add(interval)
	for job, address := range s.addresses {
		target := fmt.Sprintf("job=%q,instance=%q", job, address[1])
		status, body := s.get(t, "http://"+address[1]+"/metrics")
		up := 0
		if status == http.StatusOK {
			up = 1
		}
		fmt.Fprintf(&s.samples, "up{%s} %d %d\n", target, up, s.now.Unix())
		for line := range strings.Lines(string(body)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			parts := sample.FindStringSubmatch(line)
			if parts == nil {
				t.Fatalf("what the %s measures cannot be read: %s", job, line)
			}
			if strings.Contains(","+parts[2], ",job=") || strings.Contains(","+parts[2], ",instance=") {
				t.Errorf("%s: this label belongs to whoever scrapes", line)
			}
			s.families[parts[1]] = true
			fmt.Fprintf(&s.samples, "%s{%s} %s %d\n", parts[1], strings.Trim(target+","+parts[2], ","), parts[3], s.now.Unix())
		}
	}
}

// prometheus starts one that has scraped all this.
func (s *stack) prometheus(t *testing.T) prometheus {
	t.Helper()
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install Prometheus (Debian's package prometheus, without starting it)", tool)
		}
	}
	text, store, config := filepath.Join(s.folder, "samples"), filepath.Join(s.folder, "prometheus"), filepath.Join(s.folder, "empty.yml")
	for name, content := range map[string]string{text: s.samples.String() + "# EOF\n", config: ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", text, store).CombinedOutput(); err != nil {
		t.Fatalf("keeping the samples: %v\n%s", err, out)
	}
	p := prometheus{free(t)}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), "prometheus", "--config.file="+config, "--storage.tsdb.path="+store,
		"--web.listen-address="+p.address, "--log.level=error")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.processes["prometheus"] = command
	s.await(t, "http://"+p.address+"/-/ready")
	return p
}

// await returns when an address answers 200.
func (s *stack) await(t *testing.T, address string) {
	t.Helper()
	s.until(t, address, func() bool {
		status, _ := s.get(t, address)
		return status == http.StatusOK
	})
}

// until returns when a thing has happened.
func (s *stack) until(t *testing.T, thing string, happened func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("within a minute this has not come: %s", thing)
		}
	}
}
