package statedir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// ActorVariable names whom the user acts as.
const ActorVariable = "SPL_ACTOR"

// Config is what the user wrote into config.toml.
type Config struct {
	// Actor is the DID that the user acts as, and DisplayName the name to go with it; empty when not said.
	Actor, DisplayName string
	// StoreURL is the store of the daemon; empty for its own.
	StoreURL settings.Secret
	// Host and Port are where the daemon serves; nothing and nil when not said.
	Host string
	Port *int
	// Origins are the pages that may call the daemon from a browser.
	Origins []string
	// TrustedProxies are the networks of the proxies whose word about a client's address is taken.
	TrustedProxies []string
	// Unknown are the names in the file that mean nothing here.
	Unknown []string
}

// document is the form of config.toml. The store is a plain string here, because a secret encodes as REDACTED.
type document struct {
	Identity struct {
		Actor       string `toml:"actor"`
		DisplayName string `toml:"display_name"`
	} `toml:"identity"`
	Store struct {
		URL string `toml:"url"`
	} `toml:"store"`
	Server struct {
		Host string `toml:"host"`
		Port *int   `toml:"port"`

		Origins []string `toml:"cors_origins"`

		TrustedProxies []string `toml:"trusted_proxies"`
	} `toml:"server"`
}

// ReadConfig reads config.toml. Without one everything is as it is by default. An error says where the file is wrong, and
// nothing of what stands there: a store's URL may hold a password.
func (d Dir) ReadConfig() (Config, error) {
	content, err := os.ReadFile(d.ConfigFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	var doc document
	if err := toml.Unmarshal(content, &doc); err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", d.ConfigFile(), place(err))
	}
	config := Config{
		Actor: doc.Identity.Actor, DisplayName: doc.Identity.DisplayName, StoreURL: settings.Secret(doc.Store.URL),
		Host: doc.Server.Host, Port: doc.Server.Port, Origins: doc.Server.Origins, TrustedProxies: doc.Server.TrustedProxies,
	}
	// The file has other readers, so a name that is unknown here is no error. It is often a slip, though.
	strict := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields()
	if unknown, ok := errors.AsType[*toml.StrictMissingError](strict.Decode(&document{})); ok {
		for _, one := range unknown.Errors {
			config.Unknown = append(config.Unknown, strings.Join(one.Key(), "."))
		}
	}
	return config, nil
}

// place says where a document is wrong.
func place(err error) error {
	if malformed, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := malformed.Position()
		return fmt.Errorf("line %d, column %d is not what TOML, or this file, wants there", line, column)
	}
	return errors.New("it is not TOML")
}

// Operator returns whom the user acts as: $SPL_ACTOR, else the actor in config.toml, else a DID of the user's name here.
func (c Config) Operator(environ settings.Environ) (string, error) {
	if actor := environ[ActorVariable]; actor != "" {
		return actor, nil
	}
	if c.Actor != "" {
		return c.Actor, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("finding who you are: %w; set %s", err, ActorVariable)
	}
	return "did:sync:user:" + current.Username, nil
}
