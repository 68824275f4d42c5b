package web

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// The validator's own texts quote schemas and values. The ones here are about what an input must be, and quote neither.

// parameterReason says what is wrong with a parameter.
func parameterReason(parameter *openapi3.Parameter, err error) string {
	var malformed *openapi3filter.ParseError
	var schema *openapi3.SchemaError
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		return "is required"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		return "must not be empty"
	case errors.As(err, &schema):
		return reasonOf(schema)
	case errors.Is(err, strconv.ErrRange):
		return "is out of range"
	case errors.As(err, &malformed) && parameter.Schema != nil:
		switch types := parameter.Schema.Value.Type; {
		case types.Is(openapi3.TypeInteger):
			return "must be a whole number"
		case types.Is(openapi3.TypeNumber):
			return "must be a number"
		case types.Is(openapi3.TypeBoolean):
			return "must be true or false"
		}
	}
	return "is malformed"
}

// bodyFault turns the validator's error about a body into a fault.
func bodyFault(err error) error {
	schema, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		return fault.New(fault.Invalid, "the body does not have the expected form").Because(err)
	}
	// What is wrong with a composed schema is what is wrong with its part.
	if schema.SchemaField == "allOf" {
		if part, ok := errors.AsType[*openapi3.SchemaError](schema.Origin); ok {
			schema = part
		}
	}
	path := schema.JSONPointer()
	if name, ok := unknownField(schema); ok {
		field := fieldName(append(path, name))
		return &fault.Error{Kind: fault.Invalid, Field: field, Message: fmt.Sprintf("unknown field %q", field)}
	}
	return invalidAt(path, reasonOf(schema))
}

// unknownField returns the first property of the value that its schema does not know, if that is what err is about.
func unknownField(err *openapi3.SchemaError) (string, bool) {
	object, ok := err.Value.(map[string]any)
	if !ok || err.SchemaField != "properties" {
		return "", false
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, known := err.Schema.Properties[name]; !known {
			return name, true
		}
	}
	return "", false
}

// reasonOf says what the schema that err is about demands.
func reasonOf(err *openapi3.SchemaError) string {
	schema := err.Schema
	switch err.SchemaField {
	case "required":
		return "is required"
	case "type":
		return "must be " + typeWords(schema)
	case "nullable":
		return "must not be null"
	case "enum":
		return "must be one of " + enumWords(schema.Enum)
	case "format":
		return formatWords(schema.Format)
	case "pattern":
		return "must match " + schema.Pattern
	case "minimum":
		return fmt.Sprintf("must be at least %s", number(*schema.Min))
	case "maximum":
		return fmt.Sprintf("must be at most %s", number(*schema.Max))
	case "minLength":
		if schema.MinLength == 1 {
			return "must not be empty"
		}
		return "must have at least " + many(schema.MinLength, "character")
	case "maxLength":
		return "must have at most " + many(*schema.MaxLength, "character")
	case "minItems":
		return "must have at least " + many(schema.MinItems, "item")
	case "maxItems":
		return "must have at most " + many(*schema.MaxItems, "item")
	case "minProperties":
		return "must have at least " + many(schema.MinProps, "field")
	case "maxProperties":
		return "must have at most " + many(*schema.MaxProps, "field")
	case "uniqueItems":
		return "must not contain an item twice"
	case "readOnly":
		return "cannot be set"
	default: // oneOf, anyOf, not, multipleOf and the like
		return "does not have an allowed form"
	}
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func many(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}

func enumWords(values []any) string {
	words := make([]string, 0, len(values))
	for _, value := range values {
		words = append(words, fmt.Sprint(value))
	}
	return strings.Join(words, ", ")
}

func formatWords(format string) string {
	switch format {
	case "date-time":
		return "must be a time such as 2026-01-31T12:00:00Z"
	case "date":
		return "must be a date such as 2026-01-31"
	case "int32", "int64":
		return "is out of range"
	case "byte":
		return "must be base64"
	default:
		return "must be a valid " + format
	}
}

func typeWords(schema *openapi3.Schema) string {
	words := make([]string, 0, 1)
	for _, name := range schema.Type.Slice() {
		switch name {
		case openapi3.TypeInteger, openapi3.TypeObject, openapi3.TypeArray:
			words = append(words, "an "+name)
		case openapi3.TypeBoolean:
			words = append(words, "true or false")
		default:
			words = append(words, "a "+name)
		}
	}
	return strings.Join(words, " or ")
}

// wordFor names the JSON type that a Go type of this kind is read from.
func wordFor(kind reflect.Kind) string {
	switch kind { //nolint:exhaustive // the rest are structs and maps
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer in range"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	default:
		return "an object"
	}
}
