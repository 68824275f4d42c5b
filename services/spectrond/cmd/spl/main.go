// Command spl is the local daemon and its command line.
package main

import (
	"os"

	"github.com/spectron-hq/spectron/services/spectrond/internal/splcommand"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "dev"

func main() { os.Exit(splcommand.Main(version)) }
