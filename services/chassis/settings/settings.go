// Package settings fills a process's configuration, one struct, from its flags and its environment, and writes the help
// and the example file that document it, so that neither can drift from the code. A field says by its tags where it comes
// from and why its default is what it is:
//
//	BindAddress string `env:"BIND_ADDRESS" envDefault:"127.0.0.1:80" flag:"bind-address" usage:"address to listen on"`
//
// A flag that was given wins over the variable, the variable over the default; an empty variable counts as unset.
package settings

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Verifier is a configuration that can tell whether it makes sense. Its error is meant for the operator.
type Verifier interface {
	Verify() error
}

// Section is one part of an [Example]: the configuration struct of one process.
type Section struct {
	// Title heads the part.
	Title string
	// Config is a pointer to the struct.
	Config any
}

// Flags registers a flag for each field of cfg, a pointer to a struct, that has the tag flag. A flag that fs knows already
// is left alone, so configurations that share a field can share a command.
func Flags(fs *pflag.FlagSet, cfg any) {
	for _, f := range fieldsOf(cfg) {
		if f.flag == "" || fs.Lookup(f.flag) != nil {
			continue
		}
		flag := fs.VarPF(&flagValue{text: f.fallback, kind: f.kind()}, f.flag, "", f.usage+" [$"+f.variable+"]")
		if f.value.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

// Load fills cfg, a pointer to a struct, and calls its Verify method if it has one. The error names every variable that
// is wrong, its flag, and what to do about it; it never holds the value of a [Secret]. fs may be nil.
func Load(cfg any, environ Environ, fs *pflag.FlagSet) error {
	var errs []error
	for _, f := range fieldsOf(cfg) {
		if err := f.load(environ, fs); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	if v, ok := cfg.(Verifier); ok {
		if err := v.Verify(); err != nil {
			return fmt.Errorf("checking configuration: %w", err)
		}
	}
	return nil
}

// Setting is what there is to know about one field of a configuration struct.
type Setting struct {
	// Variable is the name of the variable, Flag of the flag that wins over it; empty where there is none.
	Variable, Flag string
	// Default is the text that stands for none given; Kind is the word for what is wanted.
	Default, Kind string
	// Usage says what it is for.
	Usage string
	// Secret is whether a file may hold it, named by the variable with _FILE behind it.
	Secret bool
}

// Describe returns the settings of cfg, a pointer to a struct, in order of declaration.
func Describe(cfg any) []Setting {
	fields := fieldsOf(cfg)
	all := make([]Setting, len(fields))
	for i, f := range fields {
		all[i] = Setting{Variable: f.variable, Flag: f.flag, Default: f.fallback, Kind: f.kind(), Usage: f.usage, Secret: f.secret()}
	}
	return all
}

// Example writes an environment file in which every variable of the sections stands commented out at its default.
func Example(w io.Writer, sections ...Section) error {
	var text strings.Builder
	for i, section := range sections {
		if i > 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintf(&text, "# %s\n", section.Title)
		for _, f := range fieldsOf(section.Config) {
			fmt.Fprintf(&text, "\n# %s", f.usage)
			if f.flag != "" {
				fmt.Fprintf(&text, " (--%s)", f.flag)
			}
			text.WriteByte('\n')
			if f.secret() {
				fmt.Fprintf(&text, "# Or %s%s, the path of a file that holds it.\n", f.variable, fileSuffix)
			}
			fmt.Fprintf(&text, "# %s=%s\n", f.variable, f.fallback)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// load fills one field.
func (f field) load(environ Environ, fs *pflag.FlagSet) error {
	text, set, err := f.lookup(environ, fs)
	if err != nil {
		return err
	}
	variables := map[string]string{}
	if set {
		variables[f.variable] = text
	}
	// The library parses structs, and its error names a field, not its variable. A struct of this one field makes plain
	// whose error it is.
	alone := reflect.New(reflect.StructOf([]reflect.StructField{f.declared}))
	err = env.ParseWithOptions(alone.Interface(), env.Options{Environment: variables})
	switch {
	case errors.Is(err, env.VarIsNotSetError{}), errors.Is(err, env.EmptyVarError{}):
		return fmt.Errorf("%s is required: set it", f.name())
	case err != nil:
		return f.malformed(text, err)
	}
	f.value.Set(alone.Elem().Field(0))
	return nil
}

// lookup returns the text for f from the flag, the variable or the variable's file, and whether there is one.
func (f field) lookup(environ Environ, fs *pflag.FlagSet) (text string, set bool, err error) {
	if fs != nil && f.flag != "" {
		if flag := fs.Lookup(f.flag); flag != nil && flag.Changed {
			return flag.Value.String(), true, nil
		}
	}
	text = environ[f.variable]
	if !f.secret() {
		return text, text != "", nil
	}
	path := environ[f.variable+fileSuffix]
	switch {
	case path == "":
		return text, text != "", nil
	case text != "":
		return "", false, fmt.Errorf("%[1]s and %[1]s%[2]s are both set: unset one", f.variable, fileSuffix)
	}
	content, err := readSecret(path)
	if err != nil {
		return "", false, fmt.Errorf("%s%s: %w", f.variable, fileSuffix, err)
	}
	return content, true, nil
}
