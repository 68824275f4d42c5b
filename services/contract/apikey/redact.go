package apikey

import "regexp"

// secretPattern matches the secret part of anything that looks like a key, well formed or not: a truncated key in a
// log is as bad as a whole one.
var secretPattern = regexp.MustCompile(`\bsp-([a-z2-7]{16})-[0-9A-Za-z]+`)

// Redact returns text with the secret part of every key in it replaced by REDACTED. The id stays, so that a log line
// still names the key.
func Redact(text string) string {
	return secretPattern.ReplaceAllString(text, "sp-$1-"+redacted)
}
