package backup

import (
	"archive/tar"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// formatVersion is that of the archives written here. An archive of a later one is refused.
const formatVersion = 1

const (
	manifestName = "manifest.json"
	// maxManifest bounds what is read before anything has been verified.
	maxManifest = 1 << 20
)

// Manifest is the first thing in an archive: what it is of, and what must be in it.
type Manifest struct {
	FormatVersion int       `json:"format_version"`
	Engine        string    `json:"engine"`
	Product       string    `json:"product_version"`
	TakenAt       time.Time `json:"taken_at"`
	// Schemas are the versions of the schemas of both planes.
	Schemas map[string]int64 `json:"schema_versions"`
	// Authority, Revision and AuditEntry are those of the key manager, of the same moment as the data.
	Authority  string `json:"authority"`
	Revision   int64  `json:"revision"`
	AuditEntry int64  `json:"audit_entry"`
	// Peppers counts the keys under each version of the pepper, without which they are worth nothing.
	Peppers map[uint16]int64 `json:"keys_by_pepper_version"`
	// Tool is what made the dump, on Postgres.
	Tool  string `json:"tool,omitempty"`
	Parts []Part `json:"parts"`
}

// Part is a file in the archive.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// ErrDamaged says that an archive is not what was written: cut short, or changed.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// write writes the archive of m, with the one part at path, to w.
func write(ctx context.Context, w io.Writer, m Manifest, path string) (err error) {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(manifest)), ModTime: m.TakenAt}); err != nil {
		return err
	}
	if _, err := archive.Write(manifest); err != nil {
		return err
	}
	part, err := os.Open(path) //nolint:gosec // made by this process
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	if err := archive.WriteHeader(&tar.Header{Name: m.Parts[0].Name, Mode: 0o600, Size: m.Parts[0].Size, ModTime: m.TakenAt}); err != nil {
		return err
	}
	if _, err := io.Copy(archive, reader{ctx, part}); err != nil {
		return err
	}
	return errors.Join(archive.Close(), packed.Close())
}

// Read reads an archive to its end and returns its manifest and, in dir, its part, once every byte has been verified; dir may be empty, and
// then the part is only verified. Errors: ErrDamaged.
func Read(ctx context.Context, r io.Reader, dir string) (m Manifest, path string, err error) {
	packed, err := gzip.NewReader(reader{ctx, r})
	if err != nil {
		return m, "", damaged("it does not begin as a backup does (%v)", err)
	}
	archive := tar.NewReader(packed)
	if m, err = readManifest(archive); err != nil {
		return m, "", err
	}
	sink, sum := io.Discard, sha256.New()
	if dir != "" {
		path = filepath.Join(dir, partOf(m.Engine))
		file, openErr := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in a folder of this process
		if openErr != nil {
			return m, "", openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		sink = file
	}
	if err := readPart(archive, m.Parts[0], sink, sum); err != nil {
		return m, "", err
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return m, "", damaged("there is more in it than its manifest says")
	}
	// The checksum of the whole comes last, behind what tar takes for the end.
	if _, err := io.Copy(io.Discard, packed); err != nil { //nolint:gosec // kept nowhere: a bomb costs time, which ctx bounds
		return m, "", damaged("%v", err)
	}
	return m, path, nil
}

func readManifest(archive *tar.Reader) (m Manifest, err error) {
	header, err := archive.Next()
	if err != nil || header.Name != manifestName || header.Size > maxManifest {
		return m, damaged("it has no manifest")
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return m, damaged("its manifest is cut short")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, damaged("its manifest cannot be read")
	}
	if m.FormatVersion > formatVersion {
		return m, fmt.Errorf("the backup has format %d, this program knows up to %d: use the release that made it (%s) or a later one",
			m.FormatVersion, formatVersion, m.Product)
	}
	if m.FormatVersion < 1 || len(m.Parts) != 1 || partOf(m.Engine) == "" || m.Parts[0].Name != partOf(m.Engine) {
		return m, damaged("its manifest makes no sense")
	}
	return m, nil
}

func readPart(archive *tar.Reader, want Part, sink io.Writer, sum hash.Hash) error {
	header, err := archive.Next()
	if err != nil || header.Name != want.Name || header.Size != want.Size {
		return damaged("%s is not there as the manifest has it", want.Name)
	}
	// No more than the manifest says is taken, whatever the archive holds.
	n, err := io.Copy(io.MultiWriter(sink, sum), io.LimitReader(archive, want.Size))
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || err == nil && n != want.Size {
		return damaged("%s is cut short or changed", want.Name)
	}
	if corrupt, ok := errors.AsType[flate.CorruptInputError](err); ok {
		return damaged("%s: %v", want.Name, corrupt)
	}
	if err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return damaged("%s has another checksum than its manifest says", want.Name)
	}
	return nil
}

// partOf is the name of the one part of an engine's archive; empty for an engine that there is not.
func partOf(engine string) string {
	switch engine {
	case "postgres":
		return "postgres.dump"
	case "sqlite":
		return "sqlite.db"
	default:
		return ""
	}
}

// measure returns the part at path.
func measure(ctx context.Context, path, name string) (part Part, err error) {
	file, err := os.Open(path) //nolint:gosec // made by this process
	if err != nil {
		return Part{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(sum, reader{ctx, file})
	return Part{Name: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// reader reads until ctx ends.
type reader struct {
	ctx context.Context //nolint:containedctx // of the call that reads
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
