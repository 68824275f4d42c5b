package engineconfig

import (
	"context"
	"encoding/json"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// Records are all records of a space.
type Records interface {
	Append(ctx context.Context, space string, draft record.Draft) (stored record.Record, created bool, err error)
	Since(ctx context.Context, space string, selection record.Selection, cursor string, limit int) (record.Page, error)
}

// On returns the thread among all records. What is learnt is added as the actor's own record, so the guard of the thread must let it.
func On(records Records) Log { return thread{records} }

type thread struct{ records Records }

func (t thread) Learn(ctx context.Context, space, actor string, body json.RawMessage) (Entry, error) {
	stored, _, err := t.records.Append(ctx, space, record.Draft{
		Content: record.Content{Thread: Thread, Actor: actor, Act: record.Learn, Body: body}, NextClock: true,
	})
	return entryOf(stored), err
}

func (t thread) After(ctx context.Context, space, cursor string) (entries []Entry, next string, err error) {
	page, err := t.records.Since(ctx, space, record.Selection{Thread: Thread}, cursor, record.MaxPage)
	if err != nil {
		return nil, "", err
	}
	for _, each := range page.Records {
		entries = append(entries, entryOf(each))
	}
	return entries, page.Next, nil
}

func entryOf(r record.Record) Entry {
	return Entry{ID: r.ID, Actor: r.Actor, Act: string(r.Act), Body: r.Body}
}
