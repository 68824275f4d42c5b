package record

import "github.com/spectron-hq/spectron/services/contract/fault"

// The codes of what is refused.
const (
	CodeInvalid   = "INVALID_RECORD"
	CodeQuery     = "INVALID_QUERY"
	CodeCursor    = "CURSOR_STRAYED"
	CodeClock     = "CLOCK_REGRESSION"
	CodeDeleted   = "THREAD_DELETED"
	CodeReserved  = "RESERVED_THREAD"
	CodeActor     = "RESERVED_ACTOR"
	CodeNamespace = "NAMESPACE_REJECTED"
)

// invalid says what is wrong with a field of a record.
func invalid(field, format string, args ...any) *fault.Error {
	e := fault.InvalidField(field, format, args...)
	e.Code = CodeInvalid
	return e
}

// unreadable says what is wrong with a part of a query.
func unreadable(field, format string, args ...any) *fault.Error {
	e := fault.InvalidField(field, format, args...)
	e.Code = CodeQuery
	return e
}

func coded(kind fault.Kind, code, format string, args ...any) *fault.Error {
	e := fault.New(kind, format, args...)
	e.Code = code
	return e
}

// ThreadDeleted is the answer to who writes to a thread that was deleted.
func ThreadDeleted() error {
	return coded(fault.Conflict, CodeDeleted, "the thread was deleted and takes nothing more")
}

// ThreadReserved is the answer to who does with a reserved thread what only the engine does.
func ThreadReserved(thread string) error {
	return coded(fault.Forbidden, CodeReserved, "%s is kept by the engine alone", thread)
}

// actorReserved is the answer to who wants to write in the name of the engine, whose records are on threads that are not shared.
func actorReserved() error {
	return coded(fault.Forbidden, CodeActor, "actor: %s is the engine itself, and nobody else", System)
}

func clockFell(last int64) error {
	return coded(fault.Conflict, CodeClock,
		"clock: the last one of this actor on this thread is %d, and clocks do not fall; leave it out to get the next one", last)
}

func namespaceRejected(namespace string) error {
	return coded(fault.Forbidden, CodeNamespace, "namespace: this server keeps %q and no other", namespace)
}

// Absent is the answer to who asks for a record that is not there.
func Absent() error { return fault.New(fault.NotFound, "there is no such record") }
