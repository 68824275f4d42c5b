package thread

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// State is what the records of a thread come to, folded in the order of (clock, id).
type State struct {
	Records int64
	// Fields has the last value of each field of the bodies of KNOW, LEARN, PUT and DO records.
	Fields map[string]json.RawMessage
	// Heads are the ids of the records that no other of the thread names as a parent, sorted.
	Heads []string
	// Acts is how many records there are of each act.
	Acts map[record.Act]int64
	// LastClock is the highest clock; 0 where there is no record.
	LastClock int64
}

// State folds a thread.
func (s *Service) State(ctx context.Context, space, id string) (State, error) {
	if _, err := s.Get(ctx, space, id); err != nil {
		return State{}, err
	}
	out := State{Fields: map[string]json.RawMessage{}, Heads: []string{}, Acts: map[record.Act]int64{}}
	ids, parents := map[string]struct{}{}, map[string]struct{}{}
	err := s.records.Fold(ctx, space, id, record.ByClock, func(r record.Record) error {
		out.Records++
		out.Acts[r.Act]++
		out.LastClock = r.Clock
		ids[r.ID] = struct{}{}
		for _, parent := range r.Parents {
			parents[parent] = struct{}{}
		}
		if !states(r.Act) {
			return nil
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(r.Body, &fields); err != nil {
			return fmt.Errorf("folding a thread: %w", err)
		}
		maps.Copy(out.Fields, fields)
		return nil
	})
	if err != nil {
		return State{}, err
	}
	for head := range ids {
		if _, named := parents[head]; !named {
			out.Heads = append(out.Heads, head)
		}
	}
	slices.Sort(out.Heads)
	return out, nil
}

// states reports whether a record of act says how things are, rather than asks or intends.
func states(act record.Act) bool {
	return act == record.Know || act == record.Learn || act == record.Put || act == record.Do
}
