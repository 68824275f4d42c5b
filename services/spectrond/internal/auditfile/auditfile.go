// Package auditfile keeps parts of the audit log in files: JSON Lines, gzipped or not, and beside an archive a manifest that says
// what is in it. It promises that a file has its name only once it is complete and on the disk, and that nobody but its owner can
// read it.
package auditfile

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// Manifest says what an archive holds.
type Manifest struct {
	File    string `json:"file"`
	Entries int64  `json:"entries"`
	// First is the number of the first entry, and Prev the hash of the one before it.
	First int64           `json:"first_seq"`
	Prev  auditchain.Hash `json:"prev"`
	// Last is the number of the last entry, and Hash its hash.
	Last     int64           `json:"last_seq"`
	Hash     auditchain.Hash `json:"hash"`
	Earliest time.Time       `json:"earliest"`
	Latest   time.Time       `json:"latest"`
}

// Archive writes the entries after from, which end with to, to a file in dir, and its manifest; reads the file back, and holds it
// against the chain.
func Archive(dir string, from, to auditchain.Head, zip bool, entries iter.Seq2[auditchain.Record, error]) (Manifest, error) {
	m := Manifest{
		File:    fmt.Sprintf("audit-%012d-%012d.jsonl", from.Seq+1, to.Seq),
		Entries: to.Seq - from.Seq, First: from.Seq + 1, Prev: from.Hash, Last: to.Seq, Hash: to.Hash,
	}
	if zip {
		m.File += ".gz"
	}
	path := filepath.Join(dir, m.File)
	err := write(path, zip, func(w io.Writer) error {
		for r, err := range entries {
			if err == nil {
				err = r.Write(w)
			}
			if err != nil {
				return err
			}
			if m.Earliest.IsZero() || r.At.Before(m.Earliest) {
				m.Earliest = r.At.UTC()
			}
			if r.At.After(m.Latest) {
				m.Latest = r.At.UTC()
			}
		}
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("writing an archive: %w", err)
	}
	v := auditchain.From(from)
	v.Expect(to)
	err = v.Verify(Read(path))
	if err == nil {
		err = v.Finish()
	}
	if err == nil && v.Head() != to {
		err = fmt.Errorf("it goes on to %s", v.Head())
	}
	if err != nil {
		return m, fmt.Errorf("reading the archive %s back: %w", m.File, err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = privatefile.Replace(path+".manifest", append(text, '\n'))
	}
	if err != nil {
		return m, fmt.Errorf("writing the manifest of %s: %w", m.File, err)
	}
	return m, nil
}

// Write writes entries to a file as JSON Lines and returns how many they were.
func Write(path string, entries iter.Seq2[auditchain.Record, error]) (count int64, err error) {
	err = write(path, false, func(w io.Writer) error {
		count, err = Print(w, entries)
		return err
	})
	return count, err
}

// Print writes entries as JSON Lines and returns how many they were.
func Print(w io.Writer, entries iter.Seq2[auditchain.Record, error]) (count int64, err error) {
	for r, err := range entries {
		if err == nil {
			err = r.Write(w)
		}
		if err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// write has fill make the content of a file, and gives it its name then.
func write(path string, zip bool, fill func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made at mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // does nothing once it has been renamed
	buffer := bufio.NewWriter(temp)
	if zip {
		compressed := gzip.NewWriter(buffer)
		err = errors.Join(fill(compressed), compressed.Close())
	} else {
		err = fill(buffer)
	}
	err = errors.Join(err, buffer.Flush())
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return privatefile.Rename(temp.Name(), path)
}

// Read returns the entries in files, each of which is gzipped or not, one file after the other.
func Read(paths ...string) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		for _, path := range paths {
			if !readOne(path, yield) {
				return
			}
		}
	}
}

func readOne(path string, yield func(auditchain.Record, error) bool) bool {
	failed := func(err error) bool {
		yield(auditchain.Record{}, fmt.Errorf("%s: %w", filepath.Base(path), err))
		return false
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return failed(err)
	}
	defer func() { _ = file.Close() }()
	buffer := bufio.NewReader(file)
	content := io.Reader(buffer)
	if magic, _ := buffer.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) { // what is shorter is read as text
		if content, err = gzip.NewReader(buffer); err != nil {
			return failed(err)
		}
	}
	for r, err := range auditchain.Read(content) {
		if err != nil {
			return failed(err)
		}
		if !yield(r, nil) {
			return false
		}
	}
	return true
}

// Sort puts files into the order of their first entries. Files without any come first.
func Sort(paths []string) ([]string, error) {
	first := map[string]int64{}
	for _, path := range paths {
		for r, err := range Read(path) {
			if err != nil {
				return nil, err
			}
			first[path] = r.Seq
			break
		}
	}
	sorted := slices.Clone(paths)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	return sorted, nil
}
