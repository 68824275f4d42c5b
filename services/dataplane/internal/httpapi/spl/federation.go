package spl

import (
	"context"
	"slices"
)

// FederationPair says who this server is to another one that has said so.
func (s server) FederationPair(ctx context.Context, request FederationPairRequestObject) (FederationPairResponseObject, error) {
	body := request.Body
	sig, err := s.Federation.Shake(body.Did, body.Challenge, body.Sig)
	if err != nil {
		return nil, err
	}
	return FederationPair200JSONResponse{
		Object: HandshakeAnswerObjectFederationPeer, Did: s.Federation.Identity.DID(), KeyFingerprint: s.Federation.Identity.Fingerprint(),
		Challenge: body.Challenge, Sig: sig,
	}, nil
}

// ListPeers lists the servers that threads are pulled from.
func (s server) ListPeers(ctx context.Context, _ ListPeersRequestObject) (ListPeersResponseObject, error) {
	list, err := s.peerList(ctx)
	return ListPeers200JSONResponse(list), err
}

func (s server) peerList(ctx context.Context) (PeerList, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return PeerList{}, err
	}
	known, err := s.Federation.Peers(ctx, found.space)
	if err != nil {
		return PeerList{}, err
	}
	list := PeerList{Object: PeerListObjectList, Enabled: true, Data: make([]Peer, len(known))}
	for i, peer := range known {
		list.Data[i] = Peer{Did: peer.DID, URL: peer.URL, Pairs: &peer.Pairs, LastSeenAt: moment(peer.LastSeenAt)}
	}
	return list, nil
}

// ListDiscovered lists the servers that were heard of on the local network and, whether anybody listens or not, those that threads
// are pulled from.
func (s server) ListDiscovered(ctx context.Context, _ ListDiscoveredRequestObject) (ListDiscoveredResponseObject, error) {
	list, err := s.peerList(ctx)
	if err != nil {
		return nil, err
	}
	list.Enabled = s.Neighbours != nil
	if list.Enabled {
		for _, each := range s.Neighbours() {
			known := slices.ContainsFunc(list.Data, func(p Peer) bool { return p.Did == each.DID && p.URL == each.URL })
			if !known {
				list.Data = append(list.Data, Peer{Did: each.DID, URL: each.URL, LastSeenAt: moment(each.SeenAt)})
			}
		}
	}
	return ListDiscovered200JSONResponse(list), nil
}
