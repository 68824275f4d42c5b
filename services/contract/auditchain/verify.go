package auditchain

import (
	"fmt"
	"iter"
)

// Kind says what was done to a chain.
type Kind string

// The kinds of damage.
const (
	// Changed: the entry is not what was hashed.
	Changed Kind = "changed"
	// Removed: an entry is missing.
	Removed Kind = "removed"
	// Inserted: an entry that was never sealed there.
	Inserted Kind = "inserted"
	// Reordered: the entry is whole, but belongs elsewhere.
	Reordered Kind = "reordered"
	// Truncated: the chain ends before an entry that it is known to have had.
	Truncated Kind = "truncated"
	// Rewritten: the chain is whole, but it is not the one that was published.
	Rewritten Kind = "rewritten"
)

// DamageError is the first thing that is wrong with a chain. It is an error.
type DamageError struct {
	Kind Kind `json:"kind"`
	// Seq is the number of the entry, or of where it should be; 0 for an entry that has no number.
	Seq int64 `json:"seq"`
	// ID is the entry's id, 0 where that is not known.
	ID     int64  `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// Error names the entry and what happened to it.
func (d *DamageError) Error() string {
	where := fmt.Sprintf("entry %d", d.Seq)
	if d.Seq == 0 {
		where = fmt.Sprintf("the entry with id %d", d.ID)
	}
	return fmt.Sprintf("%s: %s: %s", where, d.Kind, d.Reason)
}

// Verifier holds a chain against its hashes, entry by entry. The zero value begins before the first entry of all; see [From].
type Verifier struct {
	at      Head
	from    int64 // where it began
	before  Hash  // of the entry before the last one
	began   bool
	heads   map[int64][]Hash
	entries int64
}

// From returns a verifier of a chain that goes on after a head which is known.
func From(head Head) *Verifier { return &Verifier{at: head, from: head.Seq, began: true} }

// Expect makes v hold the chain against a head that was published. It must lie in what is still to be seen, or be where v is.
func (v *Verifier) Expect(heads ...Head) {
	if v.heads == nil {
		v.heads = map[int64][]Hash{}
	}
	for _, head := range heads {
		v.heads[head.Seq] = append(v.heads[head.Seq], head.Hash)
	}
}

// Head returns where v is.
func (v *Verifier) Head() Head { return v.at }

// Entries returns how many entries v has seen.
func (v *Verifier) Entries() int64 { return v.entries }

// Verify holds records, the chain from where v is, against their hashes. It returns a [*DamageError] that names the first that is
// wrong, or the error with which records ended. It may be called again, with what follows.
func (v *Verifier) Verify(records iter.Seq2[Record, error]) error {
	if damage := v.published(); damage != nil {
		return damage
	}
	var found *suspicion
	for r, err := range records {
		if err != nil {
			return err
		}
		if found == nil {
			if found, err = v.next(r); err != nil {
				return err
			}
		} else if found.cleared(r) {
			found.damage.Kind = Reordered
			break
		}
	}
	if found != nil {
		return found.damage
	}
	return nil
}

// Finish says that there is nothing more: the chain must have got as far as every head that it was expected to have, and must
// not have begun after it.
func (v *Verifier) Finish() error {
	var missing int64
	for seq := range v.heads {
		if seq < v.from {
			return fmt.Errorf("head %d cannot be checked, because what was looked at begins after %d: add the archives from before", seq, v.from)
		}
		if seq > v.at.Seq && (missing == 0 || seq < missing) {
			missing = seq
		}
	}
	if missing == 0 {
		return nil
	}
	return &DamageError{Kind: Truncated, Seq: v.at.Seq + 1, Reason: fmt.Sprintf("the chain ends at %d, but it had %d", v.at.Seq, missing)}
}

// suspicion is a damage of which what follows tells the kind: an entry that is missing here may turn up.
type suspicion struct {
	damage *DamageError
	// missing turns up when the entry with that number, or with that hash, does.
	seq  int64
	hash Hash
}

func (s *suspicion) cleared(r Record) bool {
	return s.seq != 0 && r.Seq == s.seq || s.hash != Hash{} && r.Hash == s.hash
}

// next takes one entry.
func (v *Verifier) next(r Record) (*suspicion, error) {
	if !v.began { // whoever has no archives begins in the middle, and believes what the first entry says of what was before
		v.began = true
		v.at, v.from = Head{Seq: r.Seq - 1, Hash: r.Prev}, r.Seq-1
		if r.Seq == 1 {
			v.at.Hash = Hash{}
		}
		if damage := v.published(); damage != nil {
			return nil, damage
		}
	}
	want := v.at.Seq + 1
	switch {
	case r.Seq > want:
		return &suspicion{&DamageError{Kind: Removed, Seq: want, Reason: fmt.Sprintf("after %d comes %d", v.at.Seq, r.Seq)}, want, Hash{}}, nil
	case r.Seq < want:
		return nil, &DamageError{Kind: Inserted, Seq: r.Seq, ID: r.ID, Reason: fmt.Sprintf("%d comes once more, after %d", r.Seq, v.at.Seq)}
	}
	sum, err := r.Sum(r.Prev)
	switch {
	case err != nil:
		return nil, &DamageError{Kind: Changed, Seq: r.Seq, ID: r.ID, Reason: err.Error()}
	case sum != r.Hash:
		return nil, &DamageError{Kind: Changed, Seq: r.Seq, ID: r.ID, Reason: "it is not what its hash was made of"}
	case r.Prev == v.at.Hash:
	case v.entries > 0 && r.Prev == v.before:
		return nil, &DamageError{Kind: Inserted, Seq: v.at.Seq, Reason: fmt.Sprintf("%d was sealed as the successor of what is before it", r.Seq)}
	default:
		return &suspicion{&DamageError{Kind: Removed, Seq: r.Seq, ID: r.ID, Reason: "it was sealed as the successor of another entry than the one before it"}, 0, r.Prev}, nil
	}
	v.before, v.at = v.at.Hash, Head{r.Seq, sum}
	v.entries++
	if damage := v.published(); damage != nil {
		return nil, damage
	}
	return nil, nil
}

// published compares where v is with what was published of it.
func (v *Verifier) published() *DamageError {
	if !v.began {
		return nil
	}
	for _, hash := range v.heads[v.at.Seq] {
		if hash != v.at.Hash {
			return &DamageError{Kind: Rewritten, Seq: v.at.Seq, Reason: fmt.Sprintf("its hash is %s, but was known to be %s", v.at.Hash, hash)}
		}
	}
	return nil
}
