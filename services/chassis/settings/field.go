package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// field is one setting: a struct field with the tag env.
type field struct {
	declared reflect.StructField
	value    reflect.Value
	variable string
	flag     string
	fallback string
	usage    string
}

// fieldsOf returns the settings in cfg, a pointer to a struct, in order of declaration, those of nested structs among
// them. Anything but a pointer to a struct is a mistake in the program and panics.
func fieldsOf(cfg any) []field {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("settings: want a pointer to a struct, got %T", cfg))
	}
	return walk(v.Elem(), nil)
}

func walk(v reflect.Value, fields []field) []field {
	for i := range v.NumField() {
		declared, value := v.Type().Field(i), v.Field(i)
		if !declared.IsExported() {
			continue
		}
		tag, ok := declared.Tag.Lookup("env")
		if !ok {
			if value.Kind() == reflect.Struct {
				fields = walk(value, fields)
			}
			continue
		}
		variable, _, _ := strings.Cut(tag, ",")
		fields = append(fields, field{
			declared: declared,
			value:    value,
			variable: variable,
			flag:     declared.Tag.Get("flag"),
			fallback: declared.Tag.Get("envDefault"),
			usage:    declared.Tag.Get("usage"),
		})
	}
	return fields
}

// name is how messages call f: by its variable and its flag.
func (f field) name() string {
	if f.flag == "" {
		return f.variable
	}
	return f.variable + " (--" + f.flag + ")"
}

func (f field) secret() bool { return f.value.Type() == reflect.TypeFor[Secret]() }

// kind is the word for f's type in help texts.
func (f field) kind() string {
	switch {
	case f.value.Type() == reflect.TypeFor[time.Duration]():
		return "duration"
	case f.secret(), f.value.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "string"
	}
	switch f.value.Kind() { //nolint:exhaustive // the rest are words on the command line
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "strings"
	default:
		return "string"
	}
}

// malformed says what is wrong with text, without quoting a secret.
func (f field) malformed(text string, err error) error {
	if f.secret() {
		return fmt.Errorf("%s cannot be read", f.name())
	}
	switch f.kind() {
	case "duration":
		return fmt.Errorf("%s: %q is not a duration such as 250ms or 2s", f.name(), text)
	case "bool":
		return fmt.Errorf("%s: %q is neither true nor false", f.name(), text)
	case "int":
		return fmt.Errorf("%s: %q is not a whole number in range", f.name(), text)
	case "number":
		return fmt.Errorf("%s: %q is not a number", f.name(), text)
	default:
		return fmt.Errorf("%s: %q cannot be read: %w", f.name(), text, err)
	}
}

// flagValue holds a flag's text until Load parses it with the rest.
type flagValue struct{ text, kind string }

// String returns the text given or, before that, the default.
func (v *flagValue) String() string { return v.text }

// Set keeps text; Load judges it.
func (v *flagValue) Set(text string) error {
	v.text = text
	return nil
}

// Type returns the word that help shows for the value.
func (v *flagValue) Type() string { return v.kind }
