package hook_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// environmentProxy counts the calls of the proxy that the environment names. It is named once for all tests: net/http reads it once.
var environmentProxy atomic.Int64

func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		environmentProxy.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if err := os.Setenv(name, proxy.URL); err != nil {
			panic(err)
		}
	}
	os.Exit(dbtest.Main(m))
}
