package apikey

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The patterns match the secret part of anything that looks like a key or a token, well formed or not: a truncated one in a
// log is as bad as a whole one.
var (
	secretPattern = regexp.MustCompile(`sp-([a-z2-7]{16})-[0-9A-Za-z]+`)
	tokenPattern  = regexp.MustCompile(`(spl_[0-9A-Za-z-]*_)(?:(sa_[0-9A-Za-z]*_)[0-9A-Za-z]+|(sa-bootstrap-env_)\S+)`)
)

// Redact returns text with the secret part of every key and every token in it replaced by REDACTED. The rest stays, so that a
// log line still names the key, and a token's account.
func Redact(text string) string {
	text = secretPattern.ReplaceAllString(text, "sp-$1-"+redacted)
	return tokenPattern.ReplaceAllString(text, "${1}${2}${3}"+redacted)
}

// Presentable reports whether people can be shown all of text: it has at most limit characters, all of which can be printed, and no key or
// token is in it.
func Presentable(text string, limit int) bool {
	unfit := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	return utf8.RuneCountInString(text) <= limit && !strings.ContainsFunc(text, unfit) && Redact(text) == text
}
