// Package auditchain is the form of the audit log: entries in one order, each with a hash over itself and over the hash of the
// one before it. Whoever keeps one hash, the head, can tell later whether anything up to it has been changed, removed, put in
// or put elsewhere. The package promises that [Record.Sum] depends on what an entry says and on nothing else: not on the engine
// that stored it, nor on how its JSON was laid out.
//
// The hash of an entry is the SHA-256 of a JSON array in UTF-8, without spaces, with the keys of objects in order and nothing
// escaped that need not be:
//
//	["spectron.audit.1","<hash of the one before, hex>",<id>,"<at>","<action>","<actor_kind>","<actor_key_id>","<context_id>",
//	 "<target>","<trace_id>","<remote>","<outcome>",<detail>]
//
// at is in UTC with six digits after the second: 2026-08-01T12:00:00.000000Z. Before the first entry there are 32 zero bytes.
package auditchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// form names how hashes are made. A form that differs has another name, so that no entry has the same hash in two.
const form = "spectron.audit.1"

// timeForm is how times are hashed: to the microsecond, which every engine keeps.
const timeForm = "2006-01-02T15:04:05.000000Z"

// Hash is the hash of an entry. The zero value is what comes before the first.
type Hash [sha256.Size]byte

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText encodes as [Hash.String] does.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return errors.New("a hash has 64 hexadecimal digits")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return errors.New("a hash has 64 hexadecimal digits")
	}
	return nil
}

// Head is a place in the chain: the number and the hash of an entry. The zero value is the beginning, before the first entry.
type Head struct {
	Seq  int64 `json:"seq"`
	Hash Hash  `json:"hash"`
}

// String returns the head as it is published: 42:9f86d0….
func (h Head) String() string { return strconv.FormatInt(h.Seq, 10) + ":" + h.Hash.String() }

// ParseHead reads what [Head.String] writes.
func ParseHead(text string) (Head, error) {
	number, hash, ok := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	var head Head
	if !ok || err != nil || seq < 0 || head.Hash.UnmarshalText([]byte(hash)) != nil {
		return Head{}, errors.New("a head is a number, a colon and 64 hexadecimal digits, as `spectrond audit head` prints it")
	}
	head.Seq = seq
	return head, nil
}

// Record is one entry with its place in the chain. It is one line of an export.
type Record struct {
	// Seq is the number in the order of the chain, from 1, without gaps.
	Seq int64 `json:"seq"`
	// Prev is the hash of the entry before.
	Prev Hash `json:"prev"`
	// Hash is that of this entry.
	Hash Hash `json:"hash"`
	// ID is the number under which the entry was written. Ids follow no order, and there are gaps.
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	// ActorKind says what sort of credential the actor showed, ActorKeyID which one.
	ActorKind  string `json:"actor_kind"`
	ActorKeyID string `json:"actor_key_id"`
	ContextID  string `json:"context_id"`
	Target     string `json:"target"`
	TraceID    string `json:"trace_id"`
	Remote     string `json:"remote"`
	// Outcome is done or denied.
	Outcome string `json:"outcome"`
	// Detail is a JSON object.
	Detail json.RawMessage `json:"detail"`
}

// Sum returns the hash of r as the successor of an entry with the hash prev. Neither r.Seq nor r.Prev nor r.Hash counts. An error
// means that the detail is not JSON.
func (r Record) Sum(prev Hash) (Hash, error) {
	detail, err := Canonical(r.Detail)
	if err != nil {
		return Hash{}, fmt.Errorf("the detail of entry %d: %w", r.ID, err)
	}
	text, err := encode([]any{
		form, prev, r.ID, r.At.UTC().Format(timeForm), r.Action, r.ActorKind, r.ActorKeyID, r.ContextID, r.Target, r.TraceID,
		r.Remote, r.Outcome, json.RawMessage(detail),
	})
	if err != nil {
		return Hash{}, fmt.Errorf("entry %d: %w", r.ID, err)
	}
	return sha256.Sum256(text), nil
}

// Seal returns r as the entry after head.
func (r Record) Seal(head Head) (Record, error) {
	hash, err := r.Sum(head.Hash)
	r.Seq, r.Prev, r.Hash = head.Seq+1, head.Hash, hash
	return r, err
}

// Head returns the place of r.
func (r Record) Head() Head { return Head{Seq: r.Seq, Hash: r.Hash} }

// Canonical returns JSON in the one form that hashes are made of. Numbers keep their digits.
func Canonical(text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("is more than one JSON value")
	}
	return encode(value)
}

func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
