package spl

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	peers "github.com/spectron-hq/spectron/services/dataplane/internal/federation"
)

// ListPairs lists the threads that are pulled.
func (s server) ListPairs(ctx context.Context, _ ListPairsRequestObject) (ListPairsResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := s.Federation.Pairs(ctx, found.space)
	if err != nil {
		return nil, err
	}
	answer := PairList{Object: PairListObjectList, Data: make([]Pair, len(pairs))}
	for i, pair := range pairs {
		answer.Data[i] = pairOf(pair)
	}
	return ListPairs200JSONResponse(answer), nil
}

// CreatePair makes a pair.
func (s server) CreatePair(ctx context.Context, request CreatePairRequestObject) (CreatePairResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	body := request.Body
	pair, warning, err := s.Federation.Pair(ctx, found.space, peers.Draft{
		PeerDID: body.PeerDid, PeerURL: body.PeerURL, Thread: body.ThreadID,
		PeerActor: given(body.PeerActor), PeerToken: settings.Secret(given(body.PeerToken)),
	})
	if err != nil {
		return nil, err
	}
	answer := pairOf(pair)
	answer.Warning = unlessEmpty(warning)
	return CreatePair201JSONResponse(answer), nil
}

// GetPair answers one pair.
func (s server) GetPair(ctx context.Context, request GetPairRequestObject) (GetPairResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	pair, err := s.Federation.Get(ctx, found.space, request.ID)
	return GetPair200JSONResponse(pairOf(pair)), err
}

// DeletePair ends one.
func (s server) DeletePair(ctx context.Context, request DeletePairRequestObject) (DeletePairResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	err = s.Federation.Forget(ctx, found.space, request.ID)
	return DeletePair200JSONResponse{ID: request.ID, Status: DeletedStatusDeleted}, err
}

// ActOnPair pauses a pair, resumes it or has it pulled now.
func (s server) ActOnPair(ctx context.Context, request ActOnPairRequestObject) (ActOnPairResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	act := s.Federation.Kick
	switch request.Action {
	case ActOnPairParamsActionPause:
		act = s.Federation.Pause
	case ActOnPairParamsActionResume:
		act = s.Federation.Resume
	case ActOnPairParamsActionKick:
	}
	pair, err := act(ctx, found.space, request.ID)
	return ActOnPair200JSONResponse(pairOf(pair)), err
}

// GetPairStats answers what a pair has pulled.
func (s server) GetPairStats(ctx context.Context, request GetPairStatsRequestObject) (GetPairStatsResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	pair, err := s.Federation.Get(ctx, found.space, request.ID)
	return GetPairStats200JSONResponse{
		Object: PairStatsObjectSyncPairStats, PairID: pair.ID, Cursor: unlessEmpty(pair.Cursor),
		Pulled: pair.Stats.Pulled, Known: pair.Stats.Known, Refused: pair.Stats.Refused,
		Pulls: pair.Stats.Pulls, Failures: pair.Stats.Failures,
	}, err
}

// GetSyncHealth says how the pairs are.
func (s server) GetSyncHealth(ctx context.Context, _ GetSyncHealthRequestObject) (GetSyncHealthResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := s.Federation.Pairs(ctx, found.space)
	if err != nil {
		return nil, err
	}
	answer := SyncHealth{
		Object: SyncHealthObjectSyncHealth, Status: SyncHealthStatusOk, PairsTotal: len(pairs),
		PairsByState: map[string]int{string(peers.Active): 0, string(peers.Paused): 0, string(peers.Failing): 0},
	}
	for _, pair := range pairs {
		answer.PairsByState[string(pair.State)]++
		if pair.State == peers.Failing {
			answer.Status = SyncHealthStatusDegraded
		}
	}
	return GetSyncHealth200JSONResponse(answer), nil
}

func pairOf(pair peers.Pair) Pair {
	return Pair{
		Object: PairObjectSyncPair, PairID: pair.ID, PeerDid: pair.PeerDID, PeerURL: pair.PeerURL, ThreadID: pair.Thread,
		PeerActor: unlessEmpty(pair.PeerActor), State: PairState(pair.State), HasToken: pair.HasToken, CreatedAt: pair.CreatedAt,
		LastPulledAt: moment(pair.LastPulledAt), LastError: unlessEmpty(pair.LastError),
	}
}

// moment returns nil for what has not happened.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
