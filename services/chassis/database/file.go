package database

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
)

// FileURL returns the connection string of the SQLite database in the file at path, which must be absolute.
func FileURL(path string) string {
	return (&url.URL{Scheme: SQLite.String(), Path: filepath.ToSlash(path)}).String()
}

// FilePath returns the absolute path of the file that the connection string of a SQLite database names.
func FilePath(connection string) (string, error) {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != SQLite.String() {
		return "", errors.New("the connection string is not that of a SQLite file: want sqlite:///absolute/path or sqlite:relative/path")
	}
	return filePath(u)
}

// filePath reads sqlite:///absolute/path and sqlite:relative/path.
func filePath(u *url.URL) (string, error) {
	path := u.Path
	if u.Opaque != "" {
		unescaped, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return "", errors.New("the path of the SQLite file is not properly percent-encoded")
		}
		path = unescaped
	}
	switch {
	case u.Host != "" || u.User != nil:
		return "", errors.New("sqlite://host/path has no meaning: write sqlite:///absolute/path or sqlite:relative/path")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("a sqlite: URL takes no parameters")
	case path == "" || path == ":memory:":
		return "", errors.New("a sqlite: URL names a file, such as sqlite:///var/lib/data.db")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the SQLite file: %w", err)
	}
	return absolute, nil
}
