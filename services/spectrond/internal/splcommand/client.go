package splcommand

import "github.com/spf13/cobra"

// client are the commands that speak to a daemon.
func (a *app) client() []*cobra.Command {
	return []*cobra.Command{
		a.accounts(), a.tokens(), a.pair(), a.identity(), a.records(), a.threads(), a.sync(), a.config(), a.doctor(),
	}
}
