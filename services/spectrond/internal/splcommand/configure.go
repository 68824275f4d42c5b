package splcommand

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// permissionRules is the kind of rules that this daemon acts by; ruleKinds are all.
const permissionRules = "permission-rules"

var ruleKinds = []string{"rules", permissionRules, "fold-rules", "health-checks", "decision-policies"}

func (a *app) config() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:   "config",
		Short: "See and change what the daemon goes by while it runs",
		Long: `The configuration of a daemon is rules, by kind and name, whether its permission rules hold, and which pages may call it from
a browser. It is what records on the thread th_engine_config say, so it has a history: spl record list --thread th_engine_config.

Permission rules can refuse what a token may do otherwise, and never allow more. They are off until they are turned on. The one
with the highest priority is asked first, then by name; the first whose expression is true decides, and where none is, or one
cannot be evaluated, the request is denied. An expression is CEL, over

  current_actor()  who the request claims to come from
  resource         record_read, record_write, thread_read, thread_write, config_read, config_write, account_read,
                   account_write, federation or daemon_read
  record           the record that is about to be written, as record.thread or record.body.x; empty for other requests
  system           system.version, system.namespace and system.auth_required
  now()            the time`,
		Example: `  spl config add-permission-rule --name operators --action allow --expression 'current_actor().startsWith("did:sync:user:")'
  spl config permissions-enable
  spl config rules list permission-rules`,
	}, a.showConfig(), a.rules(), a.addPermissionRule(), a.removePermissionRule(),
		a.switchPermissions(true), a.switchPermissions(false), a.unlockPermissions(), a.authStatus(), a.setOrigins())
}

func (a *app) showConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the settings, and how many rules there are",
		Long: "Show whether requests must authenticate, whether the permission rules hold, which pages may call from a browser, and how many rules of\n" +
			"each kind there are. The scope is config:read.",
		Example: "  spl config show",
		Args:    cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			config, err := remote.Read[splclient.EngineConfig](s.GetEngineConfig(cmd.Context(), nil))
			if err != nil {
				return err
			}
			rows := table.New("SETTING", "VALUE")
			rows.Row("auth required", yesNo(config.AuthRequired))
			rows.Row("permission rules hold", yesNo(config.PermissionsEnabled))
			rows.Row("pages that may call", pages(config))
			for _, kind := range ruleKinds {
				rows.Row(kind, strconv.Itoa(config.Rules[kind]))
			}
			return a.answerTable(cmd, config, rows)
		}),
	}
}

func (a *app) authStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "auth-status",
		Short: "Say whether the daemon asks for tokens, whether its permission rules hold, and which pages may call",
		Long: `Say whether the daemon asks for tokens, whether its permission rules hold, and which pages may call it from a browser, besides those
that it was started with. No configuration turns authentication off: that takes a start with --insecure-localhost. The scope is
config:read.`,
		Example: "  spl config auth-status",
		Args:    cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			config, err := remote.Read[splclient.EngineConfig](s.GetEngineConfig(cmd.Context(), nil))
			if err != nil {
				return err
			}
			auth, rules := "required", "off"
			if !config.AuthRequired {
				auth = "off, until the daemon is stopped"
			}
			if config.PermissionsEnabled {
				rules = "on"
			}
			return a.answer(cmd, config, "Authentication: "+auth+"\nPermission rules: "+rules+"\nPages that may call: "+pages(config))
		}),
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) rules() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "rules",
		Short:   "List, set and remove rules of any kind",
		Long:    "Rules have a kind and a name: " + strings.Join(ruleKinds, ", ") + ". A daemon acts by permission rules; the others it keeps.",
		Example: "  spl config rules list\n  spl config rules set --kind health-checks --name disk --body '{\"over\":90}'",
	}, a.listRules(), a.setRule(), a.removeRule())
}

func (a *app) listRules() *cobra.Command {
	return &cobra.Command{
		Use:       "list [kind]",
		Short:     "Show the rules of a kind, or of all",
		Long:      "Show rules, the highest priority first. Kinds: " + strings.Join(ruleKinds, ", ") + ". The scope is config:read.",
		Example:   "  spl config rules list\n  spl config rules list permission-rules",
		ValidArgs: ruleKinds,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usage(cmd, errors.New("one kind at most"))
			}
			return nil
		},
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			if len(args) == 0 {
				args = ruleKinds
			}
			all := []splclient.Rule{}
			rows := table.New("KIND", "NAME", "PRIORITY", "ENABLED", "ACTION", "RULE", "SET BY")
			for _, kind := range args {
				list, err := remote.Read[splclient.RuleList](s.ListRules(cmd.Context(), kind, nil))
				if err != nil {
					return err
				}
				for _, one := range list.Data {
					all = append(all, one)
					rows.Row(one.Kind, one.Name, strconv.Itoa(int(one.Priority)), yesNo(one.Enabled), text(one.Action), said(one), one.SetBy)
				}
			}
			if rows.Empty() {
				a.tell(cmd, "no rules")
			}
			return a.answerTable(cmd, all, rows)
		}),
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// said is what a rule says, for a table.
func said(rule splclient.Rule) string {
	if rule.Expression != nil {
		return *rule.Expression
	}
	if rule.Body == nil {
		return ""
	}
	body, err := json.Marshal(rule.Body)
	if err != nil { // it has just been read from JSON
		return ""
	}
	return brief(body)
}

// ruleFlags are the flags of the commands that set and remove rules.
type ruleFlags struct {
	kind, name, action, expression, body string
	priority                             int32
	disabled                             bool
}

