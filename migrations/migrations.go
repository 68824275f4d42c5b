// Package migrations holds the schema of both services as numbered SQL, up and down, embedded in the binary. Every
// migration must run under the previous and the next release; a merged one is never edited.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed all:control all:data
var files embed.FS

// Control returns the migrations of the key manager for an engine, "postgres" or "sqlite".
func Control(engine string) (fs.FS, error) { return sub("control", engine) }

// Data returns the migrations of the data plane for an engine, "postgres" or "sqlite".
func Data(engine string) (fs.FS, error) { return sub("data", engine) }

func sub(service, engine string) (fs.FS, error) {
	dir := service + "/" + engine
	if _, err := fs.Stat(files, dir); err != nil {
		return nil, fmt.Errorf("no %s migrations for engine %q", service, engine)
	}
	return fs.Sub(files, dir)
}
