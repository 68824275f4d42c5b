package spl

import (
	"context"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

// ListThreads lists threads.
func (s server) ListThreads(ctx context.Context, request ListThreadsRequestObject) (ListThreadsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	found, more, err := s.Threads.List(ctx, who.space, given(request.Params.Since), sizeOf(request.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := ListThreads200JSONResponse{Object: ThreadListObjectList, Data: []Thread{}, HasMore: more}
	for _, each := range found {
		out.Data = append(out.Data, threadBody(each))
	}
	if more {
		out.NextCursor = &found[len(found)-1].ID
	}
	return out, nil
}

// CreateThread makes a thread, or finds it made.
func (s server) CreateThread(ctx context.Context, request CreateThreadRequestObject) (CreateThreadResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	body := given(request.Body)
	made, err := s.Threads.Create(ctx, who.space, given(body.ID), given(body.Title))
	if err != nil {
		return nil, err
	}
	return CreateThread201JSONResponse(threadBody(made)), nil
}

// GetThread shows one thread.
func (s server) GetThread(ctx context.Context, request GetThreadRequestObject) (GetThreadResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.Threads.Get(ctx, who.space, request.ID)
	if err != nil {
		return nil, err
	}
	return GetThread200JSONResponse(threadBody(found)), nil
}

// DeleteThread hides a thread for good.
func (s server) DeleteThread(ctx context.Context, request DeleteThreadRequestObject) (DeleteThreadResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Threads.Delete(ctx, who.space, request.ID); err != nil {
		return nil, err
	}
	return DeleteThread200JSONResponse{Status: DeletedStatusDeleted, ID: request.ID}, nil
}

// ListThreadRecords lists the records of a thread.
func (s server) ListThreadRecords(ctx context.Context, request ListThreadRecordsRequestObject) (ListThreadRecordsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.Threads.Get(ctx, who.space, request.ID); err != nil {
		return nil, err
	}
	found, err := s.page(ctx, record.Selection{Thread: request.ID}, request.Params.Since, request.Params.Limit)
	return ListThreadRecords200JSONResponse(found), err
}

// GetThreadState tells what the records of a thread come to.
func (s server) GetThreadState(ctx context.Context, request GetThreadStateRequestObject) (GetThreadStateResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	state, err := s.Threads.State(ctx, who.space, request.ID)
	if err != nil {
		return nil, err
	}
	out := GetThreadState200JSONResponse{
		Object: ThreadStateObjectThreadState, Thread: request.ID, Records: state.Records, State: state.Fields, Heads: state.Heads,
		Acts: map[string]int64{}, LastClock: &state.LastClock,
	}
	for act, n := range state.Acts {
		out.Acts[string(act)] = n
	}
	return out, nil
}

// ProjectThread shows the last records of a thread to people: as messages, or as lines of a terminal.
func (s server) ProjectThread(ctx context.Context, request ProjectThreadRequestObject) (ProjectThreadResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	messages, err := s.Threads.Messages(ctx, who.space, request.ID)
	if err != nil {
		return nil, err
	}
	out := ProjectThread200JSONResponse{Object: ProjectionObjectProjection, Thread: request.ID, Format: ProjectionFormatMessages}
	if given(request.Params.Format) == ProjectThreadParamsFormatTui {
		lines := append([]string{}, thread.Lines(messages)...)
		out.Format, out.Lines = ProjectionFormatTui, &lines
		return out, nil
	}
	out.Messages = &[]Message{}
	for _, m := range messages {
		*out.Messages = append(*out.Messages, Message{ID: m.ID, Actor: m.Actor, Act: Act(m.Act), Text: m.Text, Clock: m.Clock, At: &m.At})
	}
	return out, nil
}

// ListParticipants lists who has written in a thread.
func (s server) ListParticipants(ctx context.Context, request ListParticipantsRequestObject) (ListParticipantsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.Threads.Participants(ctx, who.space, request.ID)
	if err != nil {
		return nil, err
	}
	out := ListParticipants200JSONResponse{Object: ParticipantListObjectList, Data: []Participant{}}
	for _, p := range found {
		out.Data = append(out.Data, Participant{Actor: p.Actor, Records: p.Records, FirstClock: p.First, LastClock: p.Last})
	}
	return out, nil
}

func threadBody(t thread.Thread) Thread {
	out := Thread{Object: ThreadObjectThread, ID: t.ID, Title: t.Title, Records: t.Records, CreatedAt: t.CreatedAt}
	if !t.LastRecordAt.IsZero() {
		out.LastRecordAt = &t.LastRecordAt
	}
	return out
}
