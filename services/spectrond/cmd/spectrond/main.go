// Command spectrond is the server of Spectron and its operator's tool.
package main

import (
	"os"

	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "dev"

func main() { os.Exit(command.Main(version)) }
