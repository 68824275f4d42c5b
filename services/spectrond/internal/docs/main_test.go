package docs_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectron/commandline"
	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splcommand"
)

// The test binary is each of the three programs when it is started by its name, so that the blocks run real processes.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"spectrond": func() { os.Exit(command.Main("v0.0.0-test")) },
		"spectron":  func() { os.Exit(commandline.Main("v0.0.0-test")) },
		"spl":       func() { os.Exit(splcommand.Main("v0.0.0-test")) },
	})
}

type suite struct{ m *testing.M }

func (s suite) Run() int { return dbtest.Main(s.m) }
