package command

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// pepperSettings say which database to look at.
type pepperSettings struct {
	ConnectionString settings.Secret `env:"SPECTRON_CONNECTION_STRING,required" flag:"connection-string" usage:"database of the key manager, postgres://… or sqlite:///path"`
}

func newPepper(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pepper",
		Short: "See which keys and webhooks need which pepper",
		Long: `Keys are stored under a pepper, and a pepper can be replaced while everything serves. SPECTRON_PEPPER (or the file that
SPECTRON_PEPPER_FILE names) holds several, VERSION:SECRET, by commas or lines: the first seals, all verify. With any number of key managers:

  1. 'spectrond generate-secret' makes the new one. Put it behind the old one, 1:OLD,2:NEW, and restart the key managers one after the
     other. Go on when all of them have it: from then on each knows both.
  2. Put it first, 2:NEW,1:OLD, and restart them again. New keys are sealed under it, and every key that is in use is sealed anew when a
     verifier asks for it next, within minutes.
  3. Wait until 'spectrond pepper status --without 1' exits with 0. Keys that nobody uses stay as they are: use, rotate or delete
     them, or give them up.
  4. Take the old one away, 2:NEW, and restart them once more. Keep it with the backups that were taken before: they need it.

A key manager does not start without a pepper that keys are still sealed under, and says how many there are. With
SPECTRON_RETIRED_PEPPERS=1 (--retired-peppers) it does, and these keys are refused from then on. The same is true of the secrets of
webhooks, which each start seals anew; one that is given up signs nothing until 'spectrond webhooks rotate-secret'.`,
		Example: "  spectrond pepper status",
	}
	return cli.Group(cmd, newPepperStatus(environ))
}

// pepperCount is one row of the status, for programs.
type pepperCount struct {
	Version  uint16 `json:"version"`
	Keys     int64  `json:"keys"`
	Webhooks int64  `json:"webhooks"`
}

func newPepperStatus(environ settings.Environ) *cobra.Command {
	var without int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Count what is sealed under each version of the pepper",
		Long: `Count the keys, tokens included, and the webhooks, whose secrets they are, that are sealed under each version of the pepper. With
--without it exits with status 1 as long as that version is needed.`,
		Example: `  spectrond pepper status --connection-string postgres://spectron_owner@db/spectron
  spectrond pepper status --connection-string sqlite:///srv/spectron/spectron.db
  spectrond pepper status --without 1`,
		Args: cli.Arguments(),
	}
	out := addOutput(cmd, environ)
	cli.AddSettings(cmd, &pepperSettings{})
	cmd.Flags().IntVar(&without, "without", 0, "fail while something needs this version")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var cfg pepperSettings
		if err := cli.Load(cmd, environ, &cfg); err != nil {
			return err
		}
		if without < 0 || without > 65535 {
			return cli.Usage(cmd, errors.New("--without: versions go from 1 to 65535"))
		}
		keys, webhooks, err := keymanager.Peppers(cmd.Context(), cfg.ConnectionString.Reveal())
		if err != nil {
			return err
		}
		all := maps.Clone(keys)
		maps.Copy(all, webhooks)
		rows, counts := table.New("VERSION", "KEYS", "WEBHOOKS"), []pepperCount{}
		for _, version := range slices.Sorted(maps.Keys(all)) {
			one := pepperCount{version, keys[version], webhooks[version]}
			counts = append(counts, one)
			rows.Row(strconv.Itoa(int(version)), strconv.FormatInt(one.Keys, 10), strconv.FormatInt(one.Webhooks, 10))
		}
		if err := out.write(cmd, counts, rows); err != nil {
			return err
		}
		return needless(uint16(without), keys, webhooks)
	}
	return cmd
}

// needless fails while something needs a version of the pepper.
func needless(version uint16, keys, webhooks map[uint16]int64) error {
	var needs []string
	if n := keys[version]; n > 0 {
		needs = append(needs, count(int(n), "key"))
	}
	if n := webhooks[version]; n > 0 {
		needs = append(needs, count(int(n), "webhook"))
	}
	if len(needs) > 0 {
		return fmt.Errorf("the pepper of version %d is needed by %s", version, strings.Join(needs, " and "))
	}
	return nil
}
