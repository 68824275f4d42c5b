package node

import (
	"fmt"
	"path/filepath"
)

// StorePath returns the path of the store in the data directory of a node.
func StorePath(dataDir string) (string, error) {
	absolute, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("finding the data directory: %w", err)
	}
	return filepath.Join(absolute, Layout{}.orDefault().Store), nil
}

// Claim makes a data directory, if need be, and keeps every node from serving it until release is called.
func Claim(dataDir string) (release func() error, err error) {
	dir, err := openDataDir(dataDir, Layout{})
	if err != nil {
		return nil, err
	}
	return dir.Close, nil
}
