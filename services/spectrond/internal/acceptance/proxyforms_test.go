package acceptance_test

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// traefik is what the example for Traefik says, and nothing else.
type traefik struct {
	HTTP struct {
		Routers map[string]struct {
			Rule, Service string
			Middlewares   []string
		}
		Middlewares map[string]struct {
			Headers *struct {
				CustomRequestHeaders map[string]string `yaml:"customRequestHeaders"`
			}
			ForwardAuth *struct {
				Address             string
				TrustForwardHeader  bool     `yaml:"trustForwardHeader"`
				AuthRequestHeaders  []string `yaml:"authRequestHeaders"`
				AuthResponseHeaders []string `yaml:"authResponseHeaders"`
			} `yaml:"forwardAuth"`
		}
		Services map[string]struct {
			LoadBalancer struct {
				Servers []struct{ URL string }
			} `yaml:"loadBalancer"`
		}
	}
}

func parse(t *testing.T, name string, strict bool, into any) {
	t.Helper()
	content, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(strict)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// identityHeaders are those by which a service behind a proxy is told who asks, as the document lists them.
func identityHeaders(t *testing.T) (names []string) {
	t.Helper()
	op, ok := doors.find(http.MethodGet, "/verify")
	if !ok {
		t.Fatal("the document has no /verify")
	}
	for name := range op.Responses.Status(http.StatusOK).Value.Headers {
		names = append(names, name)
	}
	if len(names) < 10 {
		t.Fatalf("the document lists %v", names)
	}
	return names
}

// TestTheExampleForTraefik sends what Traefik sends for it: a GET of the address, with the client's request in X-Forwarded headers. Traefik
// itself is not run.
func TestTheExampleForTraefik(t *testing.T) {
	t.Parallel()
	var conf traefik
	parse(t, "traefik.yaml", true, &conf)
	router := conf.HTTP.Routers["app"]
	for _, name := range router.Middlewares {
		if _, ok := conf.HTTP.Middlewares[name]; !ok {
			t.Errorf("there is no middleware %s", name)
		}
	}
	if _, ok := conf.HTTP.Services[router.Service]; !ok || !slices.Equal(router.Middlewares, []string{"names", "spectron", "key"}) {
		t.Errorf("the router: %+v", router)
	}
	auth := conf.HTTP.Middlewares["spectron"].ForwardAuth
	removed := conf.HTTP.Middlewares["names"].Headers.CustomRequestHeaders
	for _, name := range identityHeaders(t) {
		if value, ok := removed[name]; !slices.Contains(auth.AuthResponseHeaders, name) && (!ok || value != "") {
			t.Errorf("the client's own %s is neither replaced nor removed", name)
		}
	}
	path, ok := strings.CutPrefix(auth.Address, "http://spectron:9090")
	if !ok || auth.TrustForwardHeader || !slices.Equal(auth.AuthRequestHeaders, []string{"Authorization"}) {
		t.Errorf("forwardAuth: %+v", auth)
	}
	asked(t, func(w *world, key string) request {
		return request{method: http.MethodGet, path: strings.Replace(path, "context=default", "context="+w.id, 1), key: key, header: map[string]string{
			"X-Forwarded-Method": "POST", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com", "X-Forwarded-Uri": "/api/things?verb=x",
			"X-Forwarded-For": "192.0.2.1",
		}}
	})
}

// TestTheExampleForEnvoy sends what Envoy sends for it: the client's own method and URL behind the prefix, without its body. Envoy itself
// is not run, so of its configuration only what is looked at here is known to be right.
func TestTheExampleForEnvoy(t *testing.T) {
	t.Parallel()
	var conf map[string]any
	parse(t, "envoy.yaml", false, &conf)
	filters := find(conf, "http_filters")
	var order []string
	for _, filter := range filters.([]any) { //nolint:errcheck // a panic says what is wrong, too
		order = append(order, strings.TrimPrefix(filter.(map[string]any)["name"].(string), "envoy.filters.http.")) //nolint:errcheck // see above
	}
	if !slices.Equal(order, []string{"header_mutation", "ext_authz", "router"}) {
		t.Errorf("filters %v", order)
	}
	var removed []string
	for _, each := range find(conf, "request_mutations").([]any) { //nolint:errcheck // see above
		removed = append(removed, each.(map[string]any)["remove"].(string)) //nolint:errcheck // see above
	}
	for _, name := range identityHeaders(t) {
		if !slices.Contains(removed, strings.ToLower(name)) {
			t.Errorf("the client's own %s is not removed", name)
		}
	}
	if find(conf, "failure_mode_allow") != false || find(conf, "headers_with_underscores_action") != "REJECT_REQUEST" {
		t.Error("something passes without an answer, or with underscores")
	}
	prefix, _ := find(conf, "path_prefix").(string)
	asked(t, func(w *world, key string) request {
		return request{
			method: http.MethodPost, path: strings.Replace(prefix, "context=default", "context="+w.id, 1) + "/api/things;x?verb=nonsense&q=1", key: key,
			header: map[string]string{"X-Forwarded-For": "192.0.2.1"},
		}
	})
}

// find returns the first value of that name, anywhere in a document.
func find(in any, name string) any {
	switch in := in.(type) {
	case map[string]any:
		if value, ok := in[name]; ok {
			return value
		}
		for _, value := range in {
			if found := find(value, name); found != nil {
				return found
			}
		}
	case []any:
		for _, value := range in {
			if found := find(value, name); found != nil {
				return found
			}
		}
	}
	return nil
}

// asked asks as a proxy does, for everybody.
func asked(t *testing.T, as func(w *world, key string) request) {
	t.Helper()
	w := deploy(t, dbtest.SQLite(t)).newWorld(t, "")
	for role, status := range map[string]int{"acme": 200, "grantless": 403, "nobody": 401} {
		w.must(t, as(w, w.key(t, role)), status)
	}
	w.must(t, as(w, w.newWorld(t, "").key(t, "admin")), http.StatusUnauthorized)
}
