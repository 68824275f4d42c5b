// Package leak finds keys and tokens in any bytes: text, JSON, URLs, binaries. It promises to find each one that stands in the clear,
// wherever it begins and whatever is around it, and to report nothing whose checksum does not fit; that memory does not grow with
// the input; and that a [Hit] prints and encodes without the secret. What is encoded (base64, compressed, escaped letter by letter) it
// does not see, nor keys that were imported by their hash, which have no form of ours, nor secrets that somebody has chosen.
package leak

import (
	"bytes"
	"errors"
	"io"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

// Hit is one key or token at one place.
type Hit struct {
	// Line and Column count from 1; the column counts bytes.
	Line, Column int
	// Redacted is the text without its secret.
	Redacted string
	// ID is the key's id or, of a token, its id, which is not in its text.
	ID string
	// Token says that it is a token of a service account.
	Token  bool
	Digest apikey.Digest
}

const (
	// chunk is how much is read at a time.
	chunk = 256 << 10
	// longest is the longest text that is looked for.
	longest = max(apikey.Len, tokenLen)
	// A token reads spl_<env>_sa_<16>_<35>, with a tag of 1 to 16 characters.
	maxTag     = 16
	tokenTail  = len("_sa_") + 16 + 1 + 35
	tokenLen   = len(tokenBegin) + maxTag + tokenTail
	keyBegin   = "sp-"
	tokenBegin = "spl_"
)

// Scan reads r to its end and calls found with each hit, in order, until that returns an error, which it returns.
func Scan(r io.Reader, found func(Hit) error) error {
	s := scanner{found: found, line: 1}
	buf := make([]byte, 0, chunk+longest)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := err != nil
		// What begins in the last bytes may not be whole yet.
		safe := len(buf) - longest
		if end {
			safe = len(buf)
		}
		if safe > 0 {
			taken, scanErr := s.scan(buf, safe)
			if scanErr != nil {
				return scanErr
			}
			buf = buf[:copy(buf, buf[taken:])]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scanner keeps the place in the input.
type scanner struct {
	found func(Hit) error
	line  int
	// before is how many bytes of the current line were in what is gone.
	before int
}

// scan looks for what begins before safe and returns how many bytes are done with.
func (s *scanner) scan(buf []byte, safe int) (taken int, err error) {
	place := 0 // up to where lines are counted
	for at := 0; at < safe; {
		next := bytes.Index(buf[at:], []byte("sp"))
		if next < 0 || at+next >= safe {
			break
		}
		at += next
		hit, length := recognise(buf[at:])
		if length == 0 {
			at++
			continue
		}
		s.advance(buf[place:at])
		place = at
		hit.Line, hit.Column = s.line, s.before+1
		if err := s.found(hit); err != nil {
			return at, err
		}
		at += length
	}
	end := max(place, safe)
	s.advance(buf[place:end])
	return end, nil
}

// advance moves over bytes that come next.
func (s *scanner) advance(over []byte) {
	if n := bytes.Count(over, []byte{'\n'}); n > 0 {
		s.line += n
		s.before = len(over) - bytes.LastIndexByte(over, '\n') - 1
		return
	}
	s.before += len(over)
}

// recognise returns the key or the token that b begins with, and its length; 0 where there is none.
func recognise(b []byte) (Hit, int) {
	switch {
	case bytes.HasPrefix(b, []byte(keyBegin)):
		if len(b) < apikey.Len {
			return Hit{}, 0
		}
		text := string(b[:apikey.Len])
		k, err := apikey.Parse(text)
		if err != nil {
			return Hit{}, 0
		}
		return Hit{Redacted: apikey.Redact(text), ID: k.ID(), Digest: k.Digest()}, apikey.Len
	case bytes.HasPrefix(b, []byte(tokenBegin)):
		tag := bytes.IndexByte(b[len(tokenBegin):min(len(b), len(tokenBegin)+maxTag+1)], '_')
		length := len(tokenBegin) + tag + tokenTail
		if tag < 1 || len(b) < length {
			return Hit{}, 0
		}
		t, err := apikey.ParseToken(string(b[:length]))
		if err != nil || t.Account() == apikey.BootstrapAccount { // a chosen secret has no checksum
			return Hit{}, 0
		}
		return Hit{Redacted: t.Masked(), ID: t.ID(), Token: true, Digest: t.Digest()}, length
	default:
		return Hit{}, 0
	}
}
