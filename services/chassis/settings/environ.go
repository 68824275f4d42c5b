package settings

import (
	"os"
	"strings"
)

// Environ is a process environment: variables by name.
type Environ map[string]string

// OS returns the environment of this process. It is the only place that reads it.
func OS() Environ {
	list := os.Environ()
	environ := make(Environ, len(list))
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		environ[name] = value
	}
	return environ
}
