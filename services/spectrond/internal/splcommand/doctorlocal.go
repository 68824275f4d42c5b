package splcommand

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// examineDirectory checks who else can look into the state directory.
func (a *app) examineDirectory(dir statedir.Dir) []finding {
	const check = "state directory"
	open, err := dir.Open()
	if err != nil {
		return []finding{{check, fail, err.Error(), "ls -la " + dir.Path()}}
	}
	var findings []finding
	for _, path := range open {
		bare, _, _ := strings.Cut(path, " (mode ")
		if bare == dir.Token() {
			continue // it has a check of its own
		}
		findings = append(findings, finding{check, fail, "others can read " + path, "chmod go-rwx " + bare})
	}
	if len(findings) == 0 {
		return []finding{{check, pass, dir.Shown(dir.Path(), a.environ) + " is for you alone, or not there yet", ""}}
	}
	return findings
}

func (a *app) examineConfig(dir statedir.Dir) []finding {
	const check = "config.toml"
	config, err := dir.ReadConfig()
	if err != nil {
		return []finding{{check, fail, err.Error(), "edit " + dir.ConfigFile()}}
	}
	if len(config.Unknown) > 0 {
		return []finding{{check, warn, "it has names that mean nothing: " + strings.Join(config.Unknown, ", "), "edit " + dir.ConfigFile()}}
	}
	return nil
}

// examineProcess checks that what the state directory says of a daemon is true.
func examineProcess(dir statedir.Dir) finding {
	const check = "process"
	pid, running, err := daemon.Running(dir)
	if err != nil {
		return finding{check, fail, err.Error(), "rm " + dir.PID()}
	}
	if running {
		return finding{check, pass, fmt.Sprintf("the daemon runs, pid %d", pid), ""}
	}
	if _, err := dir.ReadRun(); pid != 0 || !errors.Is(err, statedir.ErrNotRunning) {
		return finding{check, warn, fmt.Sprintf("stale PID file: the daemon (pid %d) has ended without a word", pid), "spl serve --daemon"}
	}
	return finding{check, warn, "no daemon runs from this state directory", "spl serve --daemon"}
}

func (a *app) examineTokenFile(dir statedir.Dir) finding {
	const check = "saved token"
	path := dir.Shown(dir.Token(), a.environ)
	if err := dir.CheckToken(); err != nil {
		return finding{check, fail, err.Error(), "chmod 600 " + dir.Token()}
	}
	token, err := dir.ReadToken()
	switch {
	case err != nil:
		return finding{check, fail, err.Error(), "spl token unset"}
	case token == "":
		return finding{check, warn, "no token is saved in " + path, "spl token save <token>"}
	}
	if _, err := apikey.ParseToken(token.Reveal()); err != nil {
		return finding{check, fail, path + " has not the shape of a token", "spl token save <token>"}
	}
	return finding{check, pass, path + " holds " + masked(token), ""}
}

// examineSource checks that the token that is sent is the one that the user believes to be.
func (a *app) examineSource(dir statedir.Dir) finding {
	const check = "token in use"
	token, source, err := a.findToken(dir)
	if err != nil {
		return finding{check, fail, err.Error(), "spl token unset"}
	}
	if source == tokenNone {
		return finding{check, warn, "commands send no token", "spl token save <token>"}
	}
	message := "that of the " + a.sourceName(dir, source) + ", " + masked(token)
	hidden := a.hidden(dir, source)
	if len(hidden) == 0 {
		return finding{check, pass, message, ""}
	}
	message += "; it hides that of the " + strings.Join(hidden, " and the ")
	if source == tokenOfVariable {
		return finding{check, warn, message, "unset " + tokenVariable}
	}
	return finding{check, pass, message, ""} // --token was typed just now
}
