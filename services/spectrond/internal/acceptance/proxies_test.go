package acceptance_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// examples is where the configurations are that these tests run as they stand, but for addresses.
const examples = "../../../../deployments/doors/"

// app is the service behind a proxy. It keeps the last request that it was given.
type app struct {
	*httptest.Server

	mu   sync.Mutex // guards the following fields
	last http.Header
	read int
	n    int
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		read, _ := io.Copy(io.Discard, r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.last, a.read = r.Header.Clone(), int(read)
		a.n++
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) served() (n int, last http.Header, read int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.last, a.read
}

// proxied is a service behind a real proxy, which asks a real data plane.
type proxied struct {
	*world

	app   *app
	front string
}

// answered is what came back through the proxy, short of the body.
type answered struct {
	StatusCode int
	Header     http.Header
}

// ask sends a request to the proxy. Headers come in pairs, with their names as they are.
func (p *proxied) ask(t *testing.T, method, key, body string, headers ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.front+"/api/things?q=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = []string{headers[i+1]}
	}
	answer, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answered{answer.StatusCode, answer.Header}
}

// wants sends a GET and wants this status, and the app to be reached if and only if it is 200.
func (p *proxied) wants(t *testing.T, why, key string, status int, headers ...string) answered {
	t.Helper()
	before, _, _ := p.app.served()
	answer := p.ask(t, http.MethodGet, key, "", headers...)
	after, _, _ := p.app.served()
	if answer.StatusCode != status || (after > before) != (status == http.StatusOK) {
		t.Errorf("%s: got %d, want %d; the app was reached %d times", why, answer.StatusCode, status, after-before)
	}
	return answer
}

// freePort returns an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// program returns the path of a program. In CI it must be there.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed: apt-get install nginx-light caddy", name)
		}
		t.Skipf("%s is not installed, so its example is not tried: apt-get install nginx-light caddy", name)
	}
	return path
}

// example returns one of the configurations with the words of pairs replaced, each of which must be there.
func example(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	content, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// run runs a proxy until the test ends, and waits until it listens.
func run(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Logf("%s ended: %v", cmd.Path, err)
		}
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, log)
		}
	})
	for limit := time.Now().Add(time.Minute); ; {
		dialer := net.Dialer{Timeout: time.Second}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", cmd.Path, err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not listen", cmd.Path)
		}
	}
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

func startNginx(t *testing.T, w *world, a *app) string {
	t.Helper()
	nginx, address, dir := program(t, "nginx"), freePort(t), t.TempDir()
	own := "http {\n access_log off;\n"
	for _, each := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		own += fmt.Sprintf(" %s_temp_path %s;\n", each, filepath.Join(dir, each))
	}
	conf := example(t, "nginx.conf", "listen 8000;", "listen "+address+";", "server spectron:9090;", "server "+host(w.data)+";",
		"server app:8080;", "server "+host(a.URL)+";", "context=default", "context="+w.id, "http {\n", own+" client_max_body_size 8m;\n")
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	directives := "daemon off; pid " + filepath.Join(dir, "pid") + ";"
	if os.Geteuid() == 0 {
		directives += " user root;" // its workers would be somebody else otherwise, to whom the folder is closed
	}
	run(t, address, exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", file, "-g", directives))
	return "http://" + address
}

func startCaddy(t *testing.T, w *world, a *app) string {
	t.Helper()
	caddy, address, dir := program(t, "caddy"), freePort(t), t.TempDir()
	conf := "{\n admin off\n}\n" + example(t, "Caddyfile", ":8000", "http://"+address, "spectron:9090", host(w.data), "app:8080", host(a.URL),
		"context=default", "context="+w.id)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(caddy, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	run(t, address, cmd)
	return "http://" + address
}

// TestProxies puts a real service behind each proxy, as the examples have it, and a real data plane behind that.
func TestProxies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *world, *app) string{"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deploySigning(t, dbtest.SQLite(t)).newWorld(t, "")
			a := newApp(t)
			p := &proxied{world: w, app: a, front: start(t, w, a)}
			t.Run("who passes", func(t *testing.T) { whoPasses(t, p) })       //nolint:paralleltest // one proxy, in order
			t.Run("who is told", func(t *testing.T) { whoIsTold(t, p) })      //nolint:paralleltest // see above
			t.Run("revocation", func(t *testing.T) { revocation(t, p) })      //nolint:paralleltest // see above
			t.Run("other methods", func(t *testing.T) { otherMethods(t, p) }) //nolint:paralleltest // see above
			t.Run("new keys", func(t *testing.T) { newKeys(t, p) })           //nolint:paralleltest // see above
			t.Run("an outage", func(t *testing.T) { anOutage(t, p) })         //nolint:paralleltest // see above, and the last
		})
	}
}

