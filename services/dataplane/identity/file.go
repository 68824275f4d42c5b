package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	pemType = "PRIVATE KEY" // PKCS #8
	// mode is whom the file is for: its owner.
	mode fs.FileMode = 0o600
	// maxFile is more than any such file is long.
	maxFile = 16 << 10
)

// Open returns the identity that the file holds, and makes both if there is none; of several that make it at once all return
// the same. A file that others may read is refused: its key may be theirs as well.
func Open(name string) (*Identity, error) {
	key, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(name); err == nil {
			key, err = read(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the identity: %w", err)
	}
	return newIdentity(key, name), nil
}

func read(name string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others may read %s: insecure permissions %#o; `chmod 600 %s` and try again", name, info.Mode().Perm(), name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s holds no key: it is too long", name)
	}
	content, err := os.ReadFile(name) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("%s holds no PEM block of the type %s: put back the one that it held", name, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no PKCS #8 key: put back the one that it held", name) // the parser may quote what it read
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key in %s is not an Ed25519 key", name)
	}
	return key, nil
}

// create makes a key and keeps it under the name, unless somebody was faster. It is there as a whole or not at all, even after
// a power cut.
func create(name string) error {
	folder := filepath.Dir(name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(name)+"-*") // for its owner only
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	err = pem.Encode(file, &pem.Block{Type: pemType, Bytes: encoded})
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, takes nobody's place.
	if err := os.Link(file.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	directory, err := os.Open(folder) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
