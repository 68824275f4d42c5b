package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
)

// ImportKeys imports keys by their hashes.
func (p Parts) ImportKeys(ctx context.Context, request ImportKeysRequestObject) (ImportKeysResponseObject, error) {
	items := make([]key.Import, len(request.Body.Keys))
	for i, body := range request.Body.Keys {
		items[i] = importOf(body)
	}
	done, revised, reached, err := p.Imports.Import(ctx, request.ContextId, items)
	if err != nil {
		return nil, err
	}
	body := ImportedKeys{Keys: make([]ImportedKey, len(done)), Revision: given(revised)}
	for i, item := range done {
		body.Keys[i] = ImportedKey{
			Name: item.Name, Status: ImportedKeyStatus(item.Status), Detail: given(item.Detail), Id: given(item.Key.ID),
			PrincipalId: given(item.Key.PrincipalID), ValidUntil: given(item.Key.ExpiresAt),
		}
	}
	if reached != nil {
		body.Propagation = new(propagationBody(*reached))
	}
	return ImportKeys200JSONResponse(body), nil
}

func importOf(body KeyImport) key.Import {
	item := key.Import{
		Name: body.Name, Hash: body.Hash, PrincipalID: value(body.PrincipalId), Grants: (*map[string][]string)(body.Grants),
		Shape: shapeOf(MintKeyRequest{ScopeFloor: body.ScopeFloor}), TTL: body.TtlSeconds, ExpiresAt: value(body.ExpiresAt),
	}
	item.Shape.Kind = caller.Kind(value(body.Principal))
	return item
}
