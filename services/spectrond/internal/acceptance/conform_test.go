package acceptance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// document is one of the four API documents.
type document struct {
	name       string
	operations []operation
}

// operation is one method of one route.
type operation struct {
	document, method, route string
	segments                []string
	*openapi3.Operation
	item *openapi3.PathItem
}

var (
	dataPlane  = load("dataplane", "dataplane/api/openapi.yaml")
	keyManager = load("keymanager", "keymanager/api/openapi.yaml")
	splFace    = load("spl", "dataplane/api/spl.yaml")
	doors      = load("doors", "dataplane/api/doors.yaml")

	// seen holds "document operation status" of everything that was answered.
	seen sync.Map
)

func load(name, file string) document {
	spec, err := openapi3.NewLoader().LoadFromFile("../../../" + file)
	if err != nil {
		panic(err)
	}
	d := document{name: name}
	for _, route := range slices.Sorted(maps.Keys(spec.Paths.Map())) {
		item := spec.Paths.Value(route)
		described := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(described)) {
			d.operations = append(d.operations, operation{name, method, route, strings.Split(route, "/"), described[method], item})
		}
	}
	return d
}

// find returns the operation that a request means: the one with the most words that are not parameters.
func (d document) find(method, path string) (operation, bool) {
	best, rank := operation{}, -1
	path, _, _ = strings.Cut(path, "?")
	given := strings.Split(path, "/")
	for _, op := range d.operations {
		if op.method != method || len(op.segments) != len(given) {
			continue
		}
		words := 0
		for i, segment := range op.segments {
			switch {
			case segment == given[i]:
				words++
			case !strings.HasPrefix(segment, "{"):
				words = -len(given)
			}
		}
		if words > rank {
			best, rank = op, words
		}
	}
	return best, rank >= 0
}

// operationOf returns the operation that r means, if a document describes it.
func operationOf(r request) (operation, bool) {
	if ofSpl(r.path) {
		return splFace.find(r.method, strings.Replace(r.path, "/v1/federation/sync/", "/v1/sync/", 1))
	}
	if ofDoors(r.path) {
		return doorOf(r)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.path, "/api/v1/"), "/")
	first, _, _ = strings.Cut(first, "?")
	if r.direct || slices.Contains([]string{"contexts", "verbs", "migrations"}, first) {
		return keyManager.find(r.method, r.path)
	}
	return dataPlane.find(r.method, r.path)
}

// ofSpl reports whether a path is one of the spl face.
func ofSpl(path string) bool {
	return strings.HasPrefix(path, "/v1/") || path == "/.well-known/syncropel"
}

// ofDoors reports whether a path is one of the doors.
func ofDoors(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return path == "/verify" || strings.HasPrefix(path, "/verify/") || path == "/oauth2/introspect" || path == "/.well-known/jwks.json"
}

// doorOf returns the operation that r means: a proxy may ask with any method, and about any path below its prefix.
func doorOf(r request) (operation, bool) {
	path, _, _ := strings.Cut(r.path, "?")
	switch {
	case path == "/verify":
		return doors.find(http.MethodGet, path)
	case strings.HasPrefix(path, "/verify/"):
		return doors.find(http.MethodGet, "/verify/rest")
	default:
		return doors.find(r.method, path)
	}
}

// conform holds an answer against the document: the status must be described, and the body must be as its schema says. An error must have
// the body of all errors.
func conform(tb testing.TB, r request, a answer) {
	tb.Helper()
	checkProblem(tb, r, a)
	if a.header.Get("X-Trace-Id") == "" {
		tb.Errorf("%s %s: no X-Trace-Id", r.method, r.path)
	}
	op, ok := operationOf(r)
	if !ok {
		return
	}
	name := fmt.Sprintf("%s %s %d", op.document, op.OperationID, a.status)
	seen.Store(name, true)
	described := op.Responses.Status(a.status)
	if described == nil {
		tb.Errorf("%s %s: the document describes no such answer: %s %s", r.method, r.path, name, public(a))
		return
	}
	if len(described.Value.Content) == 0 {
		if len(a.body) > 0 {
			tb.Errorf("%s: a body where none is described", name)
		}
		return
	}
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	media := described.Value.Content.Get(kind)
	if media == nil {
		tb.Errorf("%s: content type %q is not described", name, kind)
		return
	}
	if err := media.Schema.Value.VisitJSON(a.json(tb)); err != nil {
		tb.Errorf("%s: the body is not as described: %s", name, strings.SplitN(err.Error(), "\n", 2)[0])
	}
}

// checkProblem wants of every error what section 1.3 says of errors.
func checkProblem(tb testing.TB, r request, a answer) {
	tb.Helper()
	if a.status < http.StatusBadRequest || strings.HasSuffix(r.path, "/mcp") && a.status != http.StatusUnauthorized {
		return
	}
	got := a.header.Get("Content-Type")
	if r.path == "/oauth2/introspect" && (a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized) && got == "application/json; charset=utf-8" {
		return // as OAuth has it
	}
	if !strings.HasPrefix(got, "application/problem+json") {
		tb.Errorf("%s %s: %d with content type %q", r.method, r.path, a.status, got)
		return
	}
	var p struct {
		Type, Title, Detail, Instance, Message *string
		Status                                 int
		Object, Code                           string
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		tb.Errorf("%s %s: %v", r.method, r.path, err)
		return
	}
	for name, field := range map[string]*string{"type": p.Type, "title": p.Title, "detail": p.Detail, "instance": p.Instance, "message": p.Message} {
		if field == nil || *field == "" {
			tb.Errorf("%s %s: %d without %s: %s", r.method, r.path, a.status, name, a.body)
			return
		}
	}
	if p.Status != a.status || *p.Message != *p.Detail {
		tb.Errorf("%s %s: %d with %s", r.method, r.path, a.status, a.body)
	}
	if ofSpl(r.path) && (p.Object != "error" || p.Code == "") {
		tb.Errorf("%s %s: %d without object and code: %s", r.method, r.path, a.status, a.body)
	}
	path, _, _ := strings.Cut(r.path, "?")
	if decoded, err := url.PathUnescape(path); *p.Instance != path && (err != nil || *p.Instance != decoded) {
		tb.Errorf("%s %s: instance %q", r.method, r.path, *p.Instance)
	}
	if a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		tb.Errorf("%s %s: 401 without WWW-Authenticate", r.method, r.path)
	}
}

// unreached returns the answers of all documents that no test has got.
func unreached() []string {
	var missing []string
	for _, d := range []document{dataPlane, keyManager, splFace, doors} {
		for _, op := range d.operations {
			for status := range op.Responses.Map() {
				code, _ := strconv.Atoi(status)
				if _, ok := seen.Load(fmt.Sprintf("%s %s %d", d.name, op.OperationID, code)); !ok {
					missing = append(missing, fmt.Sprintf("%s %s (%s %s) %s", d.name, op.OperationID, op.method, op.route, status))
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}
