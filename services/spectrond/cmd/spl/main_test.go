package main_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splcommand"
)

// The test binary is spl when it is started by that name, so that every test here runs real processes.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"spl": func() { os.Exit(splcommand.Main("v0.0.0-test")) },
	})
}

type suite struct{ m *testing.M }

func (s suite) Run() int { return dbtest.Main(s.m) }
