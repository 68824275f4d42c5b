// Package scope is the geography of authority: paths that name nodes of a tree, patterns that name regions of it, and
// sets of nodes that say where a row lives. It knows nothing of who asks; that is package grant.
package scope

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a path; beyond them it is refused.
const (
	MaxDepth   = 32
	MaxSegment = 128 // bytes
	MaxPath    = 1024
)

// Path names one node, such as org/acme/user/alice/. The canonical form has no leading and one trailing slash, so that a
// node's descendants are just the paths that begin with it; the root is /. The zero value is not a path.
type Path struct{ text string }

// Root is the node above all others.
var Root = Path{"/"}

// ParsePath reads a path. A missing trailing slash and a leading one are forgiven.
func ParsePath(text string) (Path, error) {
	if text == "/" {
		return Root, nil
	}
	if text == "" {
		return Path{}, errors.New("a scope path must not be empty; the root is /")
	}
	if len(text) > MaxPath {
		return Path{}, fmt.Errorf("a scope path has at most %d bytes", MaxPath)
	}
	trimmed := strings.TrimSuffix(strings.TrimPrefix(text, "/"), "/")
	segments := strings.Split(trimmed, "/")
	if len(segments) > MaxDepth {
		return Path{}, fmt.Errorf("a scope path has at most %d segments", MaxDepth)
	}
	for _, segment := range segments {
		if err := checkSegment(segment); err != nil {
			return Path{}, err
		}
	}
	return Path{trimmed + "/"}, nil
}

func checkSegment(segment string) error {
	switch {
	case segment == "":
		return errors.New("a scope path must not have an empty segment")
	case segment == "." || segment == "..":
		return errors.New("a scope path must not have . or .. as a segment")
	case len(segment) > MaxSegment:
		return fmt.Errorf("a segment of a scope path has at most %d bytes", MaxSegment)
	case strings.Contains(segment, "*"):
		return errors.New("a scope path must not hold *; only a pattern may, as its last segment")
	case !utf8.ValidString(segment):
		return errors.New("a scope path must be UTF-8")
	}
	for _, r := range segment {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return errors.New("a scope path must not hold spaces or control characters")
		}
	}
	return nil
}

// String returns the canonical form.
func (p Path) String() string { return p.text }

// Contains reports whether q is p or lies below it.
func (p Path) Contains(q Path) bool { return p == Root || strings.HasPrefix(q.text, p.text) }

// Ancestors returns the nodes above p from the top down, without the root and without p.
func (p Path) Ancestors() []Path {
	var out []Path
	for i := range len(p.text) - 1 {
		if p.text[i] == '/' {
			out = append(out, Path{p.text[:i+1]})
		}
	}
	return out
}

// Child returns the node segment below p, or the reason why segment cannot be one.
func (p Path) Child(segment string) (Path, error) {
	if segment == "" || strings.Contains(segment, "/") {
		return Path{}, errors.New("a segment of a scope path must not be empty or hold /")
	}
	if p == Root {
		return ParsePath(segment)
	}
	return ParsePath(p.text + segment)
}

// MarshalText returns the canonical form.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText reads a path as [ParsePath] does.
func (p *Path) UnmarshalText(text []byte) error {
	parsed, err := ParsePath(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
