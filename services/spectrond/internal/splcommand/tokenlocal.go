package splcommand

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// maxTokenInput is the most that is read where a token is expected.
const maxTokenInput = 64 << 10

func (a *app) saveToken() *cobra.Command {
	return &cobra.Command{
		Use:   "save [token | -]",
		Short: "Keep a token for every command from now on",
		Long: `Keep a token in the state directory, in a file that only you can read (mode 0600). Every command sends it from now on, unless
--token or SPL_TOKEN say otherwise.

Without an argument, or with -, the token is read from standard input, so that it is in no list of processes and no history:
on a terminal it is asked for and not shown; from a pipe it may stand among other text, if it is the only token there.`,
		Example: `  spl token save spl_prod_sa_...
  spl token save
  spl token rotate <sa_id> | spl token save -`,
		Args: optional("token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := tokenToSave(cmd, args)
			if err != nil {
				return err
			}
			return a.runSave(cmd, token)
		},
	}
}

// tokenToSave returns the token of the argument, or of standard input.
func tokenToSave(cmd *cobra.Command, args []string) (settings.Secret, error) {
	if len(args) == 1 && args[0] != "-" {
		if strings.TrimSpace(args[0]) == "" {
			return "", cli.Usage(cmd, errors.New("the token is empty"))
		}
		return settings.Secret(strings.TrimSpace(args[0])), nil
	}
	text, err := secretInput(cmd, "Token", maxTokenInput)
	if err != nil {
		return "", err
	}
	token, err := onlyToken(text)
	if err != nil {
		return "", cli.Usage(cmd, err)
	}
	return token, nil
}

// onlyToken returns the token in text: the only one among other words, or the only word.
func onlyToken(text string) (settings.Secret, error) {
	words := strings.Fields(text)
	found := map[string]bool{}
	var token settings.Secret
	for _, word := range words {
		if _, err := apikey.ParseToken(word); err == nil {
			found[word], token = true, settings.Secret(word)
		}
	}
	switch {
	case len(words) == 0:
		return "", errors.New("there is no token, where one was expected")
	case len(found) == 1:
		return token, nil
	case len(words) == 1:
		return settings.Secret(words[0]), nil
	case len(found) == 0:
		return "", errors.New("there is text, but no token in it")
	default:
		return "", errors.New("there is more than one token")
	}
}

func (a *app) runSave(cmd *cobra.Command, token settings.Secret) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	if err := dir.SaveToken(token); err != nil {
		return err
	}
	path := dir.Shown(dir.Token(), a.environ)
	if _, err := apikey.ParseToken(token.Reveal()); err != nil {
		a.tell(cmd, "warning: it does not match the expected shape, spl_<env>_<sa_id>_<secret>; it is saved all the same")
	}
	if a.environ[tokenVariable] != "" {
		a.tell(cmd, "warning: %s is set, and hides it: unset %s", tokenVariable, tokenVariable)
	}
	what := masked(token)
	if what == shapeless {
		what = "it"
	}
	return a.answer(cmd, map[string]string{"saved": dir.Token(), "token": masked(token)}, "saved "+what+" to "+path)
}

func (a *app) unsetToken() *cobra.Command {
	return &cobra.Command{
		Use:     "unset",
		Short:   "Remove the saved token",
		Long:    "Remove the saved token. It stays valid: to make it useless, revoke it.",
		Example: "  spl token unset",
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.home()
			if err != nil {
				return err
			}
			removed, err := dir.UnsetToken()
			if err != nil {
				return err
			}
			if !removed {
				return fault.New(fault.AlreadyDone, "no token is saved in %s", dir.Shown(dir.Token(), a.environ))
			}
			return a.answer(cmd, map[string]string{"removed": dir.Token()}, "removed "+dir.Shown(dir.Token(), a.environ)+"; the token itself stays valid")
		},
	}
}

