package spl

import (
	"context"

	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
)

// What the permission rules know the routes as.
const (
	recordRead   = engineconfig.RecordRead
	recordWrite  = engineconfig.RecordWrite
	threadRead   = engineconfig.ThreadRead
	threadWrite  = engineconfig.ThreadWrite
	configRead   = engineconfig.ConfigRead
	configWrite  = engineconfig.ConfigWrite
	accountRead  = engineconfig.AccountRead
	accountWrite = engineconfig.AccountWrite
	federation   = engineconfig.Federation
	daemonRead   = engineconfig.DaemonRead
)

// Rules can refuse what token, scope and claim allow. They never allow more.
type Rules interface {
	// Allow returns nil, or why the request is refused: fault.Forbidden with the code PERMISSION_DENIED.
	Allow(ctx context.Context, ask engineconfig.Ask) error
}
