package web

import (
	"net/http"
	"strings"
)

// Bearer returns the token of the one Authorization header (RFC 6750, section 2.1). Two headers, another scheme and a
// token with characters that no token has are not ok.
func Bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(token, " ") // 1*SP
	if !isToken(token) {
		return "", false
	}
	return token, true
}

// isToken reports whether s is a b64token: letters, digits and -._~+/, then any number of equals signs.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
