package engineconfig

import (
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// Thread is the thread whose records are the configuration.
const Thread = "th_engine_config"

// The codes of refusals.
const (
	codeReservedThread     = "RESERVED_THREAD"
	codeScopeForbidden     = "SCOPE_FORBIDDEN"
	codePermissionDenied   = "PERMISSION_DENIED"
	codePermissionsLockout = "PERMISSIONS_LOCKOUT"
	codeInvalidRecord      = "INVALID_RECORD"
)

// Threads that only the server writes: what it says there must be its own word. Whatever begins like the last ones is kept free
// for more of them.
var (
	reserved         = []string{"th_service_accounts", "th_tokens"}
	reservedPrefixes = []string{"th_audit_", "th_engine_"}
)

// Reserved reports whether a thread is the server's own, which nobody else may make, delete, or write to; but for [Thread], by the rules
// of [Service.Admit].
func Reserved(thread string) bool {
	return slices.Contains(reserved, thread) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(thread, prefix) })
}

// RefuseReserved refuses what nobody may do to a thread that is the server's own: to write to it from outside, or to make or
// delete it.
func RefuseReserved(thread string) error {
	if !Reserved(thread) {
		return nil
	}
	return &fault.Error{Kind: fault.Forbidden, Code: codeReservedThread, Field: "thread", Message: "the thread " + thread + " is written by the server alone"}
}

// requireConfigWrite refuses who may not change the configuration, whatever else it may write.
func requireConfigWrite(who grant.Holder) error {
	if grant.HasScope(who, grant.ConfigWrite) {
		return nil
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: codeScopeForbidden, RequiredScope: string(grant.ConfigWrite),
		Message: "records on " + Thread + " are the configuration: writing them needs the scope " + string(grant.ConfigWrite),
	}
}
