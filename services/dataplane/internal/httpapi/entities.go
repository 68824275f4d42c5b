package httpapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// ListEntities lists entities by type and name.
func (p Parts) ListEntities(ctx context.Context, request ListEntitiesRequestObject) (ListEntitiesResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	limit, err := p.Limits.rows(request.Params.Limit, entity.MaxEntities)
	if err != nil {
		return nil, err
	}
	found, err := p.Entities.List(ctx, who, entity.Page{
		Type: value(request.Params.Type), Limit: limit, Offset: int(value(request.Params.Offset)),
	})
	return ListEntities200JSONResponse{Entities: each(found, entityBody)}, err
}

// GetEntity shows an entity.
func (p Parts) GetEntity(ctx context.Context, request GetEntityRequestObject) (GetEntityResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.Entities.Get(ctx, who, entity.Ref{Type: request.Type, Name: request.Name})
	return GetEntity200JSONResponse{
		Entity: entityBody(found.Entity), Attributes: each(found.Attributes, attributeBody), Relations: each(found.Relations, relationBody),
	}, err
}

// DeleteEntity forgets an entity.
func (p Parts) DeleteEntity(ctx context.Context, request DeleteEntityRequestObject) (DeleteEntityResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	began := p.Traces.Begin()
	n, err := p.Entities.Forget(ctx, who, entity.Ref{Type: request.Type, Name: request.Name})
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.DeleteEntity, n)
	return DeleteEntity204Response{}, nil
}

// GetHistory lists the values of a key.
func (p Parts) GetHistory(ctx context.Context, request GetHistoryRequestObject) (GetHistoryResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.Entities.History(ctx, who, entity.Ref{Type: request.Type, Name: request.Name}, request.Key)
	return GetHistory200JSONResponse{History: each(found, attributeBody)}, err
}

// GetState shows what is current, by category.
func (p Parts) GetState(ctx context.Context, _ GetStateRequestObject) (GetStateResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	out := GetState200JSONResponse{Instructions: []ExtractedInstruction{}, Unknowns: []Uncertainty{}}
	for category, section := range map[memory.Category]*StateCategory{
		memory.Identity: &out.Identity, memory.Knowledge: &out.Knowledge, memory.Context: &out.Context,
	} {
		found, err := p.Entities.Section(ctx, who, category)
		if err != nil {
			return nil, err
		}
		*section = StateCategory{
			Entities: each(found.Entities, entityBody), Attributes: each(found.Attributes, attributeBody),
			Relations: each(found.Relations, relationBody),
		}
	}
	return out, nil
}

// GetProfile shows the attributes, by category.
func (p Parts) GetProfile(ctx context.Context, _ GetProfileRequestObject) (GetProfileResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	out := GetProfile200JSONResponse{Instructions: []ExtractedInstruction{}}
	for category, entries := range map[memory.Category]*[]ProfileEntry{
		memory.Identity: &out.Static, memory.Context: &out.Dynamic, memory.Knowledge: &out.Preferences,
	} {
		found, err := p.Entities.Attributes(ctx, who, category)
		if err != nil {
			return nil, err
		}
		*entries = each(found, func(a entity.Attribute) ProfileEntry { return ProfileEntry{Key: a.Key, Value: a.Value} })
	}
	return out, nil
}

// Inspect shows what a reference stands for.
func (p Parts) Inspect(ctx context.Context, request InspectRequestObject) (InspectResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	if id, isTrace := strings.CutPrefix(request.Params.Ref, "trace:"); isTrace {
		return p.inspectTrace(ctx, id)
	}
	return p.inspectEntity(ctx, who, request.Params.Ref)
}

func (p Parts) inspectEntity(ctx context.Context, who *caller.Caller, ref string) (InspectResponseObject, error) {
	found, err := p.Entities.Inspect(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	switch {
	case found.Entity != nil:
		body := entityBody(found.Entity.Entity)
		attributes, relations := each(found.Entity.Attributes, attributeBody), each(found.Entity.Relations, relationBody)
		return Inspect200JSONResponse{Kind: InspectionKindEntity, Entity: &body, Attributes: &attributes, Relations: &relations}, nil
	case found.Attribute != nil:
		body, history := attributeBody(*found.Attribute), each(found.History, attributeBody)
		return Inspect200JSONResponse{Kind: InspectionKindAttribute, Attribute: &body, History: &history}, nil
	default:
		body := relationBody(*found.Relation)
		return Inspect200JSONResponse{Kind: InspectionKindRelation, Relation: &body}, nil
	}
}

// inspectTrace shows what GET /traces/{trace_id} does.
func (p Parts) inspectTrace(ctx context.Context, id string) (InspectResponseObject, error) {
	found, err := p.GetTrace(ctx, GetTraceRequestObject{TraceID: id})
	if err != nil {
		return nil, err
	}
	shown, ok := found.(GetTrace200JSONResponse)
	if !ok {
		return nil, fmt.Errorf("a trace came as %T", found)
	}
	return Inspect200JSONResponse{Kind: InspectionKindTrace, Trace: (*Trace)(&shown)}, nil
}

func entityBody(e entity.Entity) Entity {
	return Entity{
		ID: e.ID, Name: e.Name, EntityType: e.Type, MemoryCategory: string(e.Category), Importance: e.Importance,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
}

func attributeBody(a entity.Attribute) Attribute {
	return Attribute{
		ID: a.ID, Entity: a.EntityID, Key: a.Key, Value: a.Value, MemoryCategory: string(a.Category), Importance: a.Importance,
		CreatedAt: a.CreatedAt, ValidFrom: given(a.ValidFrom), ValidUntil: given(a.ValidUntil),
		Supersedes: given(a.Supersedes), SupersededBy: given(a.SupersededBy), Source: sourceBody(a.Source),
	}
}

func relationBody(r entity.Relation) Relation {
	return Relation{
		ID: r.ID, Subject: r.SubjectID, Label: r.Label, Object: r.ObjectID, MemoryCategory: string(r.Category),
		CreatedAt: r.CreatedAt, ValidFrom: given(r.ValidFrom), ValidUntil: given(r.ValidUntil), Source: sourceBody(r.Source),
	}
}

func sourceBody(s entity.Source) *FactSource {
	return &FactSource{Kind: string(s.Kind), Ref: given(s.Ref), SessionID: given(s.SessionID)}
}

// each writes rows as a list, which is never null.
func each[T, U any](rows []T, body func(T) U) []U {
	out := make([]U, len(rows))
	for i, row := range rows {
		out[i] = body(row)
	}
	return out
}
