package splcommand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// state is how the daemon is. What is nil could not be learnt.
type state struct {
	Status          string     `json:"status"`
	Version         string     `json:"version,omitempty"`
	PID             int        `json:"pid,omitempty"`
	StartedAt       *time.Time `json:"started_at,omitempty"`
	UptimeSeconds   *int64     `json:"uptime_seconds,omitempty"`
	Records         *int64     `json:"records,omitempty"`
	ServiceAccounts *int       `json:"service_accounts,omitempty"`
	Store           string     `json:"store,omitempty"`
	Bind            string     `json:"bind,omitempty"`
	URL             string     `json:"url,omitempty"`
	Auth            string     `json:"auth,omitempty"`
	Health          string     `json:"health,omitempty"`
}

// The states, and the words for what a daemon asks of its callers.
const (
	running    = "running"
	notRunning = "not running"
	authOff    = "off"
	authNeeded = "required"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say how the daemon is, as 'spl serve --status' does",
		Long: `Say how the daemon of this state directory is: its version, process, uptime, store, address, and whether it asks for tokens and
answers. How many records it has it tells those only whom it lets in. Exit status 1 when a daemon runs but does not answer.`,
		Example: "  spl status\n  spl status -o json",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd) },
	}
}

func (a *app) runStatus(cmd *cobra.Command) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	pid, alive, err := daemon.Running(dir)
	if err != nil {
		return err
	}
	run, err := dir.ReadRun()
	if err != nil && !errors.Is(err, statedir.ErrNotRunning) {
		return err
	}
	switch {
	case !alive:
		if errors.Is(err, statedir.ErrNotRunning) {
			return a.answer(cmd, state{Status: notRunning}, "Status: "+notRunning)
		}
		line := fmt.Sprintf("Status: %s (the last one, pid %d, ended without a word)", notRunning, run.PID)
		return a.answer(cmd, state{Status: notRunning}, line)
	case err != nil || run.PID != pid:
		return a.answer(cmd, state{Status: "starting", PID: pid}, fmt.Sprintf("Status: starting (pid %d)", pid))
	}
	s := a.look(cmd.Context(), dir, run)
	if err := a.answer(cmd, s, strings.Join(s.lines(run), "\n")); err != nil {
		return err
	}
	if s.Health != "ok" {
		return fmt.Errorf("the daemon (pid %d) does not answer: %s", pid, s.Health)
	}
	return nil
}

// look asks the daemon.
func (a *app) look(ctx context.Context, dir statedir.Dir, run statedir.Run) state {
	uptime := int64(time.Since(run.StartedAt).Seconds())
	s := state{
		Status: running, Version: run.Version, PID: run.PID, StartedAt: &run.StartedAt, UptimeSeconds: &uptime,
		Store: run.Store, Bind: run.Bind, URL: run.URL, Auth: authNeeded, Health: "ok",
	}
	if run.Mode == statedir.Insecure {
		s.Auth = authOff
	}
	if err := daemon.Healthy(ctx, run.URL); err != nil {
		s.Health = cli.Describe(err)
		return s
	}
	s.Records, s.ServiceAccounts = a.counts(ctx, dir, run.URL)
	return s
}

// maxHealth is the most that the answer about health may have.
const maxHealth = 64 << 10

// counts asks for what the daemon tells those only whom it lets in. Without a good token there is no answer.
func (a *app) counts(ctx context.Context, dir statedir.Dir, url string) (records *int64, accounts *int) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/health", http.NoBody)
	if err != nil {
		return nil, nil
	}
	if token, _, err := a.findToken(dir); err == nil && token != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	if config, err := dir.ReadConfig(); err == nil {
		if actor, err := config.Operator(a.environ); err == nil {
			request.Header.Set("X-Syncropel-Actor", actor)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is on this machine
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	var health struct {
		Records         *int64 `json:"records"`
		ServiceAccounts *int   `json:"service_accounts"`
	}
	if answer.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(answer.Body, maxHealth)).Decode(&health) != nil {
		return nil, nil
	}
	return health.Records, health.ServiceAccounts
}

// lines returns s for people.
func (s state) lines(run statedir.Run) []string {
	records := "unknown (a token that it accepts is needed)"
	if s.Records != nil {
		records = fmt.Sprint(*s.Records)
	}
	auth := s.Auth
	switch {
	case s.ServiceAccounts != nil:
		auth += fmt.Sprintf(" (service accounts: %d)", *s.ServiceAccounts)
	default:
		auth += fmt.Sprintf(" (service accounts: %d when it started)", run.Accounts)
	}
	lines := []string{
		"Status: " + s.Status,
		"Version: " + s.Version,
		fmt.Sprintf("PID: %d", s.PID),
		"Uptime: " + (time.Duration(*s.UptimeSeconds) * time.Second).String(),
		"Records: " + records,
		"Store: " + s.Store,
		"Bind: " + s.Bind,
		"Auth: " + auth,
		"Health: " + s.Health,
	}
	if s.Auth == authOff {
		lines = append(lines, "", "Authentication is off until the daemon is stopped: spl serve --stop, then spl serve --daemon.")
	}
	return lines
}
