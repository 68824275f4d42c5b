package splcommand

import (
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// tokenVariable holds the token to send.
const tokenVariable = "SPL_TOKEN"

// tokenSource is where a token was found.
type tokenSource int

// The sources, in the order in which they are looked into: the first that has one wins.
const (
	tokenNone tokenSource = iota
	tokenOfFlag
	tokenOfVariable
	tokenOfFile
)

// findToken returns the token to send, and where it was found.
func (a *app) findToken(dir statedir.Dir) (settings.Secret, tokenSource, error) {
	if a.token != "" {
		return a.token, tokenOfFlag, nil
	}
	if token := a.environ[tokenVariable]; token != "" {
		return settings.Secret(token), tokenOfVariable, nil
	}
	token, err := dir.ReadToken()
	if err != nil || token == "" {
		return "", tokenNone, err
	}
	return token, tokenOfFile, nil
}
