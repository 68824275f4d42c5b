package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPage runs the scripts in testdata/script: what users read about service accounts and tokens, command by command. Each ends
// with a search of everything that was written for every secret that was minted.
func TestPage(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if commands, _, _ := strings.Cut(string(content), "\n-- "); !strings.HasSuffix(strings.TrimSpace(commands), "\nsealed") {
			t.Errorf("%s does not end with sealed", script)
		}
	}
	p := params("testdata/script")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Values[ledgerKey{}] = &ledger{}
		return setup(env)
	}
	p.Cmds = maps.Clone(p.Cmds)
	maps.Copy(p.Cmds, map[string]func(*testscript.TestScript, bool, []string){
		"exits": recorded, "minted": minted, "sh": shell, "api": api, "sealed": sealed, "tokenid": tokenID, "flaky": flaky, "setenv": setenv, "readme": readme, "paired": paired,
	})
	testscript.Run(t, p)
}

// ledger is what a script has minted, and all that its commands have printed, less the tokens where they were to be.
type (
	ledger struct {
		secrets []string
		said    strings.Builder
	}
	ledgerKey struct{}
)

func ledgerOf(ts *testscript.TestScript) *ledger {
	l, _ := ts.Value(ledgerKey{}).(*ledger)
	return l
}

// outcome is how a command ended.
type outcome struct {
	status         int
	stdout, stderr string
}

