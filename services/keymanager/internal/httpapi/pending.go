package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pending: each handler moves to its own file when it is built; this file is gone at the end of the work.
var errPending = fault.New(fault.NotSupported, "not built yet")

// DecayContext is pending.
func (Parts) DecayContext(context.Context, DecayContextRequestObject) (DecayContextResponseObject, error) {
	return nil, errPending
}

// ReindexContext is pending.
func (Parts) ReindexContext(context.Context, ReindexContextRequestObject) (ReindexContextResponseObject, error) {
	return nil, errPending
}

// GetUsage is pending.
func (Parts) GetUsage(context.Context, GetUsageRequestObject) (GetUsageResponseObject, error) {
	return nil, errPending
}

// GetMigrations is pending.
func (Parts) GetMigrations(context.Context, GetMigrationsRequestObject) (GetMigrationsResponseObject, error) {
	return nil, errPending
}
