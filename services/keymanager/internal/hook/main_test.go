package hook_test

import (
	"os"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }
