package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// maxDepth bounds how deeply the objects and arrays of a body may nest.
const maxDepth = 100

// jsonType is the content type a body has unless it says otherwise.
const jsonType = "application/json"

// validatedBody is a request's body that also holds the value it was found to be.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the value; generated servers look for this method.
func (b validatedBody) ValidatedValue() any { return b.value }

// checkBody reads the body of r, checks it against described and puts it back.
func checkBody(r *http.Request, described *openapi3.RequestBody) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := tooLarge(err); ok {
			return err
		}
		return fault.New(fault.Invalid, "the body ended too early").Because(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	if len(data) == 0 {
		if described.Required {
			return fault.New(fault.Invalid, "a JSON body is required")
		}
		return nil
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		contentType = jsonType
	}
	media := described.Content.Get(contentType)
	if media == nil {
		return fault.New(fault.UnsupportedMedia, "the body must be %s", jsonType)
	}
	if !isJSON(contentType) {
		return nil
	}
	value, err := decode(data)
	if err != nil {
		return err
	}
	if media.Schema != nil {
		if r.Method != http.MethodPatch { // there null would remove what is (RFC 7396), which is not the same as leaving it
			leaveOut(value, media.Schema.Value)
		}
		if err := media.Schema.Value.VisitJSON(value, openapi3.VisitAsRequest()); err != nil {
			return bodyFault(err)
		}
	}
	r.Body = validatedBody{r.Body, value}
	return nil
}

// leaveOut removes the fields that are null from the objects in value where schema has no null for them, and does not require them:
// many clients write null for what they do not set.
func leaveOut(value any, schema *openapi3.Schema) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range schema.Properties {
			given, ok := value[name]
			switch {
			case !ok:
			case given != nil:
				leaveOut(given, field.Value)
			case !field.Value.PermitsNull() && !slices.Contains(schema.Required, name):
				delete(value, name)
			}
		}
	case []any:
		if schema.Items == nil {
			return
		}
		for _, item := range value {
			leaveOut(item, schema.Items.Value)
		}
	}
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == jsonType || strings.HasSuffix(media, "+json"))
}

// decode reads one JSON value as strictly as RFC 8259 recommends: UTF-8, no name twice in an object, nothing after the
// value. It refuses, too, what no column of a database holds: numbers beyond a double, the character NUL, and halves of
// characters, which Go's decoder would replace without a word.
func decode(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fault.New(fault.Invalid, "the body is not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fault.New(fault.Invalid, "the body is not valid JSON from byte %d on", syntax.Offset)
		}
		return nil, fault.New(fault.Invalid, "the body is not valid JSON")
	}
	if halfCharacter(data) {
		return nil, fault.New(fault.Invalid, "the body has one half of a character: a \\u escape of a surrogate without the other one")
	}
	d := decoder{json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	return d.value(nil)
}

// halfCharacter reports whether data, which is valid JSON, has an escape of a surrogate without its other half.
func halfCharacter(data []byte) bool {
	for {
		start := bytes.IndexByte(data, '\\') // only texts have any
		if start < 0 {
			return false
		}
		first := escaped(data[start:])
		if !utf16.IsSurrogate(first) {
			data = data[start+2:] // behind \\ and \", too
			continue
		}
		const length = len(`\uXXXX`)
		if utf16.DecodeRune(first, escaped(data[start+length:])) == utf8.RuneError {
			return true
		}
		data = data[start+2*length:]
	}
}

// escaped returns what the escape \uXXXX stands for that data begins with, or -1 if it begins with none.
func escaped(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}

// decoder walks a document that is known to be syntactically valid.
type decoder struct{ *json.Decoder }

// value reads the value at path.
func (d decoder) value(path []string) (any, error) {
	if len(path) > maxDepth {
		return nil, fault.New(fault.Invalid, "the body nests more than %d levels deep", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, fault.New(fault.Invalid, "the body is not valid JSON").Because(err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return d.object(path)
		}
		return d.array(path)
	case json.Number:
		if _, err := token.Float64(); err != nil {
			return nil, invalidAt(path, "is out of range")
		}
	case string:
		if reason := badText(token); reason != "" {
			return nil, invalidAt(path, reason)
		}
	}
	return token, nil
}

func (d decoder) object(path []string) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, fault.New(fault.Invalid, "the body is not valid JSON").Because(err)
		}
		inner := append(slices.Clip(path), name)
		if badText(name) != "" {
			return nil, fault.New(fault.Invalid, "the name of a field contains the character NUL")
		}
		if _, twice := object[name]; twice {
			return nil, invalidAt(inner, "appears twice")
		}
		if object[name], err = d.value(inner); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the closing brace
	return object, err
}

func (d decoder) array(path []string) (any, error) {
	array := []any{}
	for d.More() {
		value, err := d.value(append(slices.Clip(path), strconv.Itoa(len(array))))
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := d.Token() // the closing bracket
	return array, err
}

// badText says why text cannot be used, if it cannot.
func badText(text string) string {
	switch {
	case strings.ContainsRune(text, 0):
		return "must not contain the character NUL"
	case !utf8.ValidString(text):
		return "must be UTF-8"
	default:
		return ""
	}
}

// invalidAt returns a fault about the value at path of the body.
func invalidAt(path []string, reason string) *fault.Error {
	if len(path) == 0 {
		return fault.New(fault.Invalid, "the body %s", reason)
	}
	field := fieldName(path)
	return &fault.Error{Kind: fault.Invalid, Field: field, Message: fmt.Sprintf("%s: %s", field, reason)}
}

// fieldName writes a path with dots. Names the caller made up are cut where they are longer than any of ours.
func fieldName(path []string) string {
	const longest = 64
	short := make([]string, len(path))
	for i, name := range path {
		if runes := []rune(name); len(runes) > longest {
			name = string(runes[:longest]) + "…"
		}
		short[i] = name
	}
	return strings.Join(short, ".")
}
