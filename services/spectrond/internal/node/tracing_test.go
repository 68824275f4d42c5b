package node_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
)

// span is one as a collector sees it.
type span struct{ trace, id, parent, service, name string }

// receiver is a collector that takes OTLP over HTTP.
type receiver struct {
	mu    sync.Mutex // guards the following fields
	raw   bytes.Buffer
	spans []span
}

// ServeHTTP takes spans.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	content, err := io.ReadAll(request.Body)
	var export collector.ExportTraceServiceRequest
	if err != nil || request.URL.Path != "/v1/traces" || proto.Unmarshal(content, &export) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.Write(content)
	for _, resource := range export.GetResourceSpans() {
		service := ""
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, span{
					hex.EncodeToString(s.GetTraceId()), hex.EncodeToString(s.GetSpanId()), hex.EncodeToString(s.GetParentSpanId()), service, s.GetName(),
				})
			}
		}
	}
}

// find returns the span of a name within a service and a trace.
func (r *receiver) find(t *testing.T, trace, service, name string) span {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var seen []string
	for _, s := range r.spans {
		if s.trace == trace && s.service == service && s.name == name {
			return s
		}
		if s.trace == trace {
			seen = append(seen, s.service+" "+s.name)
		}
	}
	t.Fatalf("no span %q of %s; there are %q", name, service, seen)
	return span{}
}

// above reports whether one span is an ancestor of another.
func (r *receiver) above(ancestor, s span) bool {
	for s.parent != "" {
		if s.parent == ancestor.id {
			return true
		}
		found := false
		for _, other := range r.spans {
			if other.trace == s.trace && other.id == s.parent {
				s, found = other, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return false
}

const (
	callersSpan = "b7ad6b7169203331"
	hidden      = "oat-milk-memory"
)

// tracedWorld is both planes, at an address, whose spans go to one receiver.
type tracedWorld struct {
	*deployment
	address string
	spans   *receiver
}

func traced(t *testing.T) (world *tracedWorld, flush func()) {
	t.Helper()
	spans := &receiver{}
	server := httptest.NewServer(spans)
	t.Cleanup(server.Close)
	provider := func(service string) *sdk.TracerProvider {
		exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := tracing.New(t.Context(), service, "test", sdk.NewBatchSpanProcessor(exporter))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	control, data := provider("keymanager"), provider("dataplane")
	d := deploy(t, 500*time.Millisecond, func(c *keymanager.Config, p *dataplane.Config) { c.Tracing, p.Tracing = control, data })
	front := httptest.NewServer(d.data.Handler())
	t.Cleanup(front.Close)
	world = &tracedWorld{d, front.URL, spans}
	return world, func() {
		for _, p := range []*sdk.TracerProvider{control, data} {
			if err := p.ForceFlush(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// request sends one to the data plane, with a traceparent of the given trace and flags, and returns the answer's body.
func (d *tracedWorld) request(t *testing.T, method, target, key, body, trace, flags string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.address+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Traceparent", "00-"+trace+"-"+callersSpan+"-"+flags)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: status %d, %v", method, target, answer.StatusCode, err)
	}
	if got := answer.Header.Get("X-Trace-Id"); got != trace {
		t.Errorf("%s %s answers the trace id %s, want %s", method, target, got, trace)
	}
	return content
}

// One trace goes through both planes, down to the statements and the barrier; it says nothing that is secret; and whoever says that
// it is not recorded is believed on both sides.
func TestATraceGoesThroughBothPlanes(t *testing.T) {
	t.Parallel()
	d, flush := traced(t)
	spans := d.spans
	traces := map[string]string{}
	for _, name := range []string{"mint", "me", "fact", "query", "rotate", "unrecorded"} {
		traces[name] = tracing.NewID()
	}
	const keys = "/api/v1/contexts/acme/keys/agent-k"
	secrets := []string{d.management.Reveal(), hidden, "lactose-query", "Bearer", "eyJ", "agent-k"}
	var minted, rotated struct{ Key string }
	body := d.request(t, http.MethodPost, keys, d.management.Reveal(), "", traces["mint"], "01")
	if err := json.Unmarshal(body, &minted); err != nil {
		t.Fatal(err)
	}
	d.request(t, http.MethodGet, "/api/v1/acme/me", minted.Key, "", traces["me"], "01")
	d.request(t, http.MethodPost, "/api/v1/acme/facts", minted.Key, `{"text":"`+hidden+`"}`, traces["fact"], "01")
	d.request(t, http.MethodPost, "/api/v1/acme/query", minted.Key, `{"query":"lactose-query"}`, traces["query"], "01")
	if err := json.Unmarshal(d.request(t, http.MethodPost, keys+"/rotate", d.management.Reveal(), "", traces["rotate"], "01"), &rotated); err != nil {
		t.Fatal(err)
	}
	d.request(t, http.MethodGet, "/api/v1/acme/me", rotated.Key, "", traces["unrecorded"], "00")
	flush()
	for _, key := range []string{minted.Key, rotated.Key} {
		digest := apikey.DigestOf(key)
		secrets = append(secrets, key, key[len(key)-20:], hex.EncodeToString(digest[:]), string(digest[:]))
	}

	asked := spans.find(t, traces["me"], "dataplane", "GET /api/v1/:context_id/me")
	if asked.parent != callersSpan {
		t.Errorf("the parent of the first span is %s, want the caller's", asked.parent)
	}
	call := spans.find(t, traces["me"], "dataplane", "POST")
	answered := spans.find(t, traces["me"], "keymanager", "POST /internal/v1/introspections")
	if call.parent != asked.id || answered.parent != call.id {
		t.Error("the question is not the child of the request, or its answer not of the question")
	}
	if !spans.above(answered, spans.find(t, traces["me"], "keymanager", "statement")) {
		t.Error("the statements of an answer are elsewhere")
	}
	if !spans.above(spans.find(t, traces["fact"], "dataplane", "POST /api/v1/:context_id/facts"), spans.find(t, traces["fact"], "dataplane", "statement")) {
		t.Error("the statements of a write are elsewhere")
	}
	rotation := spans.find(t, traces["rotate"], "keymanager", "POST /api/v1/contexts/:context_id/keys/:name/rotate")
	if !spans.above(rotation, spans.find(t, traces["rotate"], "keymanager", "barrier")) ||
		!spans.above(spans.find(t, traces["rotate"], "dataplane", "POST /api/v1/contexts/*rest"), rotation) {
		t.Error("the barrier, the rotation and the request that asked for it are no line")
	}
	for _, s := range spans.spans {
		if s.trace == traces["unrecorded"] {
			t.Errorf("a span %q of a request that is not to be recorded", s.name)
		}
	}
	for i, secret := range secrets {
		if bytes.Contains(spans.raw.Bytes(), []byte(secret)) {
			t.Errorf("what is hidden, number %d, is in a span", i)
		}
	}
}
