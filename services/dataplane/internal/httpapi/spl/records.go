package spl

import (
	"cmp"
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// listSize is how many items a list has that does not ask for a number.
const listSize = 100

// AppendRecord stores a record, or finds it stored.
func (s server) AppendRecord(ctx context.Context, request AppendRecordRequestObject) (AppendRecordResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	draft := draftOf(*request.Body)
	if !who.off && draft.Actor != who.actor {
		// The claim has been proved for this very author; a record of another one must not pass, however it came here.
		return nil, denied("the actor of the record is another than the one that is claimed")
	}
	stored, _, err := s.Records.Append(ctx, who.space, draft)
	if err != nil {
		return nil, err
	}
	return AppendRecord201JSONResponse(recordBody(stored)), nil
}

// ListRecords lists the records that a filter lets through.
func (s server) ListRecords(ctx context.Context, request ListRecordsRequestObject) (ListRecordsResponseObject, error) {
	p := request.Params
	selection := record.Selection{
		Thread: given(p.Thread), Actor: given(p.Actor), Act: record.Act(given(p.Act)), From: p.ClockFrom, To: p.ClockTo,
	}
	if selection == (record.Selection{}) {
		return nil, &fault.Error{
			Kind: fault.Invalid, Code: record.CodeQuery, Message: "say which records: by thread, actor, act, clock_from or clock_to",
		}
	}
	found, err := s.page(ctx, selection, p.Since, p.Limit)
	return ListRecords200JSONResponse(found), err
}

// page returns the records that selection lets through behind a cursor.
func (s server) page(ctx context.Context, selection record.Selection, since *string, limit *int32) (RecordList, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return RecordList{}, err
	}
	page, err := s.Records.Since(ctx, who.space, selection, given(since), sizeOf(limit))
	if err != nil {
		return RecordList{}, err
	}
	out := recordList(page)
	out.NextCursor = unlessEmpty(page.Next)
	return out, nil
}

// QueryRecords lists the records that a query asks for.
func (s server) QueryRecords(ctx context.Context, request QueryRecordsRequestObject) (QueryRecordsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	q, err := queryOf(*request.Body)
	if err != nil {
		return nil, err
	}
	page, err := s.Records.Query(ctx, who.space, q)
	if err != nil {
		return nil, err
	}
	out := recordList(page)
	if given(request.Body.Explain) {
		explained := q.Explain()
		out.Explain = &explained
	}
	return QueryRecords200JSONResponse(out), nil
}

func queryOf(body RecordQuery) (record.Query, error) {
	filter, err := record.ParseFilter(body.Filter)
	if err != nil {
		return record.Query{}, err
	}
	if body.Thread != nil {
		of := record.Filter{
			Op: record.Eq, Field: record.Field{Name: "thread"}, Values: []record.Value{{Kind: record.Text, Text: *body.Thread}},
		}
		filter = record.Filter{Op: record.And, Parts: []record.Filter{of, filter}}
	}
	directions := map[string]int{}
	for name, direction := range given(body.Sort) {
		directions[name] = int(direction)
	}
	sort, err := record.ParseSort(directions)
	if err != nil {
		return record.Query{}, err
	}
	return record.Query{Filter: filter, Sort: sort, Limit: sizeOf(body.Limit), Offset: int(given(body.Offset))}, nil
}

// GetRecord shows one record.
func (s server) GetRecord(ctx context.Context, request GetRecordRequestObject) (GetRecordResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.Records.Get(ctx, who.space, request.ID)
	if err != nil {
		return nil, err
	}
	return GetRecord200JSONResponse(recordBody(found)), nil
}

func sizeOf(limit *int32) int { return cmp.Or(int(given(limit)), listSize) }

func draftOf(body NewRecord) record.Draft {
	return record.Draft{
		Content: contentOf(body), NextClock: body.Clock == nil,
		ID: given(body.ID), JudgedBy: given(body.JudgedBy), Namespace: given(body.Namespace),
	}
}

func contentOf(body NewRecord) record.Content {
	return record.Content{
		Parents: given(body.Parents), Thread: body.Thread, Actor: body.Actor, Act: record.Act(body.Act), Body: body.Body,
		Clock: given(body.Clock), DataType: record.DataType(given(body.DataType)),
	}
}

func recordBody(r record.Record) Record {
	return Record{
		Object: RecordObjectRecord, ID: r.ID, Parents: r.Parents, Thread: r.Thread, Actor: r.Actor, Act: Act(r.Act), Body: r.Body,
		Clock: r.Clock, DataType: DataType(r.DataType), JudgedBy: unlessEmpty(r.JudgedBy), ReceivedAt: &r.ReceivedAt,
	}
}

func recordList(page record.Page) RecordList {
	out := RecordList{Object: RecordListObjectList, Data: []Record{}, HasMore: page.More}
	for _, each := range page.Records {
		out.Data = append(out.Data, recordBody(each))
	}
	return out
}
