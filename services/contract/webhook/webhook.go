// Package webhook is what a key manager says to its webhooks and what a receiver needs to believe it: signatures as Standard
// Webhooks has them (https://www.standardwebhooks.com), and the body of a message.
//
// [Verify] promises that a message it accepts was signed by whoever has the secret, that neither its id, its time nor its body was
// changed, and that it was signed within the tolerance of now. What it cannot see is whether the same message came before:
// a message keeps its id over every attempt, so a receiver remembers the ids of twice the tolerance and drops what it knows.
package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a message.
const (
	// HeaderID names the message. It is the same at every attempt.
	HeaderID = "Webhook-Id"
	// HeaderTimestamp is when the attempt was signed, in seconds since 1970.
	HeaderTimestamp = "Webhook-Timestamp"
	// HeaderSignature is a list, by spaces, of a version, a comma and a signature.
	HeaderSignature = "Webhook-Signature"
)

const (
	// SecretPrefix begins the text of every secret.
	SecretPrefix = "whsec_"
	// DefaultTolerance is how old a message may be, and how far ahead, where a receiver has no wish of its own.
	DefaultTolerance = 5 * time.Minute

	version   = "v1,"
	secretLen = 32
	// minSecret and maxSecret are the bytes that a secret may have: the bounds of Standard Webhooks.
	minSecret, maxSecret = 24, 64
	// maxSignatures bounds the work that a header can make.
	maxSignatures = 16
)

// The reasons to refuse a message. None says anything about the secret.
var (
	// ErrSecret: the text is not a secret.
	ErrSecret = errors.New("not a webhook secret: want whsec_ and 24 to 64 bytes in base64")
	// ErrHeaders: a header is missing or malformed, or given more than once.
	ErrHeaders = errors.New("the webhook headers are missing or malformed")
	// ErrTimestamp: the message was signed too long ago, or in the future.
	ErrTimestamp = errors.New("the webhook timestamp is outside the tolerance")
	// ErrSignature: no signature is that of the secret.
	ErrSignature = errors.New("no webhook signature matches")
)

// NewSecret returns a new random secret, whsec_ and 32 bytes in base64.
func NewSecret() string {
	var raw [secretLen]byte
	_, _ = rand.Read(raw[:]) // never fails: it ends the program
	return SecretPrefix + base64.StdEncoding.EncodeToString(raw[:])
}

// Sign returns the signature of one attempt at a message: its id, the time of the attempt and its body. Errors: ErrSecret.
func Sign(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := parseSecret(secret)
	if err != nil {
		return "", err
	}
	return version + base64.StdEncoding.EncodeToString(sign(key, id, strconv.FormatInt(at.Unix(), 10), body)), nil
}

// Verify checks that whoever has the secret signed body, as the headers say, within the tolerance of now; a tolerance that is not
// positive is [DefaultTolerance]. Call it with the body as it came, before it is parsed. Errors: ErrSecret, ErrHeaders,
// ErrTimestamp, ErrSignature.
func Verify(secret string, header http.Header, body []byte, tolerance time.Duration) error {
	return VerifyAt(secret, header, body, tolerance, time.Now()) //nolint:forbidigo // a receiver's clock; VerifyAt is for others
}

// VerifyAt is [Verify] at another time than now.
func VerifyAt(secret string, header http.Header, body []byte, tolerance time.Duration, now time.Time) error {
	key, err := parseSecret(secret)
	if err != nil {
		return err
	}
	id, stamp, signatures := header.Values(HeaderID), header.Values(HeaderTimestamp), header.Values(HeaderSignature)
	// A dot separates what is signed, so an id with one could be read in two ways.
	if len(id) != 1 || len(stamp) != 1 || len(signatures) != 1 || id[0] == "" || strings.Contains(id[0], ".") {
		return ErrHeaders
	}
	seconds, err := strconv.ParseInt(stamp[0], 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != stamp[0] {
		return ErrHeaders
	}
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	if at := time.Unix(seconds, 0); at.Before(now.Add(-tolerance)) || at.After(now.Add(tolerance)) {
		return ErrTimestamp
	}
	want := sign(key, id[0], stamp[0], body)
	for i, candidate := range strings.Fields(signatures[0]) {
		if i == maxSignatures {
			break
		}
		text, ok := strings.CutPrefix(candidate, version)
		if !ok {
			continue
		}
		if got, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return ErrSignature
}

func sign(key []byte, id, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + stamp + "."))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

func parseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, SecretPrefix)
	if !ok {
		return nil, ErrSecret
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, ErrSecret
	}
	return key, nil
}
