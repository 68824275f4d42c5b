package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

var errNotConfirmed = errors.New("not confirmed, so nothing was done; --yes answers for you")

func (a *app) forget() *cobra.Command {
	var opts client.ForgetOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   `forget "<query>"`,
		Short: "Forget what a query finds",
		Long: `Forget what a query finds, within what the key may forget. What is forgotten is not found any more, but its history
stays. With --purge it is erased with its history, which cannot be undone: a person at a terminal is asked before that.`,
		Example: `  spectron forget "oat milk" --dry-run
  spectron forget "oat milk"
  spectron forget "oat milk" --purge --yes`,
		Args: oneQuery,
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if opts.Purge && !opts.DryRun && !yes {
				if err := a.confirmPurge(cmd.Context(), c, args[0]); err != nil {
					return err
				}
			}
			rows, err := c.Forget(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			if opts.DryRun {
				a.complain("a dry run: nothing was forgotten")
				return a.printText(map[string]int64{"deleted": rows}, "would delete "+countRows(rows))
			}
			return a.printCount("deleted", rows)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.DryRun, "dry-run", false, "count, and forget nothing")
	flags.BoolVar(&opts.Purge, "purge", false, "erase the history, too")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirmPurge asks the person at the terminal, if there is one, and says how much it is about.
func (a *app) confirmPurge(ctx context.Context, c *client.Client, query string) error {
	if _, ok := a.terminal(); !ok {
		return nil
	}
	rows, err := c.Forget(ctx, query, client.ForgetOptions{DryRun: true})
	if err != nil {
		return err
	}
	return a.confirm(ctx, fmt.Sprintf("Erase what this finds now (rows: %d) and its history? This cannot be undone. [y/N]", rows))
}

// confirm asks the person at the terminal. Where there is none, nobody is asked.
func (a *app) confirm(ctx context.Context, question string) error {
	if _, ok := a.terminal(); !ok {
		return nil
	}
	answer, err := a.ask(ctx, question, "")
	if err != nil {
		return err
	}
	if answer := strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errNotConfirmed
	}
	return nil
}

func (a *app) lifecycle() *cobra.Command {
	expire := &cobra.Command{
		Use:     "expire",
		Short:   "End what has outlived its validity",
		Long:    "End what has outlived its validity, within what the key may forget.",
		Example: "  spectron lifecycle expire",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			rows, err := c.Expire(cmd.Context())
			if err != nil {
				return err
			}
			return a.printCount("affected", rows)
		}),
	}
	refuse(expire.Flags(), "older-than", "what is expired is decided by how long it was valid, not by its age")
	decay := &cobra.Command{
		Use:     "decay",
		Short:   "Lower the importance of what was not written for long",
		Long:    "Lower the importance of what was not written for long, within what the key may write.",
		Example: "  spectron lifecycle decay",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			rows, err := c.Decay(cmd.Context())
			if err != nil {
				return err
			}
			return a.printCount("affected", rows)
		}),
	}
	return group(&cobra.Command{
		Use:     "lifecycle",
		Short:   "Age memories",
		Long:    "Age memories. A server does so by itself; these commands do it now.",
		Example: "  spectron lifecycle decay",
	}, decay, expire)
}
