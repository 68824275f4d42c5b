//go:build mutant

package mutant

import "os"

var broken = os.Getenv("SPECTRON_MUTANT")

// Is reports whether this process breaks the given rule.
func Is(rule string) bool { return broken == rule }
