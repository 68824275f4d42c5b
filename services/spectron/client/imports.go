package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// MaxImport is the most keys that one batch may hold.
const MaxImport = 1000

// KeyImport is a key that another system made, by the hash of its text.
type KeyImport struct {
	Name string `json:"name"`
	// Hash is the SHA-256 of the key's text, in hexadecimal digits or base64.
	Hash string `json:"hash"`
	// Principal is agent (the default) or supervisor; PrincipalID, instead, the id of a principal that there is.
	Principal   string            `json:"principal,omitempty"`
	PrincipalID string            `json:"principal_id,omitempty"`
	ScopeFloor  map[string]string `json:"scope_floor,omitempty"`
	Grants      Grants            `json:"grants,omitempty"`
	// TTLSeconds or ExpiresAt ends the key; without either it has no end, unless the context has a cap.
	TTLSeconds int64      `json:"ttl_seconds,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

// ImportedKey says what became of a [KeyImport].
type ImportedKey struct {
	Name string `json:"name"`
	// Status is created, exists (from before, with the same hash), conflict or error, and Detail says why.
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	// ID and PrincipalID are empty unless the key is there.
	ID          string `json:"id,omitempty"`
	PrincipalID string `json:"principal_id,omitempty"`
}

// ImportKeys imports at most [MaxImport] keys into a context and returns what became of each, in their order. The same again changes
// nothing, so a batch whose answer was lost may be sent again.
func (m *Management) ImportKeys(ctx context.Context, contextID string, keys []KeyImport) ([]ImportedKey, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return nil, err
	}
	body := managementapi.ImportKeysRequest{Keys: make([]managementapi.KeyImport, len(keys))}
	for i, k := range keys {
		item := managementapi.KeyImport{
			Name: k.Name, Hash: k.Hash, Principal: optional(managementapi.KeyImportPrincipal(k.Principal)), PrincipalID: optional(k.PrincipalID),
			TTLSeconds: optional(k.TTLSeconds), ExpiresAt: k.ExpiresAt,
		}
		if k.ScopeFloor != nil {
			item.ScopeFloor = &managementapi.ScopeFloor{
				Org: optional(k.ScopeFloor["org"]), Team: optional(k.ScopeFloor["team"]),
				Agent: optional(k.ScopeFloor["agent"]), User: optional(k.ScopeFloor["user"]),
			}
		}
		if k.Grants != nil {
			item.Grants = new(managementapi.GrantMap(k.Grants))
		}
		body.Keys[i] = item
	}
	req, err := managementapi.NewImportKeysRequest(m.server, contextID, body)
	answer, err := call[struct{ Keys []ImportedKey }](ctx, m.transport, req, err)
	return answer.Keys, err
}
