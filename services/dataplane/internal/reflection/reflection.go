// Package reflection sums up what is remembered on a question. There is no language model: a reflection is sentences of what
// was remembered, picked by the words of the question, and its text says so.
//
// What it promises: nobody is shown evidence that it may not read, neither now nor when the reflection was kept. A kept
// reflection lives where all of its evidence lives, under one clause of all the nodes of one clause of each piece, so only
// who may read every piece of evidence may read it.
package reflection

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

// Method is how reflections are made, and the only way.
const Method = "extractive"

const (
	// sentences is how many pieces of evidence a reflection quotes, and maxQuote the most bytes of each.
	sentences = 5
	maxQuote  = 600
)

// Store finds evidence.
type Store interface {
	// Search is that of memory.Store.
	Search(ctx context.Context, s memory.Search) ([]memory.Hit, error)
	// Places returns where texts and attributes live, by id.
	Places(ctx context.Context, incarnation string, ids []string) (map[string]scope.Sets, error)
}

// Keeper keeps reflections.
type Keeper interface {
	// Keep stores a reflection where it says.
	Keep(ctx context.Context, who *caller.Caller, r entity.Reflection) (entity.Receipt, error)
}

// Register knows where nothing new may live.
type Register interface {
	// CheckLiving returns a fault about the named field for the first node of sets that is tombstoned.
	CheckLiving(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) error
}

// Service reflects on behalf of callers.
type Service struct {
	store    Store
	keeper   Keeper
	register Register
}

// New returns a Service.
func New(store Store, keeper Keeper, register Register) *Service {
	return &Service{store, keeper, register}
}

// Request asks for a reflection.
type Request struct {
	Question string
	// Persist keeps it.
	Persist bool
	// TraceID is that of the request.
	TraceID string
}

// Reflection answers a Request.
type Reflection struct {
	// Text quotes evidence and says that it does nothing else.
	Text string
	// Evidence is what was found, the best first.
	Evidence []memory.Hit
	// Kept is the attribute in which it was kept; empty when it was not.
	Kept []entity.StoredAttribute
}

// Reflect sums up what who may read. To keep it takes more: see persistRegion. Nothing is kept when nothing is known.
func (s *Service) Reflect(ctx context.Context, who *caller.Caller, r Request) (Reflection, error) {
	region := who.Effective[grant.MemoryRead].Normal()
	switch {
	case who.Blocked():
		return Reflection{}, fault.New(fault.RateLimited, "reflections are stopped in this context; its operator can allow them again")
	case strings.TrimSpace(r.Question) == "":
		return Reflection{}, fault.InvalidField("query", "must not be empty")
	case r.Persist:
		writable, err := persistRegion(who)
		if err != nil {
			return Reflection{}, err
		}
		// What is kept may lean only on what lives where it may be kept.
		region = region.Meet(writable)
	}
	terms := memory.Terms(r.Question)
	var out Reflection
	if len(terms) > 0 {
		var err error
		out.Evidence, err = s.store.Search(ctx, memory.Search{
			Incarnation: who.Incarnation, Terms: terms, Region: region, Limit: memory.DefaultHits,
			Sources: []memory.Source{memory.ChunkSource, memory.AttributeSource}, WithoutReflections: true,
		})
		if err != nil {
			return Reflection{}, err
		}
	}
	quotes := quote(out.Evidence, terms)
	if len(quotes) == 0 {
		out.Text = "Extracted from memory, without a language model: nothing is remembered on this."
		return out, nil
	}
	text := strings.Join(quotes, " ")
	out.Text = "Extracted from memory, without a language model: " + text
	if r.Persist {
		var err error
		out.Kept, err = s.keep(ctx, who, r, text, out.Evidence, region)
		return out, err
	}
	return out, nil
}

func (s *Service) keep(
	ctx context.Context, who *caller.Caller, r Request, text string, evidence []memory.Hit, region scope.Region,
) ([]entity.StoredAttribute, error) {
	ids := make([]string, len(evidence))
	for i, hit := range evidence {
		ids[i] = hit.ID
	}
	places, err := s.store.Places(ctx, who.Incarnation, ids)
	if err != nil {
		return nil, err
	}
	var nodes []scope.Path
	for _, sets := range places {
		i := slices.IndexFunc(sets, func(clause []scope.Path) bool {
			return !slices.ContainsFunc(clause, func(node scope.Path) bool { return !region.Matches(node) })
		})
		if i >= 0 {
			nodes = append(nodes, sets[i]...)
		}
	}
	if len(nodes) == 0 { // all of it was erased meanwhile
		return nil, nil
	}
	sets := scopetree.Normal(scope.Sets{nodes})
	if err := s.register.CheckLiving(ctx, who, "persist", sets); err != nil {
		return nil, err
	}
	receipt, err := s.keeper.Keep(ctx, who, entity.Reflection{Question: r.Question, Text: text, Sets: sets, TraceID: r.TraceID})
	return receipt.Attributes, err
}

// persistRegion returns where who may keep a reflection. An agent may nowhere. A supervisor may where it reads, although it
// writes nothing else; everybody else where it writes. Who acts for another must be allowed itself, and so must the other.
func persistRegion(who *caller.Caller) (scope.Region, error) {
	region, err := regionOf(who.Principal, who.KeyGrants)
	if err != nil || who.OnBehalfOf == nil {
		return region, err
	}
	other, err := regionOf(who.OnBehalfOf, nil)
	if err != nil {
		return nil, err
	}
	if region = region.Meet(other); len(region) == 0 {
		return nil, refused(grant.MemoryWrite)
	}
	return region, nil
}

func regionOf(principal *caller.Principal, key grant.Map) (scope.Region, error) {
	verb := grant.MemoryWrite
	switch principal.Kind {
	case caller.Agent:
		return nil, fault.New(fault.Forbidden, "an agent may not persist reflections; a supervisor may")
	case caller.Supervisor:
		verb = grant.MemoryRead
	case caller.Human, caller.Service, caller.Unknown:
	}
	region := grant.Effective(principal.Grants, key)[verb]
	if len(region) == 0 {
		return nil, refused(verb)
	}
	return region, nil
}

func refused(verb grant.Verb) error {
	return fault.New(fault.Forbidden, "to persist a reflection needs %s, which this caller holds nowhere", verb)
}

// quote returns of each of the first pieces of evidence the sentence that holds the most of terms.
func quote(evidence []memory.Hit, terms []string) []string {
	var quotes []string
	for _, hit := range evidence {
		best := slices.MaxFunc(split(hit.Text), func(a, b string) int { return cmp.Compare(matches(a, terms), matches(b, terms)) })
		if best = entity.Shorten(best, maxQuote); best != "" && !slices.Contains(quotes, best) {
			quotes = append(quotes, best)
		}
		if len(quotes) == sentences {
			break
		}
	}
	return quotes
}

// split returns the sentences of text, at least one.
func split(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		rest := strings.TrimSpace(line)
		for rest != "" {
			end := len(rest)
			for _, mark := range []string{". ", "! ", "? "} {
				if i := strings.Index(rest, mark); i >= 0 && i+1 < end {
					end = i + 1
				}
			}
			out, rest = append(out, rest[:end]), strings.TrimSpace(rest[end:])
		}
	}
	if len(out) == 0 {
		return []string{strings.TrimSpace(text)}
	}
	return out
}

func matches(sentence string, terms []string) (n int) {
	words := memory.Words(sentence)
	for _, term := range terms {
		if slices.Contains(words, term) {
			n++
		}
	}
	return n
}
