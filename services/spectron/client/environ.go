package client

import (
	"fmt"
	"os"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// FromEnviron returns the Config that environment variables describe; getenv is os.Getenv, or anything like it. Read are
// SPECTRON_URL (or SPECTRON_BASE_URL, SPECTRON_ENDPOINT), SPECTRON_API_KEY or the file that SPECTRON_API_KEY_FILE
// names, and SPECTRON_CONTEXT_ID (or SPECTRON_CONTEXT). What is not set, or empty, is left empty.
func FromEnviron(getenv func(name string) string) (Config, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	cfg := Config{
		URL:       first("SPECTRON_URL", "SPECTRON_BASE_URL", "SPECTRON_ENDPOINT"),
		APIKey:    APIKey(first("SPECTRON_API_KEY")),
		ContextID: first("SPECTRON_CONTEXT_ID", "SPECTRON_CONTEXT"),
	}
	path := first("SPECTRON_API_KEY_FILE")
	switch {
	case path == "":
		return cfg, nil
	case cfg.APIKey != "":
		return Config{}, fault.New(fault.Invalid, "SPECTRON_API_KEY and SPECTRON_API_KEY_FILE are both set; unset one")
	}
	content, err := os.ReadFile(path) //nolint:gosec // the user names the file that holds the user's own key
	if err != nil {
		return Config{}, fmt.Errorf("reading the file of SPECTRON_API_KEY_FILE: %w", err)
	}
	cfg.APIKey = APIKey(strings.TrimSpace(string(content)))
	return cfg, nil
}
