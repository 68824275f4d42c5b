package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Config is the effective configuration of a context, defaults filled in.
type Config struct {
	// AllowSelfServiceKeys lets keys mint and rotate keys on the data plane.
	AllowSelfServiceKeys bool
	// MaxTokenTTL caps the time to live of keys, in seconds; 0 is no cap.
	MaxTokenTTL          int64
	LLMExtractionEnabled bool
	// TokenLimit is nil where there is none.
	TokenLimit *int64
	// TraceRetention is in days, by kind of trace.
	TraceRetention map[string]int64
	Models         map[string]any
	// Providers are the names of the model providers that were configured. Their settings are not kept.
	Providers []string
}

// SamePolicy reports whether c and o treat keys alike.
func (c Config) SamePolicy(o Config) bool {
	return c.AllowSelfServiceKeys == o.AllowSelfServiceKeys && c.MaxTokenTTL == o.MaxTokenTTL
}

// MaxTTL is the longest time to live of anything in seconds: a hundred years, so that no sum overflows.
const MaxTTL = 3_153_600_000

// maxDocument bounds a configuration, in bytes: patches add up.
const maxDocument = 64 << 10

// Document is a configuration as it was patched together: a JSON object that holds what differs from the defaults. Nil is
// the empty one.
type Document json.RawMessage

// settings is the form of a document. A pointer tells null and absent from a value.
type settings struct {
	AllowSelfServiceKeys *bool               `json:"allow_self_service_keys"`
	MaxTokenTTL          *int64              `json:"max_token_ttl_seconds"`
	LLMExtractionEnabled *bool               `json:"llm_extraction_enabled"`
	TokenLimit           *int64              `json:"token_limit"`
	TraceRetention       map[string]int64    `json:"trace_retention"`
	Models               map[string]any      `json:"models"`
	Providers            map[string]struct{} `json:"providers"`
}

// Config returns the effective configuration.
func (d Document) Config() (Config, error) {
	s, err := d.settings()
	if err != nil {
		return Config{}, fmt.Errorf("reading a stored configuration: %w", err)
	}
	c := Config{
		AllowSelfServiceKeys: s.AllowSelfServiceKeys == nil || *s.AllowSelfServiceKeys,
		LLMExtractionEnabled: s.LLMExtractionEnabled != nil && *s.LLMExtractionEnabled,
		TokenLimit:           s.TokenLimit,
		TraceRetention:       s.TraceRetention,
		Models:               s.Models,
		Providers:            slices.Sorted(maps.Keys(s.Providers)),
	}
	if s.MaxTokenTTL != nil {
		c.MaxTokenTTL = *s.MaxTokenTTL
	}
	return c, nil
}

// Patch merges patch into d as RFC 7396 says: objects deeply, anything else replaces, null removes. The values of
// providers are dropped before anything else sees them. Errors are Invalid faults that name the field.
func (d Document) Patch(patch json.RawMessage) (Document, error) {
	if len(patch) == 0 {
		return d, nil
	}
	changes, err := object(patch)
	if err != nil {
		return nil, fault.InvalidField("config", "must be a JSON object")
	}
	if err := blankProviders(changes); err != nil {
		return nil, err
	}
	if _, ok := storable(changes); !ok {
		return nil, fault.InvalidField("config", "a number is out of range")
	}
	current := map[string]any{}
	if len(d) > 0 {
		if current, err = object(json.RawMessage(d)); err != nil {
			return nil, fmt.Errorf("reading a stored configuration: %w", err)
		}
	}
	merged, err := json.Marshal(merge(current, changes))
	if err != nil {
		return nil, fmt.Errorf("encoding a configuration: %w", err)
	}
	if len(merged) > maxDocument {
		return nil, fault.InvalidField("config", "must not exceed %d bytes in all", maxDocument)
	}
	return Document(merged), Document(merged).check()
}

// object decodes a JSON object. Numbers keep their digits: a merge must not round what it does not touch.
func object(data json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var out map[string]any
	if err := decoder.Decode(&out); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errors.New("null is no object")
	}
	return out, nil
}

// storable rewrites, in place, the numbers in value that are no 64-bit integers as the nearest double: a database refuses
// some that JSON allows. It reports false for one beyond any double.
func storable(value any) (any, bool) {
	fits := true
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			var ok bool
			value[name], ok = storable(inner)
			fits = fits && ok
		}
	case []any:
		for i, inner := range value {
			var ok bool
			value[i], ok = storable(inner)
			fits = fits && ok
		}
	case json.Number:
		if _, err := value.Int64(); err == nil {
			return value, true
		}
		double, err := value.Float64()
		return double, err == nil
	}
	return value, fits
}

// blankProviders replaces the settings of each provider, which may be credentials, by an empty object.
func blankProviders(changes map[string]any) error {
	given, ok := changes["providers"]
	if !ok || given == nil {
		return nil
	}
	providers, ok := given.(map[string]any)
	if !ok {
		return fault.InvalidField("config.providers", "must be an object")
	}
	for name, value := range providers {
		if value != nil {
			providers[name] = map[string]any{}
		}
	}
	return nil
}

// merge applies patch to target, which it changes and returns.
func merge(target, patch map[string]any) map[string]any {
	for name, value := range patch {
		if value == nil {
			delete(target, name)
			continue
		}
		changes, ok := value.(map[string]any)
		if !ok {
			target[name] = value
			continue
		}
		below, ok := target[name].(map[string]any)
		if !ok {
			below = map[string]any{}
		}
		target[name] = merge(below, changes)
	}
	return target
}

// settings decodes d strictly.
func (d Document) settings() (settings, error) {
	var s settings
	if len(d) == 0 {
		return s, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(d))
	decoder.DisallowUnknownFields()
	return s, decoder.Decode(&s)
}

// check returns an Invalid fault about the first thing in d that makes no sense.
func (d Document) check() error {
	s, err := d.settings()
	if err != nil {
		return misfit(err)
	}
	if s.MaxTokenTTL != nil && (*s.MaxTokenTTL < 1 || *s.MaxTokenTTL > MaxTTL) {
		return fault.InvalidField("config.max_token_ttl_seconds", "must be from 1 to %d, or null", MaxTTL)
	}
	if s.TokenLimit != nil && *s.TokenLimit < 0 {
		return fault.InvalidField("config.token_limit", "must not be negative")
	}
	for _, name := range slices.Sorted(maps.Keys(s.TraceRetention)) {
		if !strings.HasSuffix(name, "_days") {
			return fault.InvalidField("config.trace_retention."+name, "unknown setting; their names end in _days")
		}
		if s.TraceRetention[name] < 0 {
			return fault.InvalidField("config.trace_retention."+name, "must not be negative")
		}
	}
	return nil
}

// misfit says which field of a configuration has the wrong name or type. The decoder's text is quoted only where it holds
// no value.
func misfit(err error) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fault.InvalidField("config."+mismatch.Field, "has the wrong type or range")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.InvalidField("config."+strings.Trim(name, `"`), "unknown setting")
	}
	return fault.InvalidField("config", "must be an object of settings")
}
