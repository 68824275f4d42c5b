// Package revision numbers the changes of authority. Whatever narrows or replaces what a key opens commits with a
// revision, and revisions become visible in the order of their numbers: whoever has seen one has seen all before it.
package revision

// Kind says what sort of change a revision stands for.
type Kind string

// The kinds. A mint takes none: a key that nobody knew cannot have been answered for. A bootstrap does, because its keys
// were chosen by somebody who may have tried them before.
const (
	Bootstrapped Kind = "bootstrapped"
	// KeyRotated stands for every change of a key that leaves it there, its settings too: the release before knows no other word.
	KeyRotated       Kind = "key_rotated"
	KeyDeleted       Kind = "key_deleted"
	PrincipalChanged Kind = "principal_changed"
	PrincipalGone    Kind = "principal_gone"
	PolicyPatched    Kind = "policy_patched"
	ContextGone      Kind = "context_gone"
	PepperRetired    Kind = "pepper_retired"
	Restored         Kind = "restored"
	KeysImported     Kind = "keys_imported"
)

// Change is what a revision says was changed.
type Change struct {
	Kind Kind
	// Subject is the id of a key or of a principal, or of the context where all of it is meant; empty where everything is.
	Subject   string
	ContextID string
}
