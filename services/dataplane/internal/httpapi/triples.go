package httpapi

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// addTriples stores the facts of a request, and the text that came with them.
func (p Parts) addTriples(ctx context.Context, who *caller.Caller, fact memory.Fact, body []Triple) (AddFactsResponseObject, error) {
	triples, err := triplesOf(body)
	if err != nil {
		return nil, err
	}
	began := p.Traces.Begin()
	receipt, err := p.Entities.Assert(ctx, who, fact, triples)
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.AddFacts, rowsOf(receipt.Receipt)+len(receipt.Attributes)+len(receipt.Relations))
	out := factsBody(memory.Triples, receipt.Receipt)
	for _, each := range receipt.Entities {
		out.Extraction.Entities = append(out.Extraction.Entities, ExtractedEntity{
			ID: each.ID, Name: each.Name, EntityType: each.Type, MemoryCategory: string(each.Category), IsNew: each.New,
		})
	}
	out.Extraction.Attributes = storedAttributes(receipt.Attributes)
	for _, each := range receipt.Relations {
		out.Extraction.Relations = append(out.Extraction.Relations, ExtractedRelation{
			Subject: each.SubjectID, Label: each.Label, Object: each.ObjectID, MemoryCategory: string(each.Category),
		})
	}
	for _, each := range receipt.Corrections {
		out.Extraction.Corrections = append(out.Extraction.Corrections, Correction{
			EntityID: each.EntityID, Key: each.Key, OldValue: each.Old, NewValue: each.New,
		})
	}
	return out, nil
}

func triplesOf(body []Triple) ([]entity.Triple, error) {
	triples := make([]entity.Triple, len(body))
	for i, each := range body {
		triples[i] = entity.Triple{
			Entity: entity.Ref{Type: each.Entity.Type, Name: each.Entity.Name}, Key: each.Key,
			Category: memory.Category(value(each.MemoryCategory)),
		}
		if each.Target != nil {
			triples[i].Target = &entity.Ref{Type: each.Target.Type, Name: each.Target.Name}
		}
		if len(each.Value) == 0 || string(each.Value) == "null" {
			continue
		}
		text := string(each.Value) // a number or a truth value, says the document: digit for digit
		if text[0] == '"' {
			if err := json.Unmarshal(each.Value, &text); err != nil {
				return nil, fmt.Errorf("reading the value of a triple: %w", err)
			}
		}
		triples[i].Value = &text
	}
	return triples, nil
}

func storedAttributes(stored []entity.StoredAttribute) []ExtractedAttribute {
	out := make([]ExtractedAttribute, len(stored))
	for i, each := range stored {
		out[i] = ExtractedAttribute{
			ID: each.ID, EntityID: each.EntityID, Key: each.Key, Value: each.Value, MemoryCategory: string(each.Category),
		}
	}
	return out
}
