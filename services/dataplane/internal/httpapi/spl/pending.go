package spl

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pending answers what is not served yet.
type pending struct{}

var errPending = fault.New(fault.NotSupported, "not served yet")

func (pending) GetEngineConfig(context.Context, GetEngineConfigRequestObject) (GetEngineConfigResponseObject, error) {
	return nil, errPending
}

func (pending) SwitchPermissions(context.Context, SwitchPermissionsRequestObject) (SwitchPermissionsResponseObject, error) {
	return nil, errPending
}

func (pending) ListRules(context.Context, ListRulesRequestObject) (ListRulesResponseObject, error) {
	return nil, errPending
}

func (pending) SetRule(context.Context, SetRuleRequestObject) (SetRuleResponseObject, error) {
	return nil, errPending
}
