package fault

import (
	"errors"
	"strings"
)

// ContentType is the media type of a [Problem] (RFC 9457, section 3).
const ContentType = "application/problem+json"

// Problem is the body of every error answer: problem details (RFC 9457) and, for clients that read only that, message.
type Problem struct {
	// Type is a URI that identifies the kind of problem.
	Type string `json:"type"`
	// Title is the same for every problem of a type.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail says what is wrong with this request and what to do.
	Detail string `json:"detail"`
	// Instance is the path of the request, without its query.
	Instance string `json:"instance"`
	// Message equals Detail.
	Message string `json:"message"`
	// Field names the offending input, where there is one.
	Field string `json:"field,omitempty"`
	// Object is "error" where there is a Code, for clients that tell answers apart by it.
	Object string `json:"object,omitempty"`
	// Code names the problem on surfaces that have a vocabulary of their own, such as AUTH_INVALID.
	Code string `json:"code,omitempty"`
	// RequiredScope names the scope that is missing, where one is.
	RequiredScope string `json:"required_scope,omitempty"`
}

// object is what a Problem with a code is.
const object = "error"

// ProblemOf returns the public face of err for a request to the path instance. An error that is no [Error] becomes an
// Internal problem whose detail holds nothing but traceID, if there is one, by which an operator finds the cause in the log.
func ProblemOf(err error, instance, traceID string) Problem {
	var e *Error
	if !errors.As(err, &e) || e.Kind == Internal {
		e = New(Internal, "internal error")
		if traceID != "" {
			e.Message += ", trace " + traceID
		}
	}
	detail := e.Message
	if detail == "" {
		detail = e.Kind.Title()
	}
	problem := Problem{
		Type:          e.Kind.Type(),
		Title:         e.Kind.Title(),
		Status:        e.Kind.Status(),
		Detail:        detail,
		Instance:      instance,
		Message:       detail,
		Field:         e.Field,
		RequiredScope: e.RequiredScope,
	}
	return problem.Coded(e.Code)
}

// Coded returns p with a code, unless it has one or code is empty.
func (p Problem) Coded(code string) Problem {
	if p.Code == "" && code != "" {
		p.Object, p.Code = object, code
	}
	return p
}

// Err turns a received problem back into an error. status is the HTTP status of the answer, trusted over the body's.
func (p Problem) Err(status int) *Error {
	e := &Error{Kind: kindOfStatus(status), Message: p.Detail, Field: p.Field, Code: p.Code, RequiredScope: p.RequiredScope}
	if e.Message == "" {
		e.Message = p.Message
	}
	slug, ok := strings.CutPrefix(p.Type, typePrefix)
	for kind, row := range kinds {
		if ok && row.slug == slug && row.status == status {
			e.Kind = Kind(kind)
		}
	}
	return e
}