func whoPasses(t *testing.T, p *proxied) {
	t.Helper()
	if answer := p.wants(t, "no key", "", http.StatusUnauthorized); !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("no challenge: %v", answer.Header)
	}
	p.wants(t, "garbage", "garbage", http.StatusUnauthorized)
	p.wants(t, "another scheme", "", http.StatusUnauthorized, "Authorization", "Basic x")
	p.wants(t, "the operator", p.operator, http.StatusUnauthorized)
	p.wants(t, "a good key", p.key(t, "acme"), http.StatusOK)
	p.wants(t, "a good key again", p.key(t, "acme"), http.StatusOK)
	p.wants(t, "another region", p.key(t, "grantless"), http.StatusForbidden)
	p.wants(t, "another context", p.newWorld(t, "").key(t, "admin"), http.StatusUnauthorized)
}

// whoIsTold sends whatever a client might make up.
func whoIsTold(t *testing.T, p *proxied) {
	t.Helper()
	var made []string
	for _, name := range []string{
		"X-Spectron-Context", "X-Spectron-Principal", "X-Spectron-Principal-Kind", "X-Spectron-On-Behalf-Of", "X-Spectron-Key-Id", "X-Spectron-Key-Name",
		"X-Spectron-Scopes", "X-Spectron-Scopes-Cut", "X-Spectron-Verdict", "X-Spectron-As-Of", "X-Spectron-Assertion", "x-spectron-principal",
		"X_Spectron_Principal", "X-Spectron_Principal", "x_spectron-principal",
	} {
		made = append(made, name, "root")
	}
	p.wants(t, "made up headers", p.key(t, "acme"), http.StatusOK, made...)
	_, got, _ := p.app.served()
	want := map[string]string{
		"X-Spectron-Context": p.id, "X-Spectron-Principal": p.vars["acme.principal"], "X-Spectron-Principal-Kind": "agent",
		"X-Spectron-Key-Id": p.vars["acme.id"], "X-Spectron-Key-Name": "acme", "X-Spectron-Scopes-Cut": "false",
	}
	for name, value := range want {
		if values := got.Values(name); len(values) != 1 || values[0] != value {
			t.Errorf("%s: %q, want %q", name, values, value)
		}
	}
	for name, values := range got {
		if text := strings.Join(values, " "); strings.Contains(text, "root") || strings.Contains(text, p.key(t, "acme")) || name == "Authorization" {
			t.Errorf("the app is given %s", name)
		}
	}
	if !strings.Contains(got.Get("X-Spectron-Scopes"), "memory:read:org/acme/*") {
		t.Errorf("scopes %q", got.Get("X-Spectron-Scopes"))
	}
	claims, err := p.checked(t, got.Get("X-Spectron-Assertion"), p.keySet(t))
	if err != nil || claims["sub"] != p.id+"/"+p.vars["acme.principal"] || claims["key_id"] != p.vars["acme.id"] || claims["verb"] != "memory:read" ||
		claims["path"] != "org/acme/" || claims["iss"] != "spectron" {
		t.Errorf("the assertion: %v, %v", claims, err)
	}
	p.wants(t, "made up headers and no key", "", http.StatusUnauthorized, made...)
}

