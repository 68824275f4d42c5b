package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// KeyPatch changes the settings of a key. What is nil stays.
type KeyPatch struct {
	Enabled *bool
	// RateLimit may point to nil, which takes the limit away.
	RateLimit **RateLimit
	// AllowedCIDRs may be empty, which is everywhere.
	AllowedCIDRs *[]string
}

// PatchKey changes the settings of a key and returns it as it is then. What changed holds from the next request on when this returns
// without error.
func (m *Management) PatchKey(ctx context.Context, contextID, name string, patch KeyPatch) (Key, error) {
	if err := checkKeyPath(contextID, name); err != nil {
		return Key{}, err
	}
	body := managementapi.PatchKeyRequest{Enabled: patch.Enabled}
	var err error
	if patch.RateLimit != nil {
		if body.RateLimit, err = json.Marshal(*patch.RateLimit); err != nil {
			return Key{}, fmt.Errorf("encoding a rate limit: %w", err)
		}
	}
	if patch.AllowedCIDRs != nil {
		networks := *patch.AllowedCIDRs
		if networks == nil {
			networks = []string{}
		}
		if body.AllowedCidrs, err = json.Marshal(networks); err != nil {
			return Key{}, fmt.Errorf("encoding networks: %w", err)
		}
	}
	req, err := managementapi.NewPatchKeyRequest(m.server, contextID, name, body)
	return call[Key](ctx, m.transport, req, err)
}

// ExpiringKey is a key that ends soon, of any context.
type ExpiringKey struct {
	Key
	ContextID string `json:"contextId"`
}

// ExpiringKeys iterates over the keys of all contexts that end within a time, in whole seconds, rounded up, and have not yet: soonest
// first.
func (m *Management) ExpiringKeys(ctx context.Context, within time.Duration) iter.Seq2[ExpiringKey, error] {
	return pages[ExpiringKey](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		params := &managementapi.ListExpiringKeysParams{Within: ttlSeconds(within), Cursor: cursor}
		return managementapi.NewListExpiringKeysRequest(m.server, params)
	})
}
