package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const healthTimeout = 5 * time.Second

// Healthy asks the daemon at url whether it serves.
func Healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/health", http.NoBody)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	// No proxy: the question is about this machine.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	if err := answer.Body.Close(); err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("unhealthy: %s/health answered %s", url, answer.Status)
	}
	return nil
}
