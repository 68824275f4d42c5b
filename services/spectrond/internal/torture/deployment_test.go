package torture_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/bootstrap"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

const (
	keymanagers = 2
	dataplanes  = 3
	// recovery is how long a deployment may take until it works again after everything has been healed.
	recovery = time.Minute
)

// deployment is what is put to the test: real processes, with networks between them that fail on demand.
type deployment struct {
	t        *testing.T
	cluster  *dbtest.Cluster
	database *url.URL
	crashing sync.Mutex // serializes what is done to cluster
	lease    time.Duration

	keymanagers, dataplanes []*replica
	// dbLinks lead from each key manager to the database, links from each data plane to all key managers.
	dbLinks, links []*faultproxy.Proxy

	management string              // the text of the management key
	clerks     []*authority.Client // ask each key manager what concerns service accounts, as admin
	admin      introspection.Identity
	http       *http.Client
	epoch      time.Time
	recorder   history.Recorder
	counts     counts

	mu      sync.Mutex // guards the following fields
	changes []change   // answered or given up
	ills    []*ill     // when the authority was not well
}

// setup says what to deploy.
type setup struct {
	cluster *dbtest.Cluster
	lease   time.Duration
	environ map[string]string // of every process, besides what it needs
}

// deploy starts a deployment in a database of its own and bootstraps it.
func deploy(t *testing.T, s setup) *deployment {
	t.Helper()
	d := &deployment{
		t: t, cluster: s.cluster, database: s.cluster.Database(t), lease: s.lease, epoch: time.Now(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(d.http.CloseIdleConnections)
	target := migration.Target{ConnectionString: d.database.String(), Planes: migration.Planes(), Log: slog.New(slog.DiscardHandler)}
	if err := target.Up(t.Context(), func(migration.Plane, int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	serviceSecret := strings.Repeat("s", introspection.MinServiceSecret)
	var authorities []string
	for i := range keymanagers {
		link := listen(t, s.cluster.Address())
		behind := *d.database
		behind.Host = link.Address()
		d.dbLinks = append(d.dbLinks, link)
		r := newReplica(t, "keymanager-"+strconv.Itoa(i), keymanagerRole, with(s.environ, map[string]string{
			"SPECTRON_CONNECTION_STRING": behind.String(), "SPECTRON_PEPPER": strings.Repeat("p", 32),
			"SPECTRON_SERVICE_SECRET": serviceSecret, "SPECTRON_LEASE_TTL": s.lease.String(),
		}))
		d.keymanagers = append(d.keymanagers, r)
		authorities = append(authorities, r.address)
	}
	for i := range dataplanes {
		link := listen(t, authorities...)
		d.links = append(d.links, link)
		d.dataplanes = append(d.dataplanes, newReplica(t, "dataplane-"+strconv.Itoa(i), dataplaneRole, with(s.environ, map[string]string{
			"SPECTRON_CONNECTION_STRING": d.database.String(), "SPECTRON_MANAGEMENT_URL": "http://" + link.Address(),
			"SPECTRON_SERVICE_SECRET": serviceSecret, "SPECTRON_SPL_CONTEXT": splContext,
		})))
	}
	for _, r := range d.replicas() {
		r.start()
		t.Cleanup(func() {
			r.kill()
			r.checkLog(t)
		})
	}
	d.awaitAll()
	d.bootstrap(serviceSecret)
	return d
}

// with returns one map of both.
func with(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

func listen(t *testing.T, backends ...string) *faultproxy.Proxy {
	t.Helper()
	proxy, err := faultproxy.Listen(t.Context(), backends...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

func (d *deployment) replicas() []*replica {
	return append(append([]*replica(nil), d.keymanagers...), d.dataplanes...)
}

// awaitAll returns when every process serves.
func (d *deployment) awaitAll() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), recovery)
	defer cancel()
	for _, r := range d.replicas() {
		if err := r.await(ctx); err != nil {
			d.t.Fatal(err)
		}
	}
}

// splContext is the context whose service accounts the data planes serve.
const splContext = "first"

// bootstrap makes the first keys, and the first service account of [splContext].
func (d *deployment) bootstrap(serviceSecret string) {
	d.t.Helper()
	for _, r := range d.keymanagers {
		clerk, err := authority.New(authority.Config{URL: "http://" + r.address, ServiceSecret: []byte(serviceSecret), Subject: "torture"})
		if err != nil {
			d.t.Fatal(err)
		}
		d.clerks = append(d.clerks, clerk)
	}
	credentials, err := bootstrap.Credentials{ContextID: splContext}.Complete()
	if err == nil {
		err = credentials.Enrol(d.t.Context(), d.clerks[0].Bootstrap)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.management = credentials.Management.Reveal()
	if d.admin, err = firstAccount(d.t.Context(), d.clerks[0]); err != nil {
		d.t.Fatal(err)
	}
}

// now is the clock of the history.
func (d *deployment) now() time.Duration { return time.Since(d.epoch) }

// check checks what was seen since the last time.
func (d *deployment) check() error {
	return errors.Join(history.Check(d.recorder.Take()), d.checkBound())
}

// report fails the test with err, and draws the history when that broke the promise.
func (d *deployment) report(err error) {
	d.t.Helper()
	d.t.Error(err)
	violation, ok := errors.AsType[*history.ViolationError](err)
	if !ok {
		return
	}
	dir, err := os.MkdirTemp("", "torture-*")
	if err != nil {
		d.t.Error(err)
		return
	}
	path := filepath.Join(dir, "history.html")
	if err := violation.Draw(path); err != nil {
		d.t.Error(err)
	}
	d.t.Logf("drawn in %s", path)
}