// sourceAnswer is the answer of show-source for programs.
type sourceAnswer struct {
	Source string   `json:"source"`
	Path   string   `json:"path,omitempty"`
	Token  string   `json:"token,omitempty"`
	Hidden []string `json:"hidden,omitempty"`
}

func (a *app) showSource() *cobra.Command {
	return &cobra.Command{
		Use:     "show-source",
		Short:   "Tell which token commands send, without its secret",
		Long:    "Tell where the token comes from that commands send, and whose it is. Its secret is not shown. Nothing is sent.",
		Example: "  spl token show-source",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runShowSource(cmd) },
	}
}

func (a *app) runShowSource(cmd *cobra.Command) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	token, source, err := a.findToken(dir)
	if err != nil {
		return err
	}
	if source == tokenNone {
		a.tell(cmd, "to keep one: spl token save <token>")
		return a.answer(cmd, sourceAnswer{Source: "none"}, "no token: neither --token, nor "+tokenVariable+", nor "+dir.Shown(dir.Token(), a.environ))
	}
	answer := sourceAnswer{
		Source: map[tokenSource]string{tokenOfFlag: "flag", tokenOfVariable: "env", tokenOfFile: "file"}[source],
		Token:  masked(token), Hidden: a.hidden(dir, source),
	}
	if source == tokenOfFile {
		answer.Path = dir.Token()
	}
	if err := dir.CheckToken(); err != nil {
		a.tell(cmd, "warning: %v", err)
	}
	for _, other := range answer.Hidden {
		a.tell(cmd, "it hides that of the %s", other)
	}
	return a.answer(cmd, answer, "in use: "+a.sourceName(dir, source)+" ("+masked(token)+")")
}

func (a *app) tokenInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info [token | file | -]",
		Short: "Tell what a token says of itself",
		Long: `Tell what a token says of itself: its tag, its service account, and its id, by which 'spl token list' knows it. Nothing is sent,
so this does not tell whether the token is still good. The token may be in a file, such as /dev/stdin.`,
		Example: `  spl token info spl_prod_sa_...
  spl token info /dev/stdin < token-file
  spl token info ~/.syncro/token`,
		Args: optional("token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := tokenToTell(cmd, args)
			if err != nil {
				return err
			}
			only, err := onlyToken(text)
			if err != nil {
				return err
			}
			token, err := apikey.ParseToken(only.Reveal())
			if err != nil {
				return err
			}
			fields := table.New()
			fields.Field("ENV TAG", token.Env())
			fields.Field("SERVICE ACCOUNT", token.Account())
			fields.Field("TOKEN ID", token.ID())
			return a.answerTable(cmd, map[string]string{"env_tag": token.Env(), "sa_id": token.Account(), "token_id": token.ID()}, fields)
		},
	}
}

// tokenToTell returns the argument, or what is in the file that it names.
func tokenToTell(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 || args[0] == "-" {
		return secretInput(cmd, "Token", maxTokenInput)
	}
	if apikey.IsToken(args[0]) {
		return args[0], nil
	}
	file, err := os.Open(args[0])
	if err != nil { // the argument may be a secret with a slip in it
		return "", fmt.Errorf("%w; nor is it a file that can be read", apikey.ErrMalformedToken)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxTokenInput))
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("reading %s: %w", args[0], err)
	}
	return string(content), nil
}

// hidden lists the sources that have a token, too, and come after the one in use.
func (a *app) hidden(dir statedir.Dir, source tokenSource) []string {
	var others []string
	if source < tokenOfVariable && a.environ[tokenVariable] != "" {
		others = append(others, a.sourceName(dir, tokenOfVariable))
	}
	if saved, err := dir.ReadToken(); source < tokenOfFile && err == nil && saved != "" {
		others = append(others, a.sourceName(dir, tokenOfFile))
	}
	return others
}

// optional accepts one argument or none. One that is too much is not echoed: it may be a secret.
func optional(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return cli.Arguments(name)(cmd, args)
	}
}
