// Package settings finds out which deployment a command speaks to, and as whom: flags, then the environment, then a
// stored profile. It is the only place of the command line that reads the environment, and it remembers where each
// value comes from, so that errors can say so.
package settings

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// DefaultProfile is the profile where none is named.
const DefaultProfile = "default"

// environment is the origin of what comes from a variable.
const environment = "from the environment"

// profileVariable names the profile where no flag does.
const profileVariable = "SPECTRON_PROFILE"

// Getenv returns a variable of the environment, as os.Getenv does: what is not set is empty.
type Getenv func(name string) string

// Environment looks into the environment of the process.
func Environment(name string) string { return os.Getenv(name) }

// Flags are what the command line says. Empty means that it does not.
type Flags struct {
	URL       string
	APIKey    client.APIKey
	ContextID string
	Profile   string
}

// Settings are what a command goes by.
type Settings struct {
	client.Config
	// The origins say where a value comes from, in words that fit after "it is"; empty for a value that is not set.
	URLOrigin, APIKeyOrigin, ContextIDOrigin string
	// Explicit is the part that flags or the environment say, without profile and defaults.
	Explicit client.Config
	// Profile is the name of the profile that was consulted.
	Profile string
	// File holds all profiles.
	File *File
}

// Resolve finds every value in flags, the environment, or the profile, in this order. A profile that was asked for by
// name must exist; with create it need not.
func Resolve(flags Flags, getenv Getenv, create bool) (*Settings, error) {
	environ, err := client.FromEnviron(getenv)
	if err != nil {
		return nil, err
	}
	path, err := Path(getenv)
	if err != nil {
		return nil, err
	}
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	name, err := profileName(flags, getenv)
	if err != nil {
		return nil, err
	}
	profile, exists := file.Profiles[name]
	if !exists && !create && name != DefaultProfile {
		return nil, fault.New(fault.NotFound, "there is no profile %q; spectron login --profile %s makes it", name, name)
	}
	s := &Settings{Profile: name, File: file}
	take(&s.URL, &s.URLOrigin, flags.URL, "from --url")
	take(&s.URL, &s.URLOrigin, environ.URL, environment)
	take(&s.APIKey, &s.APIKeyOrigin, flags.APIKey, "from --api-key")
	take(&s.APIKey, &s.APIKeyOrigin, environ.APIKey, environment)
	take(&s.ContextID, &s.ContextIDOrigin, flags.ContextID, "from --context-id")
	take(&s.ContextID, &s.ContextIDOrigin, environ.ContextID, environment)
	s.Explicit = s.Config

	stored := fmt.Sprintf("from profile %q", name)
	take(&s.URL, &s.URLOrigin, profile.URL, stored)
	take(&s.URL, &s.URLOrigin, client.DefaultURL, "the default")
	take(&s.APIKey, &s.APIKeyOrigin, profile.APIKey, stored)
	take(&s.ContextID, &s.ContextIDOrigin, profile.ContextID, stored)
	return s, nil
}

// Management finds how to reach the management API: in flags, then in SPECTRON_MANAGEMENT_URL, SPECTRON_MANAGEMENT_API_KEY
// or the file that SPECTRON_MANAGEMENT_API_KEY_FILE names. Without a URL it is where the data plane is, which forwards.
// A management key is in no profile.
func (s *Settings) Management(flags client.Config, getenv Getenv) (client.Config, error) {
	environ, err := client.FromEnviron(func(name string) string {
		if plane, ok := strings.CutPrefix(name, "SPECTRON_"); ok && (plane == "URL" || strings.HasPrefix(plane, "API_KEY")) {
			return getenv("SPECTRON_MANAGEMENT_" + plane)
		}
		return ""
	})
	if found, ok := errors.AsType[*fault.Error](err); ok {
		return client.Config{}, fault.New(found.Kind, "%s", strings.ReplaceAll(found.Message, "SPECTRON_API_KEY", "SPECTRON_MANAGEMENT_API_KEY"))
	}
	if err != nil {
		return client.Config{}, fmt.Errorf("finding the management key: %w", err)
	}
	cfg := flags
	var origin string
	take(&cfg.URL, &origin, environ.URL, environment)
	take(&cfg.URL, &origin, s.URL, s.URLOrigin)
	take(&cfg.APIKey, &origin, environ.APIKey, environment)
	return cfg, nil
}

// take sets a value that is not set yet, and where it comes from.
func take[T ~string](value *T, origin *string, candidate T, from string) {
	if *value == "" && candidate != "" {
		*value, *origin = candidate, from
	}
}

var validProfile = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}$`)

func profileName(flags Flags, getenv Getenv) (string, error) {
	name := flags.Profile
	if name == "" {
		name = getenv(profileVariable)
	}
	if name == "" {
		name = DefaultProfile
	}
	if !validProfile.MatchString(name) {
		return "", fault.InvalidField("profile", "want letters, digits and _ . -, at most 64")
	}
	return name, nil
}
