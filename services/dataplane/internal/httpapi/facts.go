package httpapi

import (
	"cmp"
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// factsRoute keeps the idempotency keys of POST /facts apart from those of other routes.
const factsRoute = "POST /facts"

// AddFacts remembers a text, or facts.
func (p Parts) AddFacts(ctx context.Context, request AddFactsRequestObject) (AddFactsResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	fact, err := factOf(*request.Body)
	if err != nil {
		return nil, err
	}
	fact.Once = onceOf(ctx, who, factsRoute, request.Params.IdempotencyKey)
	if fact.Infer == memory.Triples {
		return p.addTriples(ctx, who, fact, value(request.Body.Triples))
	}
	began := p.Traces.Begin()
	receipt, err := p.Memory.Remember(ctx, who, fact)
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.AddFacts, rowsOf(receipt))
	return factsBody(cmp.Or(fact.Infer, memory.Full), receipt), nil
}

// factOf reads a request. Enumerations have been checked against the document.
func factOf(body FactsRequest) (fact memory.Fact, err error) {
	fact = memory.Fact{
		Text:      value(body.Text),
		Infer:     memory.Infer(value(body.Infer)),
		SessionID: value(body.SessionID),
		Role:      session.Role(value(body.Role)),
		Category:  memory.Category(value(body.MemoryCategory)),
		Labels:    value(body.Labels),
	}
	if fact.Sets, fact.SetsField, err = eitherClauses[scope.Path]("scopes", body.Scopes, "scope", body.Scope); err != nil {
		return fact, err
	}
	fact.ObservedAt, err = moment("observed_at", body.ObservedAt)
	return fact, err
}

// onceOf returns the name that the caller gave to the write, if it did.
func onceOf(ctx context.Context, who *caller.Caller, route string, key *string) *idempotency.Key {
	if key == nil {
		return nil
	}
	principal := who.Principal.ID
	if who.OnBehalfOf != nil {
		// Clients make the key of what they send: the same for the next principal would be taken for a repetition.
		principal += " for " + who.OnBehalfOf.ID
	}
	return &idempotency.Key{
		Incarnation: who.Incarnation, Principal: principal, Route: route, Key: *key, Request: bodyFingerprint(ctx),
	}
}

// rowsOf is how many memories a write stored: none, if it was a preview.
func rowsOf(receipt memory.Receipt) int {
	if receipt.ChunkID == "" {
		return 0
	}
	return 1
}

func factsBody(infer memory.Infer, receipt memory.Receipt) AddFacts200JSONResponse {
	out := AddFacts200JSONResponse{
		Mode: string(infer), SessionID: receipt.SessionID, TurnID: given(receipt.TurnID), ChunkID: given(receipt.ChunkID),
	}
	if infer == memory.Preview {
		out.Preview = given(true)
	}
	if infer != memory.None {
		extraction := emptyExtraction(receipt.TurnID)
		out.Extraction = &extraction
	}
	return out
}

// emptyExtraction is what is said where a language model would have read a text: there is none, so nothing was extracted.
func emptyExtraction(turn string) Extraction {
	return Extraction{
		TurnID: turn, Entities: []ExtractedEntity{}, Attributes: []ExtractedAttribute{}, Relations: []ExtractedRelation{},
		Instructions: []ExtractedInstruction{}, Uncertainties: []Uncertainty{}, Corrections: []Correction{},
	}
}