// finish runs a command to its end.
func finish(ts *testscript.TestScript, prepare func(context.Context) *exec.Cmd) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := prepare(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// say makes the output of a command that of the script, and keeps it for the search.
func (l *ledger) say(ts *testscript.TestScript, out outcome) {
	l.said.WriteString(out.stdout)
	l.said.WriteString(out.stderr)
	_, _ = fmt.Fprint(ts.Stdout(), out.stdout)
	_, _ = fmt.Fprint(ts.Stderr(), out.stderr)
}

func (out outcome) expect(ts *testscript.TestScript, status string) {
	if strconv.Itoa(out.status) != status {
		ts.Fatalf("exit status %d, want %s: %s", out.status, status, out.stderr)
	}
}

// recorded [-stdin FILE] STATUS ARGUMENT… runs spl and checks its exit status.
func recorded(ts *testscript.TestScript, _ bool, args []string) {
	var input io.Reader
	if args[0] == "-stdin" {
		input, args = strings.NewReader(ts.ReadFile(args[1])), args[2:]
	}
	out := finish(ts, func(ctx context.Context) *exec.Cmd {
		cmd := command(ctx, ts, args[1:])
		cmd.Stdin = input
		return cmd
	})
	ledgerOf(ts).say(ts, out)
	out.expect(ts, args[0])
}

// shell [-mints NAME] FILE runs commands as they stand on the page, which must succeed; with -mints they must mint one token.
func shell(ts *testscript.TestScript, _ bool, args []string) {
	run := func() outcome {
		return finish(ts, func(ctx context.Context) *exec.Cmd {
			cmd := command(ctx, ts, nil)
			program := exec.CommandContext(ctx, "sh", "-eu", ts.MkAbs(args[len(args)-1]))
			program.Dir, program.Env = cmd.Dir, cmd.Env
			for _, name := range []string{"TOKEN", "SA", "TOKEN_ID"} {
				program.Env = append(program.Env, name+"="+ts.Getenv(name))
			}
			return program
		})
	}
	if args[0] == "-mints" {
		mint(ts, args[1], "0", run)
		return
	}
	out := run()
	ledgerOf(ts).say(ts, out)
	out.expect(ts, "0")
}

// minted [-status STATUS] NAME ARGUMENT… runs spl, which must print one token, once, on standard output. It becomes $NAME, and its
// account $NAME_SA.
func minted(ts *testscript.TestScript, _ bool, args []string) {
	status := "0"
	if args[0] == "-status" {
		status, args = args[1], args[2:]
	}
	mint(ts, args[0], status, func() outcome {
		return finish(ts, func(ctx context.Context) *exec.Cmd { return command(ctx, ts, args[1:]) })
	})
}

var tokenText = regexp.MustCompile(`spl_[a-z0-9-]+_(sa_[a-z0-9]{16})_[0-9A-Za-z]{35}`)

func mint(ts *testscript.TestScript, name, status string, run func() outcome) {
	out := run()
	l := ledgerOf(ts)
	found := tokenText.FindAllStringSubmatch(out.stdout, -1)
	out.stdout = tokenText.ReplaceAllString(out.stdout, "TOKEN")
	l.say(ts, out)
	out.expect(ts, status)
	if len(found) != 1 {
		ts.Fatalf("%d tokens were printed", len(found))
	}
	l.secrets = append(l.secrets, found[0][0])
	ts.Setenv(name, found[0][0])
	ts.Setenv(name+"_SA", found[0][1])
}

// tokenid NAME sets $NAME_ID to the id of the token $NAME: the SHA-256 of its secret.
func tokenID(ts *testscript.TestScript, _ bool, args []string) {
	token := ts.Getenv(args[0])
	sum := sha256.Sum256([]byte(token[strings.LastIndex(token, "_")+1:]))
	ts.Setenv(args[0]+"_ID", hex.EncodeToString(sum[:]))
}

// api [-token T] [-actor A] [-body JSON] STATUS METHOD PATH sends a request as other programs do; the body of the answer is the
// output. Without -actor the one that commands claim is claimed.
func api(ts *testscript.TestScript, _ bool, args []string) {
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
	token, actor, body := flags.String("token", "", ""), flags.String("actor", "", ""), flags.String("body", "", "")
	ts.Check(flags.Parse(args))
	r, err := http.NewRequestWithContext(context.Background(), flags.Arg(1), ts.Getenv("URL")+flags.Arg(2), strings.NewReader(*body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if *token != "" {
		r.Header.Set("Authorization", "Bearer "+*token)
	}
	if *actor != "" {
		r.Header.Set("X-Syncropel-Actor", *actor)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	ts.Check(err)
	content, err := io.ReadAll(answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	ledgerOf(ts).say(ts, outcome{stdout: string(content)})
	if strconv.Itoa(answer.StatusCode) != flags.Arg(0) {
		ts.Fatalf("status %d, want %s: %s", answer.StatusCode, flags.Arg(0), content)
	}
}

// sealed stops the daemon and searches for every token that was minted: in the state directory, but for the file that the user
// asked for, in the logs, and in all that was printed.
func sealed(ts *testscript.TestScript, _ bool, _ []string) {
	l := ledgerOf(ts)
	_ = finish(ts, func(ctx context.Context) *exec.Cmd { return command(ctx, ts, []string{"serve", "--stop"}) }) // if it runs
	dir := stateDir(ts)
	texts := map[string]string{"what was printed": l.said.String()}
	ts.Check(filepath.WalkDir(dir.Path(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path == dir.Token() {
			return err
		}
		content, err := os.ReadFile(path)
		texts[path] = string(content)
		return err
	}))
	if len(l.secrets) > 0 && (!strings.Contains(texts[dir.Store()], l.secrets[0][9:28]) || texts[dir.Log()] == "") {
		ts.Fatalf("what is searched is not what was written")
	}
	for place, text := range texts {
		for i, token := range l.secrets {
			for form, needle := range formsOf(token) {
				if strings.Contains(text, needle) {
					ts.Fatalf("%s holds token %d as %s", place, i, form)
				}
			}
		}
	}
}

// formsOf are the ways in which a token could be written.
func formsOf(token string) map[string]string {
	secret := token[strings.LastIndex(token, "_")+1:]
	digest := sha256.Sum256([]byte(token))
	return map[string]string{
		"its text":                   token,
		"its secret":                 secret,
		"its secret, less the check": secret[:29],
		"its secret in hex":          hex.EncodeToString([]byte(secret)),
		"its secret in base64":       base64.RawStdEncoding.EncodeToString([]byte(secret))[:44],
		"the digest of the whole":    string(digest[:]),
		"that in hex":                hex.EncodeToString(digest[:]),
	}
}

// setenv NAME sets $NAME to the output of the command before.
func setenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// readme FILE writes the session of docs/spl.md into a file.
func readme(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile("../../../../docs/spl.md")
	ts.Check(err)
	_, section, _ := strings.Cut(string(text), "\n## A session\n")
	_, rest, _ := strings.Cut(section, "\n```sh\n")
	session, _, ok := strings.Cut(rest, "\n```\n")
	if !ok {
		ts.Fatalf("the document has no session of spl")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(session+"\n"), 0o600))
}

// flaky NAME SUFFIX… sets $NAME to a way to the daemon on which revocations of ids that end so get no answer but 503.
func flaky(ts *testscript.TestScript, _ bool, args []string) {
	target, err := url.Parse(ts.Getenv("URL"))
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	listener, address := listen(ts)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, suffix := range args[1:] {
			if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, suffix) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, `{"object":"error","code":"UNAVAILABLE","message":"it is not a good day"}`)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	ts.Defer(func() { _ = server.Close() })
	ts.Setenv(args[0], address)
}

// paired NAME ARGUMENT… runs spl pair and reads what a device would: the link, or the JSON alone. Its token becomes $NAME; the
// output is what the device learns, and the text, both without the token.
func paired(ts *testscript.TestScript, _ bool, args []string) {
	out := finish(ts, func(ctx context.Context) *exec.Cmd { return command(ctx, ts, append([]string{"pair"}, args[1:]...)) })
	learnt := strings.TrimSpace(out.stdout)
	if link, rest, ok := strings.Cut(learnt, "\n\n"); ok {
		decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(link, "https://syncropel.com/local/pair#"))
		ts.Check(err)
		learnt = string(decoded)
		_, text, _ := strings.Cut(rest, "\n\n")
		if !strings.Contains(rest, "████") || len(tokenText.FindAllString(text, -1)) != 1 {
			ts.Fatalf("there is no code, or no text after it")
		}
		out.stdout = learnt + "\n" + text
	}
	found := tokenText.FindStringSubmatch(learnt)
	var fields map[string]string
	ts.Check(json.Unmarshal([]byte(learnt), &fields))
	if len(fields) != 3 || len(found) != 2 || fields["token"] != found[0] {
		ts.Fatalf("%d fields", len(fields))
	}
	l := ledgerOf(ts)
	l.secrets = append(l.secrets, found[0])
	ts.Setenv(args[0], found[0])
	ts.Setenv(args[0]+"_SA", found[1])
	out.stdout = strings.ReplaceAll(out.stdout, found[0], "TOKEN")
	l.say(ts, out)
	out.expect(ts, "0")
}

// listen listens on a free port.
func listen(ts *testscript.TestScript) (net.Listener, string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	return listener, "http://" + listener.Addr().String()
}
