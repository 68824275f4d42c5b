//go:build !mutant

package mutant

// Is reports whether this process breaks the given rule: never.
func Is(string) bool { return false }
