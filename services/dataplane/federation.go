package dataplane

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane/internal/discovery"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
)

// Discovery is how this server is found on the local network. Its zero value neither listens nor tells.
type Discovery struct {
	Enabled bool
	// Port is where this server is reached by others; 0 where it is not, and then they are not told.
	Port int
}

// federates gives parts what they share records by, and returns what does so in the background.
func (c Config) federates(
	parts *spl.Parts, rows *store.Store, records *record.Service,
) (background []func(context.Context), err error) {
	sealer, err := sealerOf(c.Spl.SealSecret)
	if err != nil {
		return nil, fmt.Errorf("SPECTRON_SPL_SEAL_SECRET: %w", err)
	}
	now := c.clock()
	shared := federation.New(federation.Config{
		Store: rows, Records: records, Namespace: c.Spl.contextID(), Identity: c.Spl.Identity, Sealer: sealer,
		// Not the name of the process: two of a host that was started anew may have the same.
		Replica: replica() + "-" + uuid.NewString(), Now: now, Log: c.log(), Pulled: c.pulls(),
	})
	parts.Federation = shared
	if !c.Spl.Discovery.Enabled || c.Spl.Identity == nil {
		return []func(context.Context){shared.Run}, nil
	}
	found := discovery.New(discovery.Config{DID: c.Spl.Identity.DID(), Port: c.Spl.Discovery.Port, Now: now, Log: c.log()})
	parts.Neighbours = found.Neighbours
	return []func(context.Context){shared.Run, found.Run}, nil
}

// sealerOf returns nil where there is nothing to seal with.
func sealerOf(secret settings.Secret) (*seal.Sealer, error) {
	if secret == "" {
		return nil, nil //nolint:nilnil // none is what is asked for
	}
	return seal.New(secret, "token of a federation peer")
}
