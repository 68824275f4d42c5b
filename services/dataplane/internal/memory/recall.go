package memory

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// How many hits a query may ask for.
const (
	DefaultHits = 10
	MaxHits     = 50
)

// Mode is a way to search. The zero value means Hybrid.
type Mode string

// The ways to search.
const (
	// Hybrid ranks by words and by meaning; without embeddings, by words alone.
	Hybrid Mode = "hybrid"
	// BM25 ranks by words.
	BM25 Mode = "bm25"
	// Vector ranks by meaning, Graph follows relations; neither can be done without embeddings and entities.
	Vector Mode = "vector"
	Graph  Mode = "graph"
)

// Query asks for memories.
type Query struct {
	Text string
	// K is how many hits at most, 1 to MaxHits.
	K         int
	Mode      Mode
	Lens      scope.Lens
	Labels    []string
	SessionID string
	// Sources, when not empty, are what a hit may be.
	Sources []Source
	// AsOf, AtInstant, ValidFrom and ValidUntil are those of a Search.
	AsOf, AtInstant, ValidFrom, ValidUntil time.Time
	// Duplicates says that each of several equal texts is to be a hit.
	Duplicates bool
}

// Recollection answers a Query.
type Recollection struct {
	Hits []Hit
	// Reason says how the hits were found.
	Reason string
	// Took is how long that took.
	Took time.Duration
}

// Recall finds what who may read. Whatever lies outside who's region is not found, and asking for it is no error.
func (s *Service) Recall(ctx context.Context, who *caller.Caller, query Query) (Recollection, error) {
	began := s.now()
	reason, err := query.check()
	if err != nil {
		return Recollection{}, err
	}
	search := Search{
		Incarnation: who.Incarnation,
		Terms:       Terms(query.Text),
		Region:      who.Effective[grant.MemoryRead].Normal(),
		Lens:        query.Lens,
		Labels:      query.Labels,
		SessionID:   query.SessionID,
		Sources:     query.Sources,
		AsOf:        query.AsOf.UTC(),
		AtInstant:   query.AtInstant.UTC(),
		ValidFrom:   query.ValidFrom.UTC(),
		ValidUntil:  query.ValidUntil.UTC(),
		Distinct:    !query.Duplicates,
		Limit:       query.K,
	}
	var hits []Hit
	if len(search.Terms) == 0 {
		reason += "; the query holds no word to look for"
	} else if hits, err = s.store.Search(ctx, search); err != nil {
		return Recollection{}, err
	}
	return Recollection{Hits: hits, Reason: reason, Took: s.now().Sub(began)}, nil
}

// check refuses what cannot be served, completes query and says how it will be served.
func (query *Query) check() (reason string, err error) {
	switch cmp.Or(query.Mode, Hybrid) {
	case BM25:
		reason = "bm25, as asked: ranked by words"
	case Hybrid:
		reason = "hybrid fell back to bm25: this deployment has no embeddings, so hits are ranked by words"
	case Vector, Graph:
		return "", fault.InvalidField("mode", "%s needs embeddings, which this deployment does not have; use bm25 or hybrid", query.Mode)
	default:
		return "", fault.InvalidField("mode", "want hybrid or bm25")
	}
	switch {
	case strings.TrimSpace(query.Text) == "":
		return "", fault.InvalidField("query", "must not be empty")
	case query.K < 1 || query.K > MaxHits:
		return "", fault.InvalidField("k", "want 1 to %d", MaxHits)
	case strings.ContainsRune(query.SessionID, 0):
		return "", fault.InvalidField("sessionId", "must not hold the character U+0000")
	}
	query.Labels, err = parseLabels("labels", query.Labels)
	return reason, err
}
