package client_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/internal/openapitest"
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

// stub is a server with canned answers.
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

// newStub serves the answers by operationId, in order where there are several.
func newStub(t *testing.T, spec string, answers map[string][]answer) *stub {
	t.Helper()
	s := &stub{}
	s.URL = openapitest.Serve(t, spec, func(operation string, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		s.Seen = append(s.Seen, seen{r.Method, r.URL.RequestURI(), string(body)})
		if r.Header.Get("Authorization") != "Bearer "+testKey.Reveal() {
			t.Errorf("%s came without the key", operation)
		}
		queue := answers[operation]
		if len(queue) == 0 {
			t.Errorf("unexpected call of %s", operation)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answers[operation] = queue[1:]
		if queue[0].body != "" {
			w.Header().Set("Content-Type", "application/json")
		}
		maps.Copy(w.Header(), queue[0].header)
		w.WriteHeader(queue[0].status)
		_, _ = io.WriteString(w, queue[0].body)
	})
	return s
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
