package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// introspect answers what keys are worth.
func (p Parts) introspect(c *gin.Context) {
	request, err := decode[introspection.Request](c.Request.Body)
	if err != nil {
		web.Fail(c, err)
		return
	}
	response, err := p.Judge.Introspect(c.Request.Context(), request)
	if err != nil {
		web.Fail(c, err)
		return
	}
	body, err := response.MarshalJSON() // not through encoding/json, which would read it all again
	if err != nil {
		web.Fail(c, err)
		return
	}
	if len(body) > introspection.MaxAnswer && len(request.Digests) > 1 {
		web.Fail(c, fault.New(fault.TooLarge, "the answer would be too long; ask about fewer keys at once"))
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
}

// renewLease takes renewals and acknowledgements of verifiers.
func (p Parts) renewLease(c *gin.Context) {
	renewal, err := decode[introspection.Renewal](c.Request.Body)
	if err != nil {
		web.Fail(c, err)
		return
	}
	lease, err := p.Leases.Renew(c.Request.Context(), renewal)
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.JSON(http.StatusOK, lease)
}

// recordUses takes note of which keys were used.
func (p Parts) recordUses(c *gin.Context) {
	report, err := decode[introspection.Uses](c.Request.Body)
	if err == nil {
		err = p.Uses.Record(c.Request.Context(), report)
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// watch streams revisions until either side ends.
func (p Parts) watch(c *gin.Context) {
	after, err := strconv.ParseInt(c.Query(introspection.WatchAfterParam), 10, 64)
	if err != nil {
		web.Fail(c, fault.InvalidField(introspection.WatchAfterParam, "must be a whole number"))
		return
	}
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	go func() {
		select {
		case <-web.Draining(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
	encoder := json.NewEncoder(c.Writer)
	err = p.Feed.Stream(ctx, c.Query(introspection.WatchAuthorityParam), after, func(events []introspection.Event) error {
		if !c.Writer.Written() {
			if err := web.Stream(c.Writer); err != nil {
				return err
			}
			c.Header("Content-Type", "application/x-ndjson")
		}
		if len(events) == 0 {
			_, err := io.WriteString(c.Writer, "\n")
			if err != nil {
				return err
			}
		}
		for _, event := range events {
			if err := encoder.Encode(event); err != nil {
				return err
			}
		}
		c.Writer.Flush()
		return nil
	})
	if !c.Writer.Written() {
		web.Fail(c, err)
	}
}

// bootstrap enrols the first keys.
func (p Parts) bootstrap(c *gin.Context) {
	enrolment, err := decode[introspection.Enrolment](c.Request.Body)
	if err == nil {
		err = p.Founder.Bootstrap(c.Request.Context(), enrolment)
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// listPurges lists the deleted contexts that wait to be purged.
func (p Parts) listPurges(c *gin.Context) {
	purges, err := p.Purges.List(c.Request.Context())
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.JSON(http.StatusOK, purges)
}

// purgeDone takes note that a deleted context has been purged.
func (p Parts) purgeDone(c *gin.Context) {
	p.done(c, "incarnation", p.Purges.Done)
}

// takeJobs hands out what there is to do to contexts.
func (p Parts) takeJobs(c *gin.Context) {
	jobs, err := p.Jobs.Take(c.Request.Context())
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.JSON(http.StatusOK, jobs)
}

// jobDone takes note that a job has been done.
func (p Parts) jobDone(c *gin.Context) {
	p.done(c, "id", p.Jobs.Done)
}

// standing tells how a context stands with its service accounts.
func (p Parts) standing(c *gin.Context) {
	standing, err := p.Accounts.Standing(c.Request.Context(), c.Query(introspection.StandingContextParam))
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.JSON(http.StatusOK, standing)
}

// firstAccount makes the first service account of a context.
func (p Parts) firstAccount(c *gin.Context) {
	first, err := decode[introspection.FirstAccount](c.Request.Body)
	if err != nil {
		web.Fail(c, err)
		return
	}
	issued, err := p.Accounts.First(c.Request.Context(), first)
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.JSON(http.StatusOK, issued)
}

// done takes note that what the parameter names is done.
func (Parts) done(c *gin.Context, parameter string, note func(context.Context, string) error) {
	name := c.Param(parameter)
	var err error
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		err = &fault.Error{Kind: fault.Unprocessable, Field: parameter, Message: parameter + ": is not text"}
	} else {
		err = note(c.Request.Context(), name)
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// decode reads one JSON value, strictly. Its errors quote nothing of the body, which holds digests.
func decode[T any](body io.Reader) (T, error) {
	var value T
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&value)
	if err == nil {
		var more json.RawMessage
		if after := decoder.Decode(&more); !errors.Is(after, io.EOF) {
			err = errors.Join(errors.New("data after the value"), after)
		}
	}
	if err == nil {
		return value, nil
	}
	var mismatch *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return value, err
	case errors.Is(err, apikey.ErrDigest):
		return value, fault.InvalidField("digest", "%v", apikey.ErrDigest)
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return value, fault.InvalidField(mismatch.Field, "has the wrong type")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return value, fault.InvalidField(strings.Trim(name, `"`), "unknown field")
	}
	return value, fault.New(fault.Invalid, "the body is not valid JSON")
}
