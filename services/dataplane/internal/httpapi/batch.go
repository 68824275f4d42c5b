package httpapi

import (
	"context"
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// batchRoute keeps the idempotency keys of POST /facts/batch apart from those of other routes.
const batchRoute = "POST /facts/batch"

// AddFactsBatch remembers a conversation.
func (p Parts) AddFactsBatch(ctx context.Context, request AddFactsBatchRequestObject) (AddFactsBatchResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	batch, err := batchOf(*request.Body)
	if err != nil {
		return nil, err
	}
	batch.Once = onceOf(ctx, who, batchRoute, request.Params.IdempotencyKey)
	began := p.Traces.Begin()
	receipt, err := p.Memory.RememberAll(ctx, who, batch)
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.AddBatch, len(receipt.TurnIDs))
	return batchBody(*request.Body, receipt), nil
}

// batchOf reads a request. Enumerations have been checked against the document.
func batchOf(body BatchRequest) (batch memory.Batch, err error) {
	batch = memory.Batch{
		Infer: memory.Infer(value(body.Infer)), SessionID: value(body.SessionID), Labels: value(body.Labels),
	}
	if batch.Sets, batch.SetsField, err = eitherClauses[scope.Path]("scopes", body.Scopes, "scope", body.Scope); err != nil {
		return batch, err
	}
	for i, message := range body.Messages {
		at, err := moment(fmt.Sprintf("messages.%d.ts", i), message.TS)
		if err != nil {
			return batch, err
		}
		batch.Messages = append(batch.Messages, memory.Message{
			Role: session.Role(message.Role), Content: message.Content, At: at,
		})
	}
	return batch, nil
}

// batchBody says what was stored, and of a batch to extract from what a language model would have been asked: there is none,
// so each extraction is empty.
func batchBody(body BatchRequest, receipt memory.BatchReceipt) AddFactsBatch200JSONResponse {
	out := AddFactsBatch200JSONResponse{SessionID: receipt.SessionID, TurnIds: []string{}, Extractions: []Extraction{}}
	out.TurnIds = append(out.TurnIds, receipt.TurnIDs...)
	turns := out.TurnIds
	if len(turns) == 0 { // a preview
		turns = make([]string, len(body.Messages))
	}
	switch {
	case memory.Infer(value(body.Infer)) == memory.None:
	case value(body.Extract) == BatchRequestExtractPerMessage:
		for _, turn := range turns {
			out.Extractions = append(out.Extractions, emptyExtraction(turn))
		}
	default:
		out.Extractions = append(out.Extractions, emptyExtraction(turns[len(turns)-1]))
	}
	return out
}
