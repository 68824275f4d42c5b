// Package mcpconfig adds a server to the configuration file of a program that speaks MCP: a JSON object with the member
// mcpServers, which holds the servers by name.
//
// What the package promises: everything else in the file stays, in its order and to the last digit; an entry of that name
// is replaced only when that is asked for; a file that is not such JSON is left as it was; the file is written as a whole
// or not at all, and only its owner may read it then.
package mcpconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/spectron-hq/spectron/services/spectron/internal/privatefile"
)

// Outcome is what became of a file.
type Outcome string

// The outcomes.
const (
	// Added means that the entry was not there before.
	Added Outcome = "added"
	// Replaced means that another entry of that name was.
	Replaced Outcome = "replaced"
	// Unchanged means that the same entry was.
	Unchanged Outcome = "unchanged"
)

// The ways in which a file cannot be added to.
var (
	// ErrTaken means that another entry has the name.
	ErrTaken = errors.New("there is another server of that name")
	// ErrMalformed means that the file is not a JSON object, or its mcpServers is not one.
	ErrMalformed = errors.New("not a JSON object that servers can be added to")
)

const serversMember = "mcpServers"

// Write adds entry to the file at path, which need not exist, under name. With force another entry of that name is
// replaced.
func Write(path, name string, entry any, force bool) (Outcome, error) {
	// A link, as from a collection of dot files, stays a link: what it points to is written.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	before, err := os.ReadFile(path) //nolint:gosec // the user names the user's own file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		before = []byte("{}")
	case err != nil:
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	after, outcome, err := Merge(before, name, entry, force)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if outcome == Unchanged {
		return outcome, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	if err := privatefile.Replace(path, after); err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	return outcome, nil
}

// Merge adds entry to a configuration under name, and returns the new one. The error is ErrMalformed or ErrTaken.
func Merge(config []byte, name string, entry any, force bool) ([]byte, Outcome, error) {
	root, err := parseObject(config)
	if err != nil {
		return nil, "", err
	}
	servers := object{}
	if old := root.find(serversMember); old != nil {
		if servers, err = parseObject(old.value); err != nil {
			return nil, "", fmt.Errorf("%s: %w", serversMember, err)
		}
	}
	encoded, err := encode(entry)
	if err != nil {
		return nil, "", err
	}
	outcome := Added
	if old := servers.find(name); old != nil {
		same, err := equal(old.value, encoded)
		switch {
		case err != nil:
			return nil, "", err
		case same:
			return config, Unchanged, nil
		case !force:
			return nil, "", ErrTaken
		}
		outcome = Replaced
	}
	servers.set(name, encoded)
	root.set(serversMember, servers.encode())
	var out bytes.Buffer
	if err := json.Indent(&out, root.encode(), "", "  "); err != nil {
		return nil, "", fmt.Errorf("encoding the configuration: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), outcome, nil
}

// object is a JSON object with its members as they stand: in order, and with numbers as they are written.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// parseObject reads one JSON object and nothing after it. A name that is there twice is refused: programs disagree about
// which one counts.
func parseObject(text []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, ErrMalformed
	}
	all := object{}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, ErrMalformed
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, ErrMalformed
		}
		if all.find(name) != nil {
			return nil, fmt.Errorf("%w: %q is there twice", ErrMalformed, name)
		}
		all = append(all, member{name, value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, ErrMalformed
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrMalformed
	}
	return all, nil
}

// find returns the member of that name, or nil.
func (o object) find(name string) *member {
	for i := range o {
		if o[i].name == name {
			return &o[i]
		}
	}
	return nil
}

// set replaces the member of that name where it stands, or adds it at the end.
func (o *object) set(name string, value json.RawMessage) {
	if old := o.find(name); old != nil {
		old.value = value
		return
	}
	*o = append(*o, member{name, value})
}

func (o object) encode() json.RawMessage {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		name, _ := encode(m.name) // a string encodes
		out.Write(name)
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// encode is json.Marshal without escapes that JSON does not ask for.
func encode(value any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding the entry: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// equal reports whether two texts are the same JSON.
func equal(a, b json.RawMessage) (bool, error) {
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		return false, ErrMalformed
	}
	return reflect.DeepEqual(x, y), nil
}
