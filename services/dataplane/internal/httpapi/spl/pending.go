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

func (pending) ListDiscovered(context.Context, ListDiscoveredRequestObject) (ListDiscoveredResponseObject, error) {
	return nil, errPending
}

func (pending) FederationPair(context.Context, FederationPairRequestObject) (FederationPairResponseObject, error) {
	return nil, errPending
}

func (pending) ListPeers(context.Context, ListPeersRequestObject) (ListPeersResponseObject, error) {
	return nil, errPending
}

func (pending) ListChanges(context.Context, ListChangesRequestObject) (ListChangesResponseObject, error) {
	return nil, errPending
}

func (pending) GetSyncHealth(context.Context, GetSyncHealthRequestObject) (GetSyncHealthResponseObject, error) {
	return nil, errPending
}

func (pending) ListPairs(context.Context, ListPairsRequestObject) (ListPairsResponseObject, error) {
	return nil, errPending
}

func (pending) CreatePair(context.Context, CreatePairRequestObject) (CreatePairResponseObject, error) {
	return nil, errPending
}

func (pending) DeletePair(context.Context, DeletePairRequestObject) (DeletePairResponseObject, error) {
	return nil, errPending
}

func (pending) GetPair(context.Context, GetPairRequestObject) (GetPairResponseObject, error) {
	return nil, errPending
}

func (pending) GetPairStats(context.Context, GetPairStatsRequestObject) (GetPairStatsResponseObject, error) {
	return nil, errPending
}

func (pending) ActOnPair(context.Context, ActOnPairRequestObject) (ActOnPairResponseObject, error) {
	return nil, errPending
}

func (pending) PushRecords(context.Context, PushRecordsRequestObject) (PushRecordsResponseObject, error) {
	return nil, errPending
}
