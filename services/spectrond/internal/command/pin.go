package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/bootstrap"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

const (
	contextKeyFlag        = "context-api-key"
	contextKeyVariable    = "SPECTRON_API_KEY"
	managementKeyFlag     = "management-api-key"
	managementKeyVariable = "SPECTRON_MANAGEMENT_API_KEY"
)

// firstKeys are the settings of a bootstrap: the context, and keys to use instead of random ones.
type firstKeys struct {
	ContextID        string          `env:"SPECTRON_CONTEXT_ID" envDefault:"default" flag:"context-id" usage:"id of the first context"`
	ContextAPIKey    settings.Secret `env:"SPECTRON_API_KEY" flag:"context-api-key" usage:"key of the first context to pin, from 'spectrond generate-key', instead of a random one; a flag is seen by every user of the machine, so prefer SPECTRON_API_KEY_FILE"`
	ManagementAPIKey settings.Secret `env:"SPECTRON_MANAGEMENT_API_KEY" flag:"management-api-key" usage:"management key to pin, from 'spectrond generate-key', instead of a random one; a flag is seen by every user of the machine, so prefer SPECTRON_MANAGEMENT_API_KEY_FILE"`
}

// firstCredentials returns the pinned keys, and random ones for what is not pinned.
func firstCredentials(cmd *cobra.Command, environ settings.Environ) (bootstrap.Credentials, error) {
	none := bootstrap.Credentials{}
	var k firstKeys
	if err := cli.Load(cmd, environ, &k); err != nil {
		return none, err
	}
	context, err := pinned(cmd, environ, contextKeyFlag, contextKeyVariable, k.ContextAPIKey)
	if err != nil {
		return none, err
	}
	management, err := pinned(cmd, environ, managementKeyFlag, managementKeyVariable, k.ManagementAPIKey)
	if err != nil {
		return none, err
	}
	c, err := bootstrap.Credentials{ContextID: k.ContextID, Context: context, Management: management}.Complete()
	if err != nil {
		return none, cli.Usage(cmd, err)
	}
	return c, nil
}

// pinned parses a key to pin; none gives the zero Key. The error says where the text came from, because a client's
// variable that happens to be set is as good a source as any, but never what it is.
func pinned(cmd *cobra.Command, environ settings.Environ, flag, variable string, text settings.Secret) (apikey.Key, error) {
	if text == "" {
		return apikey.Key{}, nil
	}
	key, err := apikey.Parse(text.Reveal())
	if err == nil {
		return key, nil
	}
	source := "the file that the variable " + variable + "_FILE names"
	switch {
	case cmd.Flags().Changed(flag):
		source = "the flag --" + flag
	case environ[variable] != "":
		source = "the variable " + variable
	}
	return apikey.Key{}, cli.Usage(cmd, fmt.Errorf("the key to pin, from %s, is %w; make one with 'spectrond generate-key', or unset it to have a random one", source, err))
}