// revocation: the proxy's very next request is refused.
func revocation(t *testing.T, p *proxied) {
	t.Helper()
	keys := "/api/v1/contexts/" + p.id + "/keys/changing"
	key := p.must(t, request{
		method: http.MethodPost, path: keys, key: p.operator, body: `{"grants":{"memory:read":["org/acme/*"]}}`,
	}, http.StatusCreated).text(t, "key")
	for range 10 {
		p.wants(t, "before", key, http.StatusOK)
		p.wants(t, "from memory", key, http.StatusOK)
		next := p.must(t, request{method: http.MethodPost, path: keys + "/rotate", key: p.operator}, http.StatusOK).text(t, "key")
		p.wants(t, "rotated", key, http.StatusUnauthorized)
		key = next
	}
	p.wants(t, "the last one", key, http.StatusOK)
	p.must(t, request{method: http.MethodDelete, path: keys, key: p.operator}, http.StatusNoContent)
	p.wants(t, "revoked", key, http.StatusUnauthorized)
}

func otherMethods(t *testing.T, p *proxied) {
	t.Helper()
	body := strings.Repeat("x", 3<<20) // more than the data plane takes: it is not asked to
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		if answer := p.ask(t, method, p.key(t, "acme"), body); answer.StatusCode != http.StatusOK {
			t.Errorf("%s with a large body: %d", method, answer.StatusCode)
		}
		if _, _, read := p.app.served(); read != len(body) {
			t.Errorf("%s: the app got %d bytes of %d", method, read, len(body))
		}
		if answer := p.ask(t, method, "", "x"); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", method, answer.StatusCode)
		}
	}
	preflight := p.ask(t, http.MethodOptions, "", "", "Origin", "https://evil.example.com", "Access-Control-Request-Method", "POST")
	if preflight.StatusCode != http.StatusUnauthorized {
		t.Errorf("a preflight without a key: %d", preflight.StatusCode)
	}
}

// newKeys lets the keys of assertions be rotated while requests go on. A service that keeps the set as it is told, and fetches it anew for a
// key that it does not know, notices nothing.
func newKeys(t *testing.T, p *proxied) {
	t.Helper()
	set, seen := p.keySet(t), map[string]bool{}
	for limit := time.Now().Add(2 * time.Minute); len(seen) < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d keys have signed in two minutes", len(seen))
		}
		p.wants(t, "meanwhile", p.key(t, "acme"), http.StatusOK)
		_, got, _ := p.app.served()
		token := got.Get("X-Spectron-Assertion")
		if _, err := p.checked(t, token, set); err != nil {
			set = p.keySet(t)
			if _, err := p.checked(t, token, set); err != nil {
				t.Fatalf("after %d keys: %v", len(seen), err)
			}
		}
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		seen[fmt.Sprint(parsed.Header["kid"])] = true
	}
}

// keySet fetches the public keys, by id.
func (p *proxied) keySet(t *testing.T) map[string]ed25519.PublicKey {
	t.Helper()
	var set struct{ Keys []struct{ Kid, X string } }
	if err := json.Unmarshal(p.must(t, request{method: http.MethodGet, path: "/.well-known/jwks.json"}, http.StatusOK).body, &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, key := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil {
			t.Fatal(err)
		}
		keys[key.Kid] = x
	}
	return keys
}

// checked checks an assertion as the service would.
func (p *proxied) checked(t *testing.T, token string, keys map[string]ed25519.PublicKey) (jwt.MapClaims, error) {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		if key, ok := keys[fmt.Sprint(token.Header["kid"])]; ok {
			return key, nil
		}
		return nil, errors.New("no such key")
	}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer("spectron"), jwt.WithAudience("app"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	return claims, err
}

// anOutage takes the key manager away, and then the data plane: nothing passes any more.
func anOutage(t *testing.T, p *proxied) {
	t.Helper()
	p.keymanager.CloseClientConnections()
	p.keymanager.Close()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		// While its lease lasts, the verifier may answer from memory.
		answer := p.ask(t, http.MethodGet, p.key(t, "acme"), "")
		if answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "" {
			break
		}
		if answer.StatusCode != http.StatusOK || time.Now().After(limit) {
			t.Fatalf("without a key manager: %d %v", answer.StatusCode, answer.Header)
		}
	}
	p.wants(t, "after the lease", p.key(t, "acme"), http.StatusServiceUnavailable)
	p.deployment.front.CloseClientConnections()
	p.deployment.front.Close()
	p.wants(t, "without a data plane", p.key(t, "acme"), http.StatusBadGateway)
}
