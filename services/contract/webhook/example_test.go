package webhook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/webhook"
)

// A receiver reads the body as it came, verifies it, drops what it has seen, and answers before it does anything that takes long.
func Example() {
	secret := webhook.NewSecret() // from `spectrond webhooks create`, kept with the other secrets
	var seen sync.Map             // in a database, for twice the tolerance, where there are several receivers
	receive := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || webhook.Verify(secret, r.Header, body, webhook.DefaultTolerance) != nil {
			http.Error(w, "not from the key manager", http.StatusUnauthorized)
			return
		}
		if _, known := seen.LoadOrStore(r.Header.Get(webhook.HeaderID), true); known {
			return // a repetition: accept it again, do nothing
		}
		var message webhook.Message
		if json.Unmarshal(body, &message) == nil && message.Type == webhook.KeyRevoked {
			fmt.Println("revoked:", message.Data.Name)
		}
	}

	body := `{"type":"key.revoked","timestamp":"2026-01-02T12:00:00Z","data":{"id":"k","name":"planner"}}`
	now := time.Now()
	signature, _ := webhook.Sign(secret, "msg_1", now, []byte(body))
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
		r.Header = headers("msg_1", now, signature)
		receive(httptest.NewRecorder(), r)
	}
	// Output: revoked: planner
}
