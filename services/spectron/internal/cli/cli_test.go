package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/internal/cli"
	"github.com/spectron-hq/spectron/services/spectron/internal/openapitest"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
)

// exitLeak is the status of a run that printed a key without being told to.
const exitLeak = 99

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"spectron": spectron})
}

// spectron is the program, and fails when it shows the secret of the test's key without --reveal.
func spectron() {
	var shown bytes.Buffer
	status := cli.Run(context.Background(), cli.Process{
		Args: os.Args[1:], In: os.Stdin, Out: io.MultiWriter(os.Stdout, &shown), Err: io.MultiWriter(os.Stderr, &shown),
		Environment: settings.Environment, Version: "1.2.3",
	})
	key, err := apikey.Parse(os.Getenv("KEY"))
	if err != nil {
		panic("the script has no KEY")
	}
	secret := strings.TrimPrefix(key.Reveal(), "sp-"+key.ID()+"-")
	asked := strings.Join(os.Args, " ")
	if strings.Contains(shown.String(), secret) && !strings.Contains(asked, "--reveal") {
		os.Exit(exitLeak)
	}
	os.Exit(status)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			key, err := apikey.Mint(apikey.NewID())
			if err != nil {
				return err
			}
			memory := &memory{key: key, log: env.WorkDir + "/asked"}
			env.Setenv("KEY", key.Reveal())
			env.Setenv("SERVER", openapitest.Serve(t, "../../../dataplane/api/openapi.yaml", memory.serve))
			env.Setenv("MANAGEMENT", openapitest.Serve(t, "../../../keymanager/api/openapi.yaml", memory.serve))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("CONFIG", env.WorkDir+"/.config/spectron/config.toml")
			// What it shows must not depend on the machine that runs the test.
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mode": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
					ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
				}
			},
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				if got := exitCode(err); got != args[0] {
					ts.Fatalf("exit status %s, want %s", got, args[0])
				}
			},
		},
	})
}

// exitCode returns the exit status that err tells of.
func exitCode(err error) string {
	if err == nil {
		return "0"
	}
	return strings.TrimPrefix(err.Error(), "exit status ")
}

// What waits for standard input ends with the context, although the reading itself cannot be stopped.
func TestInterruptWhileReading(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"login", "--context-id", "acme"}, {"remember", "--from-file", "-"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			silence, speak := io.Pipe()
			t.Cleanup(func() { _ = speak.Close() })
			home := t.TempDir()
			cancel(errors.New("interrupted"))
			var complaint bytes.Buffer
			status := cli.Run(ctx, cli.Process{
				Args: args, In: silence, Out: io.Discard, Err: &complaint,
				Environment: func(name string) string { return map[string]string{"HOME": home}[name] },
			})
			if got, want := complaint.String(), "spectron: reading standard input: interrupted\n"; status != 1 || got != want {
				t.Errorf("status %d, %q; want 1, %q", status, got, want)
			}
		})
	}
}

// memory is a server that remembers texts in context acme, and finds those that hold the query.
type memory struct {
	key apikey.Key
	// log is the file that tells what was asked, one request a line.
	log string

	mu    sync.Mutex // guards texts
	texts []string
}

func (m *memory) serve(operation string, w http.ResponseWriter, r *http.Request) {
	m.record(r)
	switch canned, ok := answers[operation]; {
	case r.Header.Get("Authorization") != "Bearer "+m.key.Reveal() ||
		!strings.Contains(r.URL.Path+"/", "/acme/"):
		refuse(w, r, fault.BadCredential())
	case strings.Contains(r.URL.Path, "nowhere"):
		refuse(w, r, fault.New(fault.NotFound, "there is no such thing"))
	case ok:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(canned.status)
		_, _ = io.WriteString(w, canned.body)
	case strings.HasPrefix(operation, "mint") || strings.HasPrefix(operation, "rotate"):
		m.mint(w, operation)
	case operation == "getMe":
		identity := map[string]any{
			"principalId": "p1", "displayName": "planner", "kind": "agent", "contextId": "acme",
			"grants":          map[string][]string{"memory:read": {"/*"}},
			"effectiveGrants": map[string][]string{"memory:read": {"org/acme/*", "user/ada"}, "memory:write": {"org/acme/*"}},
		}
		if target := r.Header.Get("X-Spectron-On-Behalf-Of"); target != "" {
			identity["delegatedPrincipalId"] = target
		}
		reply(w, identity)
	case operation == "addFacts":
		m.remember(w, r)
	default:
		m.recall(w, r)
	}
}

func (m *memory) remember(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Text    string
		Infer   string
		Scopes  [][]string
		Triples []any
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, r, fault.New(fault.Invalid, "not JSON"))
		return
	}
	if body.Text == "" && len(body.Triples) == 0 {
		refuse(w, r, fault.InvalidField("text", "must not be empty"))
		return
	}
	for _, clause := range body.Scopes {
		if !strings.HasPrefix(clause[0], "org/acme") {
			refuse(w, r, fault.New(fault.Forbidden, "this needs memory:write over %s", clause[0]))
			return
		}
	}
	if body.Infer == "preview" {
		reply(w, map[string]any{"mode": "preview", "sessionId": "", "preview": true})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts = append(m.texts, body.Text)
	reply(w, map[string]any{"mode": body.Infer, "sessionId": "s1", "turnId": "t1", "chunkId": fmt.Sprintf("c%d", len(m.texts))})
}

func (m *memory) recall(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Query string
		K     int
		Mode  string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, r, fault.New(fault.Invalid, "not JSON"))
		return
	}
	if body.Mode == "vector" {
		refuse(w, r, fault.InvalidField("mode", "there are no embeddings"))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	hits := []map[string]any{}
	for i, text := range m.texts {
		if strings.Contains(text, body.Query) && (body.K == 0 || len(hits) < body.K) {
			hits = append(hits, map[string]any{"id": fmt.Sprintf("c%d", i+1), "text": text, "source": "memory_chunk", "score": 1.5})
		}
	}
	reply(w, map[string]any{
		"tier": "hybrid", "hits": hits, "queryMs": 1, "classificationKind": "hybrid", "seedEntities": []string{},
		"trace": map[string]any{
			"traceId": "t", "resolutionTier": "hybrid", "tierReason": "words", "latencyMs": 1, "retrievedCount": len(hits), "topScores": []float64{},
		},
	})
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, r *http.Request, err *fault.Error) {
	w.Header().Set("Content-Type", fault.ContentType)
	w.WriteHeader(err.Kind.Status())
	_ = json.NewEncoder(w).Encode(fault.ProblemOf(err, r.URL.Path, "trace"))
}
