package client

import (
	"crypto/sha256" //nolint:depguard // names a request, as the other clients of Spectron name it; protects nothing
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// idempotencyWindow is how long the same request is the same write.
const idempotencyWindow = 30 * time.Second

// deriveIdempotencyKey gives req the idempotency key that every client of Spectron derives for it, unless it has one:
// hex(SHA-256(method, path, compact JSON body, number of the window)), separated by zero bytes. It runs once per
// request, so that repetitions share the key even when the window ends between them.
func deriveIdempotencyKey(req *http.Request) error {
	if req.Header.Get(idempotencyHeader) != "" {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	content, err := io.ReadAll(body) // encoding/json wrote it compact
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	//nolint:forbidigo // the only clock of this package; its tests run in a synctest bubble
	window := time.Now().Unix() / int64(idempotencyWindow/time.Second)
	name := strings.Join([]string{req.Method, req.URL.EscapedPath(), string(content), strconv.FormatInt(window, 10)}, "\x00")
	sum := sha256.Sum256([]byte(name))
	req.Header.Set(idempotencyHeader, hex.EncodeToString(sum[:]))
	return nil
}
