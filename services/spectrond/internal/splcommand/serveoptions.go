package splcommand

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// options puts together what flags, variables, the last run and config.toml say, in this order.
func (a *app) options(
	cmd *cobra.Command, dir statedir.Dir, f serveFlags, before statedir.Arguments, storeBefore settings.Secret,
) (daemon.Options, error) {
	var said serveSettings
	if err := cli.Load(cmd, a.environ, &said); err != nil {
		return daemon.Options{}, err
	}
	var traces tracing.Settings
	if err := cli.Load(cmd, a.environ, &traces); err != nil {
		return daemon.Options{}, err
	}
	config, err := dir.ReadConfig()
	if err != nil {
		return daemon.Options{}, cli.Usage(cmd, err)
	}
	for _, name := range config.Unknown {
		a.tell(cmd, "spl: %s: %s means nothing here", dir.ConfigFile(), name)
	}
	operator, err := config.Operator(a.environ)
	if err != nil {
		return daemon.Options{}, err
	}
	arguments, err := argumentsOf(cmd, f, said, before)
	if err != nil {
		return daemon.Options{}, err
	}
	options := daemon.Options{
		Host: first(arguments.Host, config.Host, defaultHost), Port: defaultPort,
		Insecure: arguments.Insecure, Memory: arguments.Memory, Discover: arguments.Discover,
		Origins: config.Origins, TrustedProxies: config.TrustedProxies,
		Chosen: said.Chosen, Operator: operator, DisplayName: config.DisplayName, LogLevel: said.LogLevel, Version: a.version, Tracing: traces,
	}
	switch {
	case arguments.Port != nil:
		options.Port = *arguments.Port
	case config.Port != nil:
		options.Port = *config.Port
	}
	if len(arguments.Origins) > 0 {
		options.Origins = arguments.Origins
	}
	if len(arguments.TrustedProxies) > 0 {
		options.TrustedProxies = arguments.TrustedProxies
	}
	if options.Store, err = chooseStore(&arguments, said.Store, storeBefore, config.StoreURL); err != nil {
		return daemon.Options{}, cli.Usage(cmd, err)
	}
	options.Arguments = arguments
	return options, check(cmd, options)
}

// argumentsOf are those of the last run, but for what flags and variables say now.
func argumentsOf(cmd *cobra.Command, f serveFlags, said serveSettings, before statedir.Arguments) (statedir.Arguments, error) {
	arguments := before
	if said.Host != "" {
		arguments.Host = &said.Host
	}
	if said.Port != "" {
		port, err := strconv.Atoi(said.Port)
		if err != nil {
			return arguments, cli.Usage(cmd, errors.New("--port (SPL_PORT): want a number"))
		}
		arguments.Port = &port
	}
	if cmd.Flags().Changed("insecure-localhost") {
		arguments.Insecure = f.insecure
	}
	if cmd.Flags().Changed("memory") {
		arguments.Memory = f.memory
	}
	if cmd.Flags().Changed("discover") {
		arguments.Discover = f.discover
	}
	if len(said.Origins) > 0 {
		arguments.Origins = said.Origins
	}
	if len(said.Proxies) > 0 {
		arguments.TrustedProxies = said.Proxies
	}
	return arguments, nil
}

func first(said *string, texts ...string) string {
	if said != nil {
		return *said
	}
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// chooseStore returns the URL of the store to use, and notes how it is to be found again when the daemon is restarted.
func chooseStore(arguments *statedir.Arguments, said, before, configured settings.Secret) (settings.Secret, error) {
	if said == "" {
		said = before
	}
	arguments.Store, arguments.StoreKept = "", false
	if said == "" {
		return absolute(configured)
	}
	chosen, err := absolute(said)
	if err != nil {
		return "", err
	}
	if daemon.HasPassword(chosen) {
		arguments.StoreKept = true
	} else {
		arguments.Store = chosen.Reveal()
	}
	return chosen, nil
}

// absolute makes the path of a SQLite store absolute: a daemon runs elsewhere.
func absolute(store settings.Secret) (settings.Secret, error) {
	if store == "" {
		return "", nil
	}
	u, err := url.Parse(store.Reveal())
	if err != nil || u.Scheme != "sqlite" && u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("--store (SPL_STORE, or url in config.toml): want sqlite:///path or postgres://user@host/name")
	}
	if u.Opaque == "" {
		return store, nil
	}
	path, err := database.FilePath(store.Reveal())
	if err != nil {
		return "", fmt.Errorf("finding the store: %w", err)
	}
	return settings.Secret(database.FileURL(path)), nil
}

func check(cmd *cobra.Command, options daemon.Options) error {
	if options.Port < 0 || options.Port > 65535 {
		return cli.Usage(cmd, fmt.Errorf("port %d: want 1 to 65535, or 0 for any that is free", options.Port))
	}
	if strings.ContainsAny(options.Host, " /") || strings.Contains(options.Host, ":") && net.ParseIP(options.Host) == nil {
		return cli.Usage(cmd, fmt.Errorf("host %q: want a name or an address, without a port", options.Host))
	}
	if _, err := web.ParseOrigins(options.Origins); err != nil {
		return cli.Usage(cmd, fmt.Errorf("--cors-origins (SPL_CORS_ORIGINS): %w", err))
	}
	if _, err := network.ParseAll(options.TrustedProxies); err != nil {
		return cli.Usage(cmd, fmt.Errorf("--trusted-proxies (SPL_TRUSTED_PROXIES): %w", err))
	}
	if options.Memory && options.Store != "" && options.Arguments.Store+boolText(options.Arguments.StoreKept) != "" {
		return cli.Usage(cmd, errors.New("--memory and --store exclude each other"))
	}
	return nil
}

func boolText(b bool) string {
	if b {
		return "kept"
	}
	return ""
}
