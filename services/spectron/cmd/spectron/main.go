// Command spectron speaks to a Spectron server: whoami, remember, recall. spectron --help says more.
package main

import (
	"os"

	"github.com/spectron-hq/spectron/services/spectron/commandline"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(commandline.Main(version)) }
