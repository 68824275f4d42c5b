// Package discovery hears of other servers on the local network, by multicast DNS, and tells of this one.
//
// It promises nothing about what it hears: whoever is on that network may say anything. A neighbour is an address to ask who is
// there, no more. What is remembered is bounded, whatever is heard.
package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/mdns"

	"github.com/spectron-hq/spectron/services/dataplane/identity"
)

const (
	service = "_syncropel._tcp"
	// listening is how long one question is listened for answers to.
	listening = 2 * time.Second
	// remembered is how long a neighbour is remembered that is not heard of again, and maxNeighbours how many are.
	remembered    = 5 * time.Minute
	maxNeighbours = 256
	// didPrefix begins the part of an announcement that says who it is of.
	didPrefix = "did="
)

// Config is how the network is listened to.
type Config struct {
	// DID is who this server is. It does not hear of itself.
	DID string
	// Port is where it serves on this machine; 0 if others cannot reach it, and then they are not told.
	Port int
	// Interface is what is listened on; nil for the system's choice.
	Interface *net.Interface
	// Every is the time between two questions; 0 means 30 seconds.
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Neighbour is a server that was heard of.
type Neighbour struct {
	// DID is who it says it is: a did:key, but nobody has proved that it is its own.
	DID, URL string
	SeenAt   time.Time
}

// Discovery knows the neighbours. It is safe for concurrent use.
type Discovery struct {
	Config

	mu         sync.Mutex              // guards the following field
	neighbours map[[2]string]time.Time // when each was heard of last, by did and address
}

// New returns a Discovery that has heard nothing; [Discovery.Run] listens.
func New(config Config) *Discovery {
	config.Every = cmp.Or(config.Every, 30*time.Second)
	return &Discovery{Config: config, neighbours: map[[2]string]time.Time{}}
}

// Run listens and tells until ctx ends. Where the network has no multicast it says so in the log, and goes on trying.
func (d *Discovery) Run(ctx context.Context) {
	if end, err := d.announce(); err != nil {
		d.Log.WarnContext(ctx, "this server is not announced on the local network", slog.Any("error", err))
	} else {
		defer end()
	}
	ticker := time.NewTicker(d.Every)
	defer ticker.Stop()
	for {
		if err := d.listen(ctx); err != nil && ctx.Err() == nil {
			d.Log.DebugContext(ctx, "nothing can be heard on the local network", slog.Any("error", err))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// announce tells whoever asks of this server, until end is called.
func (d *Discovery) announce() (end func(), err error) {
	if d.Port == 0 {
		return func() {}, nil
	}
	addresses, err := d.addresses()
	if err != nil {
		return nil, err
	}
	// The name is the key's last characters: no name of the machine or its user is told.
	name := d.DID[max(0, len(d.DID)-12):]
	zone, err := mdns.NewMDNSService("spl-"+name, service, "", "spl-"+strings.ToLower(name)+".local.", d.Port, addresses, []string{didPrefix + d.DID})
	if err != nil {
		return nil, fmt.Errorf("describing this server: %w", err)
	}
	server, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: d.Interface, Logger: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug)})
	if err != nil {
		return nil, fmt.Errorf("listening for questions: %w", err)
	}
	return func() { _ = server.Shutdown() }, nil
}

// addresses returns those of this machine that others can reach, or those of the interface that was named.
func (d *Discovery) addresses() ([]net.IP, error) {
	list := net.InterfaceAddrs
	if d.Interface != nil {
		list = d.Interface.Addrs
	}
	all, err := list()
	if err != nil {
		return nil, fmt.Errorf("finding the addresses of this machine: %w", err)
	}
	var out []net.IP
	for _, each := range all {
		address, ok := each.(*net.IPNet)
		if ok && (d.Interface != nil || !address.IP.IsLoopback()) && !address.IP.IsLinkLocalUnicast() {
			out = append(out, address.IP)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("this machine has no address that others can reach")
	}
	return out, nil
}

// listen asks once who is there.
func (d *Discovery) listen(ctx context.Context) error {
	entries := make(chan *mdns.ServiceEntry, maxNeighbours)
	err := mdns.QueryContext(ctx, &mdns.QueryParam{
		Service: service, Timeout: listening, Entries: entries, Interface: d.Interface,
		DisableIPv6: true, // of the asking only, which on a machine without IPv6 would fail
		Logger:      slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
	})
	for {
		select {
		case entry := <-entries:
			d.heard(entry)
		default:
			return err
		}
	}
}

// heard remembers a server that was heard of, if what is said of it makes sense.
func (d *Discovery) heard(entry *mdns.ServiceEntry) {
	ip := entry.AddrV4
	if ip == nil && entry.AddrV6IPAddr != nil {
		ip = entry.AddrV6IPAddr.IP
	}
	i := slices.IndexFunc(entry.InfoFields, func(field string) bool { return strings.HasPrefix(field, didPrefix) })
	if i < 0 || ip == nil || entry.Port <= 0 || entry.Port > 1<<16-1 {
		return
	}
	did := strings.TrimPrefix(entry.InfoFields[i], didPrefix)
	if did == d.DID || !identity.IsDID(did) {
		return
	}
	now := d.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(now)
	key := [2]string{did, "http://" + net.JoinHostPort(ip.String(), strconv.Itoa(entry.Port))}
	if _, known := d.neighbours[key]; known || len(d.neighbours) < maxNeighbours {
		d.neighbours[key] = now
	}
}

func (d *Discovery) forgetLocked(now time.Time) {
	maps.DeleteFunc(d.neighbours, func(_ [2]string, seen time.Time) bool { return now.Sub(seen) > remembered })
}

// Neighbours returns the servers that were heard of lately, by did and address.
func (d *Discovery) Neighbours() []Neighbour {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(d.Now())
	out := make([]Neighbour, 0, len(d.neighbours))
	for key, seen := range d.neighbours {
		out = append(out, Neighbour{key[0], key[1], seen})
	}
	slices.SortFunc(out, func(a, b Neighbour) int { return cmp.Or(strings.Compare(a.DID, b.DID), strings.Compare(a.URL, b.URL)) })
	return out
}
