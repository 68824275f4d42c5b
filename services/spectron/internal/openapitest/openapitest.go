// Package openapitest serves HTTP to tests and holds everything that passes against an OpenAPI document: what the code
// under test asks, and what the test's own handler answers.
package openapitest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Handler answers one request; operation is its operationId.
type Handler func(operation string, w http.ResponseWriter, r *http.Request)

// Serve serves handler until the test ends and returns the URL. The test fails when a request or an answer is not what
// the document in the file spec describes. Whether a request carries a credential is for handler to see.
func Serve(t *testing.T, spec string, handler Handler) string {
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
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(t, w, r, router, handler)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func check(t *testing.T, w http.ResponseWriter, r *http.Request, router routers.Router, handler Handler) {
	t.Helper()
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("%s %s: reading the request: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), request); err != nil {
		t.Errorf("%s %s is not what the document describes: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))

	answered := httptest.NewRecorder()
	handler(route.Operation.OperationID, answered, r)
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: answered.Code, Header: answered.Header(),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	answer.SetBodyBytes(answered.Body.Bytes())
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		t.Errorf("the answer to %s is not what the document describes: %v", route.Operation.OperationID, err)
	}
	maps.Copy(w.Header(), answered.Header())
	w.WriteHeader(answered.Code)
	_, _ = w.Write(answered.Body.Bytes())
}
