package federation

import (
	"context"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const maxDID, maxURL = 512, 2048

// Draft is a pair that somebody wants.
type Draft struct {
	PeerDID, PeerURL, Thread string
	// PeerActor is the identity to claim at the peer; empty for none.
	PeerActor string
	// PeerToken is what the peer asks for; empty if it asks for nothing.
	PeerToken settings.Secret
}

// Pair makes a pair, or returns the one of the same peer, address and thread, which then has the new actor and, if there is one,
// token. A warning, if not empty, says what is odd about the peer; the pair is made all the same.
func (s *Service) Pair(ctx context.Context, space string, draft Draft) (pair Pair, warning string, err error) {
	if err := draft.normalise(); err != nil {
		return Pair{}, "", err
	}
	sum := fingerprint.Of("sync pair", draft.PeerDID, draft.PeerURL, draft.Thread)
	kept := Kept{
		ID: "pair_" + hex.EncodeToString(sum[:16]), PeerDID: draft.PeerDID, PeerURL: draft.PeerURL, Thread: draft.Thread, PeerActor: draft.PeerActor,
	}
	if draft.PeerToken != "" {
		if s.Sealer == nil {
			return Pair{}, "", fault.New(fault.NotSupported,
				"this server cannot keep a peer's token: set SPECTRON_SPL_SEAL_SECRET, or its _FILE, on it (`spectrond generate-secret` makes one)")
		}
		kept.Sealed = s.Sealer.Seal(draft.PeerToken, place(space, kept.ID))
	}
	if pair, err = s.Store.KeepPair(ctx, space, kept); err != nil {
		return Pair{}, "", err
	}
	s.look()
	warning = s.probe(ctx, draft.PeerURL, draft.PeerDID)
	if draft.PeerToken != "" && inClear(draft.PeerURL) {
		warning = strings.TrimPrefix(warning+"; the token travels to this peer unencrypted: prefer https", "; ")
	}
	return pair, warning, nil
}

// place is what a token is sealed for: the row that it is in.
func place(space, id string) string { return space + "/" + id }

func (d *Draft) normalise() error {
	switch {
	case !strings.HasPrefix(d.PeerDID, "did:") || len(d.PeerDID) > maxDID || !printable(d.PeerDID):
		return fault.InvalidField("peer_did", "must be a DID, such as did:key:z6Mk…")
	case d.PeerActor != "" && !printable(d.PeerActor):
		return fault.InvalidField("peer_actor", "must be printable")
	case d.PeerToken != "" && !printable(d.PeerToken.Reveal()):
		return fault.InvalidField("peer_token", "must be printable, without spaces")
	}
	if err := record.CheckThread("thread_id", d.Thread); err != nil {
		return err
	}
	if record.Reserved(d.Thread) {
		return record.ThreadReserved(d.Thread)
	}
	address, err := normalURL(d.PeerURL)
	d.PeerURL = address
	return err
}

// printable reports whether text may be the value of a header.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || unicode.IsSpace(r) })
}

// normalURL returns the base of a peer's addresses, in one form for all ways to write it.
func normalURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL || err != nil || u.Opaque != "":
		return "", fault.InvalidField("peer_url", "must be of the form https://host:port")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fault.InvalidField("peer_url", "must begin with http:// or https://")
	case u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		return "", fault.InvalidField("peer_url", "must name a host")
	case u.User != nil:
		return "", fault.InvalidField("peer_url", "must hold no user or password; what the peer asks for is peer_token")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "", fault.InvalidField("peer_url", "must end with the path at most: no query, no fragment")
	}
	u.Host = strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if u.Scheme == scheme {
			u.Host = strings.TrimSuffix(u.Host, port)
		}
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// inClear reports whether what is sent to an address can be read on the way.
func inClear(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())
}

// Pairs returns all pairs of a space, the oldest first.
func (s *Service) Pairs(ctx context.Context, space string) ([]Pair, error) {
	return s.Store.Pairs(ctx, space)
}

// Get returns one pair.
func (s *Service) Get(ctx context.Context, space, id string) (Pair, error) {
	return s.Store.Pair(ctx, space, id)
}

// Forget ends a pair and forgets its token. What was pulled stays.
func (s *Service) Forget(ctx context.Context, space, id string) error {
	defer s.look()
	return s.Store.ForgetPair(ctx, space, id)
}

// Pause keeps a pair from being pulled, until it is resumed.
func (s *Service) Pause(ctx context.Context, space, id string) (Pair, error) {
	return s.touch(ctx, space, id, new(true))
}

// Resume lets it be pulled again.
func (s *Service) Resume(ctx context.Context, space, id string) (Pair, error) {
	return s.touch(ctx, space, id, new(false))
}

// Kick makes a pair that is not paused be pulled now, whatever it was waiting for.
func (s *Service) Kick(ctx context.Context, space, id string) (Pair, error) {
	return s.touch(ctx, space, id, nil)
}

func (s *Service) touch(ctx context.Context, space, id string, paused *bool) (Pair, error) {
	defer s.look()
	return s.Store.TouchPair(ctx, space, id, paused)
}

// Peer is a server that threads are pulled from.
type Peer struct {
	DID, URL string
	Pairs    int
	// LastSeenAt is when it last answered well; zero if it never has.
	LastSeenAt time.Time
}

// Peers returns the peers of a space, those of the oldest pairs first.
func (s *Service) Peers(ctx context.Context, space string) ([]Peer, error) {
	pairs, err := s.Store.Pairs(ctx, space)
	if err != nil {
		return nil, err
	}
	var peers []Peer
	for _, pair := range pairs {
		i := slices.IndexFunc(peers, func(p Peer) bool { return p.DID == pair.PeerDID && p.URL == pair.PeerURL })
		if i < 0 {
			i, peers = len(peers), append(peers, Peer{DID: pair.PeerDID, URL: pair.PeerURL})
		}
		peers[i].Pairs++
		if pair.LastPulledAt.After(peers[i].LastSeenAt) {
			peers[i].LastSeenAt = pair.LastPulledAt
		}
	}
	return peers, nil
}
