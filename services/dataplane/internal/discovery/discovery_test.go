package discovery_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/discovery"
)

func did(t *testing.T) string {
	t.Helper()
	i, err := identity.Open(filepath.Join(t.TempDir(), "id"))
	if err != nil {
		t.Fatal(err)
	}
	return i.DID()
}

// loopback is the network of this machine with itself: a test tells nobody else anything.
func loopback(t *testing.T) *net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range all {
		if each.Flags&net.FlagLoopback != 0 && each.Flags&net.FlagUp != 0 {
			return &each
		}
	}
	t.Fatal("this machine has no loopback interface to listen on")
	return nil
}

func TestServersHearOfEachOther(t *testing.T) {
	t.Parallel()
	on := loopback(t)
	dids := []string{did(t), did(t)}
	found := make([]*discovery.Discovery, len(dids))
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer running.Wait()
	defer cancel()
	for i, did := range dids {
		found[i] = discovery.New(discovery.Config{
			DID: did, Port: 9100 + i, Interface: on, Every: 100 * time.Millisecond, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		running.Go(func() { found[i].Run(ctx) })
	}
	heard := func(i int, did, url string) bool {
		for _, each := range found[i].Neighbours() {
			if each.DID == dids[i] {
				t.Fatal("a server hears of itself")
			}
			if each.DID == did && each.URL == url {
				return true
			}
		}
		return false
	}
	deadline := time.After(30 * time.Second)
	for !heard(0, dids[1], "http://127.0.0.1:9101") || !heard(1, dids[0], "http://127.0.0.1:9100") {
		select {
		case <-deadline:
			t.Fatalf("heard %+v and %+v", found[0].Neighbours(), found[1].Neighbours())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
