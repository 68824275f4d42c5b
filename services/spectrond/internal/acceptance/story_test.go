package acceptance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// story is what happens, in this order, in a context of its own.
type story struct {
	section string
	config  string // the body with which the context is created
	steps   []step
}

// step is one line of the contract.
type step struct {
	// line names it: the route, then what is promised.
	line string
	// as is the role whose key is sent, or "nobody", "operator", or <name> of a key that was saved.
	as string
	// call is the method and the path, which is one of the data plane in this context unless it begins with a slash. After " | " come
	// headers.
	call   string
	body   string // empty: no body and no Content-Type
	status int
	// want is what the body must match; see match. &name is an answer that was saved as &name: it must be the same, but for the path.
	want string
	// save keeps parts of the answer for later steps, as in session=id; &name keeps the answer.
	save string
}

// TestContract holds a deployment against the contract's tables.
func TestContract(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := deploy(t, url)
		t.Run("lines", func(t *testing.T) {
			for _, s := range stories() {
				t.Run(s.section, func(t *testing.T) {
					t.Parallel()
					w := d.newWorld(t, s.config)
					for _, st := range s.steps {
						t.Run(st.line, func(t *testing.T) { w.tell(t, st) }) //nolint:paralleltest // the steps of a story follow one another
					}
				})
			}
		})
	})
}

// stories are all stories, by section of the contract.
func stories() []story {
	var all []story
	for _, section := range [][]story{
		section1, section1Statuses, section2, section3Contexts, section3Principals, section3Keys, keySettings, section4, section4Delegation,
		section5Keys, section5Scopes, section5Principals, section5Sessions, section5Facts, section5Recall, section5Structured, section5Traces,
		section7, section8, webhooks, leaks,
	} {
		all = append(all, section...)
	}
	return all
}

// tell does one step.
func (w *world) tell(t *testing.T, s step) {
	t.Helper()
	r := w.request(t, s)
	a := w.send(t, r)
	if a.status != s.status {
		t.Fatalf("%s: got %d, want %d: %s", s.call, a.status, s.status, public(a))
	}
	normal := normalise(a, r.path)
	switch {
	case strings.HasPrefix(s.want, "&"):
		if before := w.vars[s.want]; before != normal {
			t.Errorf("%s: two answers that must be alike:\n%s\n%s", s.call, before, normal)
		}
	case s.want != "":
		var want any
		if err := json.Unmarshal([]byte(w.fill(t, s.want)), &want); err != nil {
			t.Fatalf("what is wanted is not JSON: %v", err)
		}
		if err := match("body", want, a.json(t)); err != nil {
			t.Errorf("%s: %v", s.call, err)
		}
	case s.status == http.StatusNoContent && len(a.body) > 0:
		t.Errorf("%s: 204 with a body", s.call)
	}
	for save := range strings.FieldsSeq(s.save) {
		if strings.HasPrefix(save, "&") {
			w.vars[save] = normal
			continue
		}
		name, path, _ := strings.Cut(save, "=")
		w.vars[name] = lookup(t, a.json(t), path)
	}
}

// request makes the request of a step.
func (w *world) request(t *testing.T, s step) request {
	t.Helper()
	call, headers, _ := strings.Cut(s.call, " | ")
	method, path, ok := strings.Cut(call, " ")
	if !ok {
		t.Fatalf("%q names no path", s.call)
	}
	r := request{method: method, path: w.path(w.fill(t, path)), body: w.fill(t, s.body), header: map[string]string{}}
	for header := range strings.SplitSeq(headers, " | ") {
		if name, value, ok := strings.Cut(header, ": "); ok {
			r.header[name] = w.fill(t, value)
		}
	}
	if strings.HasPrefix(s.as, "<") {
		r.key = w.fill(t, s.as)
	} else {
		r.key = w.key(t, s.as)
	}
	return r
}

// fill puts what was saved in the place of each <name>. <role.id> and <role.principal> mint the role's key when need be.
func (w *world) fill(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "<")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, closed := strings.Cut(rest, ">")
		if !closed {
			t.Fatalf("%q: < without >", text)
		}
		if role, _, of := strings.Cut(name, "."); of {
			w.key(t, role)
		}
		value, ok := w.vars[name]
		if !ok {
			t.Fatalf("nothing was saved as %s", name)
		}
		out.WriteString(value)
		text = after
	}
}

// normalise returns what a client sees of an answer, without what names the request.
func normalise(a answer, path string) string {
	path, _, _ = strings.Cut(path, "?")
	var body map[string]any
	text := a.body
	if json.Unmarshal(a.body, &body) == nil && body["instance"] != nil {
		body["instance"] = "(the path)"
		text, _ = json.Marshal(body)
	}
	text = bytes.ReplaceAll(text, []byte(path), []byte("(the path)"))
	for segment := range strings.SplitSeq(path, "/") { // a refusal may say what it was asked for
		text = bytes.ReplaceAll(text, []byte(`\"`+segment+`\"`), []byte("(a name)"))
	}
	header := a.header.Clone()
	for _, name := range []string{"X-Trace-Id", "Date", "Content-Length"} {
		header.Del(name)
	}
	shown, _ := json.Marshal(header)
	return http.StatusText(a.status) + "\n" + string(shown) + "\n" + string(text)
}
