package introspection

// JobsPath is where a data plane takes the [Job]s that wait, by POST; DELETE JobsPath/{id} says that one is done.
const JobsPath = "/internal/v1/jobs"

// JobKind says what there is to do.
type JobKind string

// The kinds of jobs. A data plane leaves what it does not know to others.
const (
	// JobReindex builds the search index of a context anew.
	JobReindex JobKind = "reindex"
	// JobDecay lowers the importance of what was not written for long.
	JobDecay JobKind = "decay"
)

// Job asks the data plane to do something to a whole context. Whoever takes it has it for a while; it is given to somebody
// else when it is not done by then, so it may be done more than once.
type Job struct {
	ID          string  `json:"id"`
	Kind        JobKind `json:"kind"`
	Incarnation string  `json:"incarnation"`
}
