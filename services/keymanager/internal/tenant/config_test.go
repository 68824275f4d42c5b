package tenant_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ before, patch, want string }{
		{``, `{}`, `{}`},
		{`{"token_limit":1}`, ``, `{"token_limit":1}`},
		{``, `{"token_limit":9007199254740993}`, `{"token_limit":9007199254740993}`},
		{`{"token_limit":1}`, `{"token_limit":null,"llm_extraction_enabled":false}`, `{"llm_extraction_enabled":false}`},
		{`{"models":{"a":{"b":1,"c":2}}}`, `{"models":{"a":{"b":null,"d":[null]}}}`, `{"models":{"a":{"c":2,"d":[null]}}}`},
		{`{"models":{"a":1}}`, `{"models":{"a":{"b":null}}}`, `{"models":{"a":{}}}`},
		{`{"models":{"a":{"b":1}}}`, `{"models":{"a":2.50}}`, `{"models":{"a":2.5}}`},
		{``, `{"providers":{"a":{"key":"hidden"},"b":{}}}`, `{"providers":{"a":{},"b":{}}}`},
		{`{"providers":{"a":{},"b":{}}}`, `{"providers":{"a":null}}`, `{"providers":{"b":{}}}`},
		{`{"providers":{"a":{}}}`, `{"providers":null}`, `{}`},
	} {
		got, err := tenant.Document(test.before).Patch(json.RawMessage(test.patch))
		if err != nil || string(got) != test.want {
			t.Errorf("%s patched by %s: %s, %v; want %s", test.before, test.patch, got, err, test.want)
		}
	}
}

func TestPatchRefuses(t *testing.T) {
	t.Parallel()
	for patch, field := range map[string]string{
		`null`:                                 "config",
		`[]`:                                   "config",
		`1`:                                    "config",
		`{`:                                    "config",
		`{"unknown":1}`:                        "config.unknown",
		`{"token_limit":"1"}`:                  "config.token_limit",
		`{"token_limit":1.5}`:                  "config.token_limit",
		`{"token_limit":-1}`:                   "config.token_limit",
		`{"max_token_ttl_seconds":0}`:          "config.max_token_ttl_seconds",
		`{"max_token_ttl_seconds":3153600001}`: "config.max_token_ttl_seconds",
		`{"trace_retention":{"x":1}}`:          "config.trace_retention.x",
		`{"trace_retention":{"x_days":-1}}`:    "config.trace_retention.x_days",
		`{"models":{"a":1e400}}`:               "config",
		`{"models":[]}`:                        "config.models",
		`{"providers":"x"}`:                    "config.providers",
		`{"models":{"a":"` + strings.Repeat("x", 64<<10) + `"}}`: "config",
	} {
		_, err := tenant.Document(nil).Patch(json.RawMessage(patch))
		var refusal *fault.Error
		if !errors.As(err, &refusal) || refusal.Kind != fault.Invalid || refusal.Field != field {
			t.Errorf("%.40s: %v, want Invalid about %s", patch, err, field)
		}
	}
}

// TestPatchIsAMergePatch compares with the definition in RFC 7396, on models, whose content is free.
func TestPatchIsAMergePatch(t *testing.T) {
	t.Parallel()
	values := rapid.Deferred(func() *rapid.Generator[any] { return jsonValue(3) })
	rapid.Check(t, func(t *rapid.T) {
		objects := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), values, 0, 3)
		before, patch := objects.Draw(t, "before"), objects.Draw(t, "patch")
		start, err := tenant.Document(nil).Patch(encode(t, map[string]any{"models": before}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := start.Patch(encode(t, map[string]any{"models": patch}))
		if err != nil {
			t.Fatal(err)
		}
		config, err := got.Config()
		if err != nil {
			t.Fatal(err)
		}
		want := mergePatch(mergePatch(nil, before), patch)
		if diff := cmp.Diff(want, any(config.Models)); diff != "" {
			t.Fatalf("-RFC +ours:\n%s", diff)
		}
	})
}

func jsonValue(depth int) *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{nil, true, 1.0, 2.5, "x", []any{nil, 1.0}})
	if depth == 0 {
		return leaf
	}
	object := rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), jsonValue(depth-1), 0, 3),
		func(m map[string]any) any { return m })
	return rapid.OneOf(leaf, object)
}

// mergePatch is the pseudo code of RFC 7396, section 2.
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if object, ok := target.(map[string]any); ok {
		maps.Copy(out, object)
	}
	for name, value := range changes {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = mergePatch(out[name], value)
		}
	}
	return out
}

func encode(t *rapid.T, value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
