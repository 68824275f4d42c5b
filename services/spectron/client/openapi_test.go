package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

const (
	managementSpec = "../../keymanager/api/openapi.yaml"
	dataSpec       = "../../dataplane/api/openapi.yaml"
)

// testKey is well formed; no server has ever known it.
var testKey = mustMint()

func mustMint() apikey.Key {
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		panic(err)
	}
	return key
}

// bearerOnly checks the credential of each operation that asks for one.
func bearerOnly(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	if input.RequestValidationInput.Request.Header.Get("Authorization") != "Bearer "+testKey.Reveal() {
		return errors.New("the request does not carry the key")
	}
	return nil
}

// stub is a server that knows one answer per operation of an OpenAPI document. It holds every request, and every one of
// its own answers, against the document.
type stub struct {
	URL string
	// Seen are the requests, in order.
	Seen []seen
}

// seen is a request, reduced to what a test looks at.
type seen struct {
	Method, URI, Body string
}

type answer struct {
	status int
	header http.Header
	body   string
}

// newStub serves the answers, by operationId, in order when there are several.
func newStub(t *testing.T, spec string, answers map[string][]answer) *stub {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // any host will do
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.Seen = append(s.Seen, seen{r.Method, r.URL.RequestURI(), string(body)})
		s.serve(t, w, r, router, answers)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *stub) serve(t *testing.T, w http.ResponseWriter, r *http.Request, router routers.Router, answers map[string][]answer) {
	t.Helper()
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: bearerOnly},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		t.Errorf("%s %s is not what the document describes: %v", r.Method, r.URL.Path, err)
	}
	queue := answers[route.Operation.OperationID]
	if len(queue) == 0 {
		t.Errorf("unexpected call of %s", route.Operation.OperationID)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	next := queue[0]
	answers[route.Operation.OperationID] = queue[1:]

	header := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(header, next.header)
	if next.status != http.StatusNoContent {
		output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: next.status, Header: header}
		output.SetBodyBytes([]byte(next.body))
		if err := openapi3filter.ValidateResponse(r.Context(), output); err != nil {
			t.Errorf("the canned answer to %s is not what the document describes: %v", route.Operation.OperationID, err)
		}
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
}

// sameJSON checks that got, encoded, is want: that nothing of the answer was lost on the way into Go.
func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var g, w any
	if err := json.Unmarshal(encoded, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("answer (-sent +decoded):\n%s", diff)
	}
}
