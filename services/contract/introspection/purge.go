package introspection

// PurgesPath is where the key manager lists the [Purge]s that wait, by GET; DELETE PurgesPath/{incarnation} says that
// one is done.
const PurgesPath = "/internal/v1/purges"

// Purge asks the data plane to delete every row of a deleted context. It is listed until a data plane has said that it is done.
type Purge struct {
	Incarnation string `json:"incarnation"`
	// Final says that no request verified before the deletion can still be writing, so that the data plane may report
	// the purge as done. Before that it purges without reporting.
	Final bool `json:"final"`
}
