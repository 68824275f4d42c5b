package apikey

import "strings"

// A foreign text is a key that another system has made, of which the digest was imported. There is nothing in it to check: it has from
// [MinForeign] to [MaxForeign] visible ASCII characters, and does not begin as ours do.
const (
	MinForeign = 16
	MaxForeign = 512

	// importedPrefix begins the ids of imported keys. An id is random, not computed from the key: a weak key could be guessed from that.
	importedPrefix = "imp"
)

// IsForeign reports whether text has the form of a foreign key.
func IsForeign(text string) bool {
	if len(text) < MinForeign || len(text) > MaxForeign || strings.HasPrefix(text, prefix) || IsToken(text) {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// NewImportedID returns a random id for a key that is imported.
func NewImportedID() string {
	return importedPrefix + randomText(idAlphabet, idLen-len(importedPrefix))
}

// IsImportedID reports whether id may be that of a key that was imported. A few ids of other keys look the same.
func IsImportedID(id string) bool {
	return len(id) == idLen && id[:len(importedPrefix)] == importedPrefix
}
