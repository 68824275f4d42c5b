package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// CodeNoAccounts is the code of the refusal to serve while there is no account.
const CodeNoAccounts = "AUTH_NO_ACCOUNTS"

// AccountsError says that nobody could pass the authentication of the daemon: there is no service account, or all are revoked.
type AccountsError struct {
	operator string
	revoked  bool
}

// Error tells it in one line.
func (e *AccountsError) Error() string {
	why := "there is no service account yet"
	if e.revoked {
		why = "every service account is revoked"
	}
	return CodeNoAccounts + ": authentication is required, and " + why + ", so nobody could be let in"
}

// lead begins the way out.
func (e *AccountsError) lead() string {
	if e.revoked {
		return "Every service account is revoked. A new first one is made with four commands:"
	}
	return "A fresh install is opened with four commands:"
}

// WayOut returns the commands that lead to a daemon with authentication.
func (e *AccountsError) WayOut() []string {
	return []string{
		"spl serve --daemon --insecure-localhost",
		"spl service-account create --bootstrap --name admin --actors " + e.operator + " --scopes admin --with-token",
		"spl token save spl_prod_sa_...",
		"spl serve --stop && spl serve --daemon",
	}
}

// Standing is how the daemon stands with its service accounts.
type Standing struct {
	introspection.Standing
	// Operator says that an account that can be used may act as the operator.
	Operator bool
}

// keyManager is what a start asks of the key manager.
type keyManager interface {
	// EnsureContext makes the context unless it is there.
	EnsureContext(ctx context.Context, id string) error
	Standing(ctx context.Context, contextID string) (introspection.Standing, error)
	// EnrolChosen makes the first account, whose token is given, unless there ever was one.
	EnrolChosen(ctx context.Context, contextID string, token apikey.Token, actors []string) error
	// MayAct reports whether an account that has not been revoked may act as actor.
	MayAct(ctx context.Context, contextID, actor string) (bool, error)
}

// admit makes sure that there is the daemon's context, and whom to let into it. It refuses when authentication is on and there
// is no account that could be used.
func (d *starting) admit(ctx context.Context, keys keyManager) (Standing, error) {
	if err := keys.EnsureContext(ctx, Namespace); err != nil {
		return Standing{}, fmt.Errorf("making the context %s: %w", Namespace, err)
	}
	standing, err := keys.Standing(ctx, Namespace)
	if err == nil && standing.Accounts == 0 && d.options.Chosen != "" {
		if err = d.enrolChosen(ctx, keys); err == nil {
			standing, err = keys.Standing(ctx, Namespace)
		}
	}
	if err != nil {
		return Standing{}, fmt.Errorf("looking at the service accounts: %w", err)
	}
	if !d.options.Insecure && standing.Active == 0 {
		refusal := &AccountsError{operator: d.options.Operator, revoked: standing.Accounts > 0}
		_, _ = fmt.Fprintln(d.audience.Banner, "Auth: "+authLine(statedir.Secure, Standing{Standing: standing})) // as in announce
		note(d.audience, refusal.lead())
		for _, command := range refusal.WayOut() {
			note(d.audience, "  "+command)
		}
		return Standing{}, refusal
	}
	may, err := keys.MayAct(ctx, Namespace, d.options.Operator)
	if err != nil {
		return Standing{}, fmt.Errorf("looking at the service accounts: %w", err)
	}
	return Standing{Standing: standing, Operator: may}, nil
}

// enrolChosen makes the first account with the token whose secret the environment holds. One that will not do is passed over: the
// daemon is then as it would be without.
func (d *starting) enrolChosen(ctx context.Context, keys keyManager) error {
	token, err := apikey.ChosenToken(d.options.Chosen.Reveal())
	if err != nil {
		d.log.WarnContext(ctx, "SPL_BOOTSTRAP_TOKEN is ignored", slog.String("reason", err.Error()))
		note(d.audience, "SPL_BOOTSTRAP_TOKEN is ignored: it "+err.Error())
		return nil
	}
	if err := keys.EnrolChosen(ctx, Namespace, token, []string{d.options.Operator}); err != nil {
		return fmt.Errorf("enrolling SPL_BOOTSTRAP_TOKEN: %w", err)
	}
	d.log.InfoContext(ctx, "the first service account was made with SPL_BOOTSTRAP_TOKEN",
		slog.String("service_account", apikey.BootstrapAccount), slog.String("actor", d.options.Operator))
	note(d.audience, fmt.Sprintf("made the service account %s for %s; its token is %s followed by the value of SPL_BOOTSTRAP_TOKEN",
		apikey.BootstrapAccount, d.options.Operator, apikey.MaskedToken(apikey.DefaultEnv, apikey.BootstrapAccount)[:len("spl_prod_"+apikey.BootstrapAccount+"_")]))
	return nil
}

func authLine(mode statedir.Mode, standing Standing) string {
	accounts := fmt.Sprintf("service accounts: %d", standing.Active)
	if revoked := standing.Accounts - standing.Active; revoked > 0 {
		accounts += fmt.Sprintf(", revoked: %d", revoked)
	}
	if mode == statedir.Insecure {
		return "off, for programs on this machine only (" + accounts + ")"
	}
	return "required (" + accounts + ")"
}

// Banner returns what there is to know about a daemon that serves.
func Banner(run statedir.Run, standing Standing) []string {
	backup := run.Backup
	if backup == "" {
		backup = "none"
	}
	return []string{
		"Store: " + run.Store,
		"Backup: " + backup,
		"Bind: " + run.Bind,
		"Auth: " + authLine(run.Mode, standing),
		fmt.Sprintf("PID: %d", run.PID),
	}
}

// Warnings returns what is wrong with the accounts of a daemon with authentication: what the user will run into.
func Warnings(mode statedir.Mode, standing Standing, operator string) []string {
	switch {
	case mode == statedir.Insecure:
		return nil
	case !standing.Operator:
		return []string{"no service account may act as " + operator + ", so your own commands are refused"}
	default:
		return nil
	}
}

// Guidance tells the user where they are on the way to a daemon with authentication, and what comes next.
func Guidance(mode statedir.Mode, standing Standing, operator string) []string {
	create := "  spl service-account create --bootstrap --name admin --actors " + operator + " --scopes admin --with-token"
	const save, stop, start = "  spl token save spl_prod_sa_...", "  spl serve --stop", "  spl serve --daemon"
	const list, insecure = "  spl service-account list", "  spl serve --daemon --insecure-localhost"
	const revoke = "  spl service-account revoke <sa_id>"
	secure := mode == statedir.Secure
	switch {
	case secure && !standing.Operator:
		return []string{
			"No service account may act as " + operator + ": your own commands are refused, with DID_CLAIM_DENIED.",
			"If an account was made without --actors, replace it (or act as one of its actors: SPL_ACTOR):",
			stop, insecure, list, revoke, create, save, stop, start,
		}
	case secure:
		return nil
	case standing.Active == 0:
		return []string{"Authentication is off. To make the first service account, and turn it on:", create, save, stop, start}
	case !standing.Operator:
		return []string{
			"Authentication is off, and no service account may act as " + operator + ". To replace one that was made without --actors:",
			list, revoke, create, save, stop, start,
		}
	default:
		return []string{
			"Authentication is off. If you are here because a token is lost, mint a new one; then turn authentication on again:",
			list, "  spl token rotate <sa_id>", save, stop, start,
		}
	}
}
