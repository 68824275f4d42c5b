package spl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	peers "github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const (
	defaultChanges = 1000
	// longest is how long a reader waits for the first change, unless it says less.
	longest = 30 * time.Second
)

// fedRecord is a record as peers get it, its body exactly as it was hashed.
type fedRecord struct {
	Object string `json:"object"`
	ID     string `json:"id"`
	record.Content
	JudgedBy   *string   `json:"judged_by"`
	ReceivedAt time.Time `json:"received_at"`
}

// fedChange is a [Change] of such a record.
type fedChange struct {
	ID     string    `json:"id"`
	Record fedRecord `json:"record"`
	Sig    string    `json:"sig,omitempty"`
	Signer string    `json:"signer,omitempty"`
	Cursor string    `json:"cursor,omitempty"`
}

func changesOf(found []peers.Change) []fedChange {
	out := make([]fedChange, len(found))
	for i, change := range found {
		out[i] = fedChange{
			ID: change.ID, Sig: change.Sig, Signer: change.Signer, Cursor: change.Cursor,
			Record: fedRecord{Object: "record", ID: change.ID, Content: change.Content, ReceivedAt: change.ReceivedAt},
		}
		if change.JudgedBy != "" {
			out[i].Record.JudgedBy = &change.JudgedBy
		}
	}
	return out
}

// ListChanges answers what has arrived behind a cursor.
func (s server) ListChanges(ctx context.Context, request ListChangesRequestObject) (ListChangesResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	params := request.Params
	asked := peers.Asked{
		Thread: given(params.Thread), Since: given(params.Since), Namespace: given(params.TargetNamespace),
		Limit: cmp.Or(int(given(params.Limit)), defaultChanges),
	}
	switch cmp.Or(given(params.Feed), ListChangesParamsFeedNormal) {
	case ListChangesParamsFeedLongpoll:
		return s.awaitChanges(ctx, found.space, asked, params.TimeoutMs)
	case ListChangesParamsFeedContinuous:
		// What is asked wrongly is refused before an answer begins, which can only break off.
		if _, err := s.Federation.Changes(ctx, found.space, peers.Asked{Thread: asked.Thread, Since: asked.Since, Namespace: asked.Namespace, Limit: 1}); err != nil {
			return nil, err
		}
		return changeStream{ctx, s, found.space, asked}, nil
	case ListChangesParamsFeedNormal:
	}
	feed, err := s.Federation.Changes(ctx, found.space, asked)
	return changeList(feed), err
}

func (s server) awaitChanges(ctx context.Context, space string, asked peers.Asked, timeout *int32) (ListChangesResponseObject, error) {
	wait := longest
	if timeout != nil {
		wait = time.Duration(*timeout) * time.Millisecond
	}
	feed, err := s.Federation.Await(ctx, space, asked, wait, web.Draining(ctx))
	if err != nil {
		return nil, err
	}
	return changeList(feed), s.still(ctx)
}

// still looks again whether the caller may have what it asked for a while ago: its token may have been revoked since.
func (s server) still(ctx context.Context) error {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return errors.New("a route outside Gin asked who calls")
	}
	found, err := s.again(c.Request, grant.FederationManage, "")
	if err != nil || found.off || s.Rules == nil {
		return err
	}
	return s.Rules.Allow(ctx, engineconfig.Ask{Space: found.space, Actor: found.actor, Resource: federation})
}

// changeList answers with a feed.
type changeList peers.Feed

// VisitListChangesResponse writes the answer.
func (l changeList) VisitListChangesResponse(w http.ResponseWriter) error {
	return writeJSON(w, struct {
		Records []fedChange `json:"records"`
		Next    string      `json:"next_cursor"`
		More    bool        `json:"has_more"`
	}{changesOf(l.Changes), l.Next, l.More})
}

func writeJSON(w http.ResponseWriter, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(text)
	return err
}

// changeStream answers with changes, line by line, for as long as both sides like and the caller may have them.
type changeStream struct {
	ctx    context.Context //nolint:containedctx // the generated server writes an answer without the request that it is for
	server server
	space  string
	asked  peers.Asked
}

// VisitListChangesResponse writes the answer.
func (s changeStream) VisitListChangesResponse(w http.ResponseWriter) error {
	if err := web.Stream(w); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil {
		return fmt.Errorf("beginning a stream: %w", err)
	}
	encoder := json.NewEncoder(w)
	err := s.server.Federation.Follow(s.ctx, s.space, s.asked, web.Draining(s.ctx), func(changes []peers.Change) error {
		if err := s.server.still(s.ctx); err != nil {
			return err
		}
		if len(changes) == 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		for _, change := range changesOf(changes) {
			if err := encoder.Encode(change); err != nil {
				return err
			}
		}
		return flush()
	})
	if fault.KindOf(err) == fault.Internal {
		return err
	}
	return nil // what ended it is the caller's own affair, and told by its next request
}

// PushRecords answers records by their ids, and stores those that are brought.
func (s server) PushRecords(ctx context.Context, request PushRecordsRequestObject) (PushRecordsResponseObject, error) {
	found, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	ids, brought := given(request.Body.Ids), given(request.Body.Records)
	if request.Body.Ids == nil && request.Body.Records == nil {
		return nil, fault.New(fault.Invalid, "ids, or records, must be there")
	}
	answer := pushResult{Records: []fedChange{}, Missing: []string{}}
	if len(brought) > 0 {
		offers, err := offersOf(brought)
		if err != nil {
			return nil, err
		}
		taken, err := s.Federation.Push(ctx, found.space, offers, given(request.Params.XSyncropelFederation) == "1")
		if err != nil {
			return nil, err
		}
		answer.Accepted, answer.Known = taken.Added, taken.Known
	}
	if len(ids) > 0 {
		records, missing, err := s.Federation.Find(ctx, found.space, ids)
		if err != nil {
			return nil, err
		}
		answer.Records, answer.Missing = changesOf(records), append(answer.Missing, missing...)
	}
	return answer, nil
}

// pushResult is a [PushResult] of such records.
type pushResult struct {
	Records  []fedChange `json:"records"`
	Accepted int         `json:"accepted"`
	Known    int         `json:"known"`
	Missing  []string    `json:"missing"`
}

// VisitPushRecordsResponse writes the answer.
func (r pushResult) VisitPushRecordsResponse(w http.ResponseWriter) error { return writeJSON(w, r) }

func offersOf(brought []PushedRecord) ([]peers.Offer, error) {
	offers := make([]peers.Offer, len(brought))
	for i, each := range brought {
		r := each.Record
		if r.Clock == nil {
			return nil, fault.InvalidField(fmt.Sprintf("records.%d.record.clock", i), "is required of a record that was made elsewhere")
		}
		id := given(each.ID)
		if inner := given(r.ID); id != "" && inner != "" && inner != id {
			return nil, fault.InvalidField(fmt.Sprintf("records.%d.id", i), "is another than that of the record")
		}
		content := record.Content{
			Parents: given(r.Parents), Thread: r.Thread, Actor: r.Actor, Act: record.Act(r.Act), Clock: *r.Clock,
			DataType: record.DataType(given(r.DataType)), Body: r.Body,
		}
		offers[i] = peers.Offer{
			Foreign: record.Foreign{Content: content, ID: cmp.Or(id, given(r.ID)), JudgedBy: given(r.JudgedBy)},
			Sig:     given(each.Sig), Signer: given(each.Signer),
		}
	}
	return offers, nil
}
