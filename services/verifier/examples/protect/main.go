// Command protect is a service of one's own behind Spectron's keys: it greets whoever shows a good one.
//
//	SPECTRON_MANAGEMENT_URL=http://127.0.0.1:9091 SPECTRON_SERVICE_SECRET=… go run ./examples/protect
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/verifier"
)

func main() {
	v, err := verifier.New(verifier.Config{
		URL:           os.Getenv("SPECTRON_MANAGEMENT_URL"),
		ServiceSecret: []byte(os.Getenv("SPECTRON_SERVICE_SECRET")),
	})
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Addr: "127.0.0.1:8080", Handler: v.Middleware(http.HandlerFunc(greet)), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func greet(w http.ResponseWriter, r *http.Request) {
	who, _ := caller.From(r.Context())
	_, _ = fmt.Fprintf(w, "hello, %s of %s\n", who.Principal.DisplayName, who.Context)
}
