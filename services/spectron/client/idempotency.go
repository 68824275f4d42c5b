package client

import (
	"bytes"
	"crypto/sha256" //nolint:depguard // names a request, as the other clients of Spectron name it; protects nothing
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// idempotencyWindow is how long the same request is the same write.
const idempotencyWindow = 30 * time.Second

const contentJSON = "application/json"

// compactJSON encodes a body without spaces and without escapes that JSON does not ask for, as the other clients do.
func compactJSON(value any) (*bytes.Reader, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return bytes.NewReader(bytes.TrimSuffix(content.Bytes(), []byte("\n"))), nil
}

// withIdempotencyKey gives req the idempotency key that every client of Spectron derives for it, unless it has one:
// hex(SHA-256(method, path, compact JSON body, number of the window)), separated by zero bytes. It runs once per
// request, so that repetitions share the key even when the window ends between them. err is the outcome of building req.
func withIdempotencyKey(req *http.Request, err error) (*http.Request, error) {
	if err != nil || req.Header.Get(idempotencyHeader) != "" {
		return req, err
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	content, err := io.ReadAll(body) // compactJSON wrote it
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	//nolint:forbidigo // the only clock of this package; its tests run in a synctest bubble
	window := time.Now().Unix() / int64(idempotencyWindow/time.Second)
	name := strings.Join([]string{req.Method, req.URL.EscapedPath(), string(content), strconv.FormatInt(window, 10)}, "\x00")
	sum := sha256.Sum256([]byte(name))
	req.Header.Set(idempotencyHeader, hex.EncodeToString(sum[:]))
	return req, nil
}