func (f *ruleFlags) named(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "name of the rule (required)")
}

func (f *ruleFlags) ofKind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kind, "kind", "rules", strings.Join(ruleKinds, ", "))
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(ruleKinds, cobra.ShellCompDirectiveNoFileComp))
}

func (f *ruleFlags) holding(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.action, "action", "", "of a permission rule: allow or deny")
	cmd.Flags().StringVar(&f.expression, "expression", "", "of a permission rule: when it decides, in CEL; see 'spl config --help'")
	cmd.Flags().Int32Var(&f.priority, "priority", 0, "rules of a higher one come first")
	cmd.Flags().BoolVar(&f.disabled, "disabled", false, "keep it without following it")
}

func (f *ruleFlags) check() error {
	if !slices.Contains(ruleKinds, f.kind) {
		return fmt.Errorf("--kind %q is none of %s", f.kind, strings.Join(ruleKinds, ", "))
	}
	if strings.TrimSpace(f.name) == "" {
		return errors.New("--name is required")
	}
	if f.action != "" && f.action != "allow" && f.action != "deny" {
		return errors.New("--action: want allow or deny")
	}
	return nil
}

// rule is the rule that the flags describe.
func (f *ruleFlags) rule(cmd *cobra.Command) (splclient.NewRule, error) {
	enabled := !f.disabled
	rule := splclient.NewRule{Name: f.name, Enabled: &enabled, Priority: &f.priority, Expression: given(f.expression)}
	if f.action != "" {
		rule.Action = new(splclient.NewRuleAction(f.action))
	}
	if f.body != "" {
		body, err := object(cmd, "--body", f.body)
		if err != nil {
			return rule, err
		}
		if err := json.Unmarshal(body, &rule.Body); err != nil {
			return rule, errors.New("--body is no JSON object")
		}
	}
	return rule, f.check()
}

// setting makes a command set the rule that its flags describe.
func (a *app) setting(f *ruleFlags, also func() error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		rule, err := f.rule(cmd)
		if err == nil {
			err = also()
		}
		if err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			set, err := remote.Read[splclient.Rule](s.SetRule(cmd.Context(), f.kind, nil, rule))
			if err != nil {
				return err
			}
			return a.answer(cmd, set, "set "+set.Name+" among the "+set.Kind)
		})(cmd, args)
	}
}

func nothingElse() error { return nil }

func (a *app) setRule() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{
		Use:     "set --kind <kind> --name <name>",
		Short:   "Set a rule, or replace the one of its name",
		Long:    "Set a rule, or replace the one of its name. The same again changes nothing. The scope is config:write.",
		Example: "  spl config rules set --kind fold-rules --name sum --priority 10 --body '{\"over\":\"amount\"}'",
		Args:    cli.Arguments(),
		RunE:    a.setting(&f, nothingElse),
	}
	f.ofKind(cmd)
	f.named(cmd)
	f.holding(cmd)
	cmd.Flags().StringVar(&f.body, "body", "", "what else it says: a JSON object, or - for standard input")
	return cmd
}

func (a *app) addPermissionRule() *cobra.Command {
	f := ruleFlags{kind: permissionRules}
	cmd := &cobra.Command{
		Use:   "add-permission-rule --name <name> --action allow|deny --expression <CEL>",
		Short: "Set a permission rule, or replace the one of its name",
		Long: `Set a permission rule, or replace the one of its name. It holds from the next request on, if the permission rules are on:
there is no check then that it keeps yourself out. What expressions are made of tells 'spl config --help'. The scope is
config:write.`,
		Example: `  spl config add-permission-rule --name operators --action allow --priority 10 --expression 'current_actor() == "did:sync:user:ada"'
  spl config add-permission-rule --name frozen --action deny --priority 90 \
    --expression 'resource == "record_write" && record.thread == "th_archive"'`,
		Args: cli.Arguments(),
		RunE: a.setting(&f, func() error {
			if f.action == "" || f.expression == "" {
				return errors.New("--action and --expression are required")
			}
			return nil
		}),
	}
	f.named(cmd)
	f.holding(cmd)
	return cmd
}

// removing makes a command remove a rule.
func (a *app) removing(f *ruleFlags) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			removed, err := remote.Read[splclient.Rule](
				s.SetRule(cmd.Context(), f.kind, nil, splclient.NewRule{Name: f.name, Remove: new(true)}))
			if err != nil {
				return err
			}
			return a.answer(cmd, removed, "removed "+removed.Name+" from the "+removed.Kind)
		})(cmd, args)
	}
}

func (a *app) removeRule() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{
		Use:     "remove --kind <kind> --name <name>",
		Short:   "Remove a rule",
		Long:    "Remove a rule. Its history stays. The scope is config:write.",
		Example: "  spl config rules remove --kind fold-rules --name sum",
		Args:    cli.Arguments(),
		RunE:    a.removing(&f),
	}
	f.ofKind(cmd)
	f.named(cmd)
	return cmd
}

func (a *app) removePermissionRule() *cobra.Command {
	f := ruleFlags{kind: permissionRules}
	cmd := &cobra.Command{
		Use:     "remove-permission-rule --name <name>",
		Short:   "Remove a permission rule",
		Long:    "Remove a permission rule, from the next request on. The scope is config:write.",
		Example: "  spl config remove-permission-rule --name frozen",
		Args:    cli.Arguments(),
		RunE:    a.removing(&f),
	}
	f.named(cmd)
	return cmd
}
