package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

// arguments accepts exactly the arguments with the given names. One that is too much is not repeated: it may be a secret.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("the argument <%s> is missing", names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("%d arguments where %d are expected; put quotes around what has spaces", len(args), len(names))
		default:
			return nil
		}
	}
}

// oneQuery accepts one argument, which is a sentence as a rule.
func oneQuery(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("give one query, in quotes when it has spaces")
	}
	return nil
}

// withClient runs act with the client that the settings describe.
func (a *app) withClient(act func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := checkRefused(cmd); err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		return act(cmd, c, args)
	}
}

// refusedAnnotation marks a flag that is known from elsewhere, with the reason why it does nothing here.
const refusedAnnotation = "spectron_refused"

// refuse makes name a flag that is refused, because to ignore it would be to pretend.
func refuse(flags *pflag.FlagSet, name, reason string) {
	flags.String(name, "", reason)
	flag := flags.Lookup(name)
	flag.Hidden = true
	flag.Annotations = map[string][]string{refusedAnnotation: {reason}}
}

// checkRefused returns why the first flag given that is refused is.
func checkRefused(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if reason := flag.Annotations[refusedAnnotation]; reason != nil && err == nil {
			err = fmt.Errorf("--%s is not supported: %s", flag.Name, reason[0])
		}
	})
	return err
}

// instant is the value of a flag that takes a moment: RFC 3339, or a day, which stands for its beginning in UTC.
type instant struct{ time.Time }

var _ pflag.Value = (*instant)(nil)

// String returns the moment, or nothing when it was not given.
func (i *instant) String() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339Nano)
}

// Set takes a moment.
func (i *instant) Set(text string) error {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			i.Time = t
			return nil
		}
	}
	return errors.New("want a moment such as 2026-09-01T12:00:00Z, or a day such as 2026-09-01")
}

// Type returns the word that help shows for the value.
func (*instant) Type() string { return "time" }

// maxLifetime is what servers take at most: a hundred years.
const maxLifetime = 3_153_600_000 * time.Second

// checkLifetime checks the seconds of --expires-in. Zero is refused where it is given: it would read as a key without an
// end to some and as a dead one to others.
func checkLifetime(cmd *cobra.Command, seconds int64) (time.Duration, error) {
	if !cmd.Flags().Changed("expires-in") {
		return 0, nil
	}
	if seconds < 1 || seconds > int64(maxLifetime/time.Second) {
		return 0, usagef("--expires-in: want a whole number of seconds, at least 1 and at most a hundred years")
	}
	return time.Duration(seconds) * time.Second, nil
}

// checkLimit refuses limits and offsets that make no sense, which would read as not given.
func checkLimit(cmd *cobra.Command) error {
	for name, least := range map[string]int64{"limit": 1, "offset": 0} {
		flag := cmd.Flags().Lookup(name)
		if flag == nil || !flag.Changed {
			continue
		}
		if n, err := cmd.Flags().GetInt32(name); err != nil || int64(n) < least {
			return usagef("--%s: want at least %d", name, least)
		}
	}
	return nil
}

// addPage gives cmd the flags of a part of a list.
func addPage(cmd *cobra.Command, page *client.Page) {
	cmd.Flags().Int32Var(&page.Limit, "limit", 0, "most rows to show, up to 500 (default 100)")
	cmd.Flags().Int32Var(&page.Offset, "offset", 0, "rows to leave out first")
}

// grantFlag gives cmd the flag --grant.
func grantFlag(cmd *cobra.Command, pairs *[]string) {
	cmd.Flags().StringArrayVar(pairs, "grant", nil, "`verb=pattern` that is allowed, such as memory:read=org/acme/* (repeatable)")
}

// parseGrants reads verb=pattern pairs; nil for none. What a verb or a pattern is, the server knows.
func parseGrants(pairs []string) (client.Grants, error) {
	var grants client.Grants
	for _, pair := range pairs {
		verb, pattern, ok := strings.Cut(pair, "=")
		if !ok || verb == "" || pattern == "" {
			return nil, usagef("%q is not verb=pattern, such as memory:read=org/acme/*", pair)
		}
		if grants == nil {
			grants = client.Grants{}
		}
		if !slices.Contains(grants[verb], pattern) {
			grants[verb] = append(grants[verb], pattern)
		}
	}
	return grants, nil
}

// parseEntity reads Type/name.
func parseEntity(text string) (client.EntityRef, error) {
	kind, name, ok := strings.Cut(strings.TrimSpace(text), "/")
	if !ok || kind == "" || name == "" {
		return client.EntityRef{}, usagef("%q is not an entity, such as person/alice", text)
	}
	return client.EntityRef{Type: kind, Name: name}, nil
}
