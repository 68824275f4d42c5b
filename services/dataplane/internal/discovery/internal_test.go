package discovery

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/mdns"

	"github.com/spectron-hq/spectron/services/dataplane/identity"
)

func TestWhatIsHeardIsBounded(t *testing.T) {
	t.Parallel()
	i, err := identity.Open(filepath.Join(t.TempDir(), "id"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := New(Config{DID: "did:key:zself", Now: func() time.Time { return now }})
	entry := func(host byte, port int, info ...string) *mdns.ServiceEntry {
		return &mdns.ServiceEntry{AddrV4: net.IPv4(10, 0, 0, host), Port: port, InfoFields: info}
	}
	for name, odd := range map[string]*mdns.ServiceEntry{
		"no did":       entry(1, 80),
		"not a key":    entry(1, 80, "did=did:web:example.org"),
		"no port":      entry(1, 0, "did="+i.DID()),
		"a high port":  entry(1, 70000, "did="+i.DID()),
		"itself":       entry(1, 80, "did=did:key:zself"),
		"no address":   {Port: 80, InfoFields: []string{"did=" + i.DID()}},
		"HTML in text": entry(1, 80, "did=<script>"),
	} {
		if d.heard(odd); len(d.Neighbours()) != 0 {
			t.Fatalf("%s: %v", name, d.Neighbours())
		}
	}
	for port := range 2 * maxNeighbours {
		d.heard(entry(1, port+1, "x=y", "did="+i.DID()))
	}
	if got := d.Neighbours(); len(got) != maxNeighbours || got[0].URL != "http://10.0.0.1:1" {
		t.Errorf("%d neighbours, the first at %s", len(got), fmt.Sprint(got[0]))
	}
	now = now.Add(remembered + time.Second)
	if got := d.Neighbours(); len(got) != 0 {
		t.Errorf("%d are remembered for ever", len(got))
	}
}
