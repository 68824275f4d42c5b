// Package dataplane serves memory to callers whose key it has verified, on REST and over the Model Context Protocol, and
// passes the management API on to the key manager, so that clients know one address. It keeps rows, never keys: what a key is
// worth it asks the key manager, through services/verifier. Any number of replicas may share a Postgres database.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi"
	"github.com/spectron-hq/spectron/services/dataplane/internal/job"
	"github.com/spectron-hq/spectron/services/dataplane/internal/lifecycle"
	"github.com/spectron-hq/spectron/services/dataplane/internal/mcp"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/purge"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/admission"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// Service is an open data plane. It is safe for concurrent use.
type Service struct {
	db       *database.DB
	verifier *verifier.Verifier
	// keymanager is asked about service accounts.
	keymanager *authority.Client
	handler    http.Handler
	traces     *trace.Log
	stop       context.CancelFunc // ends the purger
	background sync.WaitGroup
}

// Open opens a data plane without listening, and begins to purge deleted contexts in the background. Its database must have
// been migrated. Of cfg it needs the connection string, the service secret and the management URL. The key manager need not
// answer yet. ctx bounds the opening, not the service.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	management, err := cfg.managementURL()
	if err != nil {
		return nil, fmt.Errorf("opening the data plane: %w", err)
	}
	keymanager, db, err := cfg.connect(ctx, management)
	if err != nil {
		return nil, fmt.Errorf("opening the data plane: %w", err)
	}
	service, err := assemble(ctx, cfg, db, keymanager, management)
	if err != nil {
		return nil, fmt.Errorf("opening the data plane: %w", errors.Join(err, db.Close()))
	}
	return service, nil
}

// connect returns what every data plane stands on: the key manager, which need not answer yet, and the database.
func (c Config) connect(ctx context.Context, management *url.URL) (*authority.Client, *database.DB, error) {
	keymanager, err := authority.New(authority.Config{
		URL: management.String(), ServiceSecret: []byte(c.ServiceSecret.Reveal()), Subject: replica(), Transport: c.Authority, Wrap: web.Propagate,
	})
	if err != nil {
		return nil, nil, err
	}
	db, err := database.OpenExisting(ctx, c.ConnectionString.Reveal(), store.Schema)
	if err == nil && c.Tracing != nil {
		db.Trace()
	}
	return keymanager, db, err
}

func assemble(
	ctx context.Context, cfg Config, db *database.DB, keymanager *authority.Client, management *url.URL,
) (_ *Service, err error) {
	if err := requireMigrated(ctx, db); err != nil {
		return nil, err
	}
	origins, err := cfg.origins()
	if err != nil {
		return nil, err
	}
	proxies, err := cfg.proxies()
	if err != nil {
		return nil, err
	}
	rows, now := store.New(db), cfg.clock()
	traces := trace.New(trace.Config{Store: rows, TraceID: web.TraceID, Now: now, Log: cfg.log()})
	verify, err := verifier.New(verifier.Config{Authority: keymanager, Carry: tracing.Carry})
	if err != nil {
		traces.Close()
		return nil, err
	}
	service := &Service{db: db, verifier: verify, keymanager: keymanager, traces: traces}
	defer func() {
		if err != nil {
			verify.Close()
			traces.Close()
		}
	}()
	parts := cfg.parts(rows, traces)
	parts.Verifier, parts.Keys, parts.Principals, parts.Gate = verify, keymanager, keymanager, admission.New(now)
	parts.Origins, parts.Proxies = origins, proxies
	face, background, err := cfg.face(rows, keymanager, verify, origins)
	if err != nil {
		return nil, err
	}
	parts.Spl = face
	var signing []func(context.Context)
	if parts.Door, signing, err = cfg.doors(ctx, rows); err != nil {
		return nil, err
	}
	if !cfg.HideManagement {
		parts.Management = management
	}
	if cfg.Metrics != nil { // a nil *Registry in the interface would not be nil
		parts.Metrics = cfg.Metrics
		cfg.Metrics.MustRegister(append(db.Collectors("data"), verifications{verify}, admissions{parts.Gate}, traceRows(traces))...)
	}
	if service.handler, err = httpapi.New(parts); err != nil {
		return nil, err
	}
	jobs := job.New(keymanager, map[introspection.JobKind]job.Work{
		introspection.JobReindex: job.Reindex(rows), introspection.JobDecay: parts.Lifecycle.DecayAll,
	})
	purger := purge.New(keymanager, rows, now, cfg.Limits.traceRetention())
	service.begin(ctx, append(append(background, signing...), func(ctx context.Context) { purger.Run(ctx, cfg.log(), jobs.Sweep) }))
	return service, nil
}

// parts are those of the API that keep rows, and what they are configured with.
func (c Config) parts(rows *store.Store, traces *trace.Log) httpapi.Parts {
	now := c.clock()
	scopes := scopetree.New(rows, now)
	memories := memory.New(rows, scopes, now)
	entities := entity.New(rows, memories, now)
	reflections := reflection.New(rows, entities, scopes)
	return httpapi.Parts{
		Memory:       memories,
		Scopes:       scopes,
		Entities:     entities,
		Reflections:  reflections,
		Sessions:     session.NewService(rows, scopes, now),
		Lifecycle:    lifecycle.New(rows, now),
		Traces:       traces,
		Limits:       c.Limits.api(),
		MCP:          c.mcp(mcp.Config{Memory: memories, Entities: entities, Reflections: reflections, Traces: traces}),
		ToManagement: c.transport(),
		Version:      c.Version,
		Log:          c.log(),
		Tracing:      c.Tracing,
	}
}

// begin runs what goes on in the background until the service is closed.
func (s *Service) begin(ctx context.Context, background []func(context.Context)) {
	// Not ctx: the service outlives its opening.
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range background {
		s.background.Go(func() { run(ctx) })
	}
}

// mcp returns the handler of /mcp on the given parts.
func (c Config) mcp(parts mcp.Config) http.Handler {
	parts.MaxHits, parts.TraceID, parts.Version, parts.Log = c.Limits.api().QueryK, web.TraceID, c.Version, c.log()
	return mcp.NewHandler(parts)
}

// requireMigrated refuses a schema older than this program, and one that is half restored.
func requireMigrated(ctx context.Context, db *database.DB) error {
	if err := database.RequireWhole(ctx, db); err != nil {
		return err
	}
	m, err := Migrations(db.Engine)
	if err != nil {
		return err
	}
	pending, err := database.Pending(ctx, db, m)
	if err != nil {
		return err
	}
	if pending > 0 {
		return fmt.Errorf("the database lacks %d migrations: run `spectrond migrate` first", pending)
	}
	return nil
}

// Migrations returns the schema of the data plane, for whoever migrates.
func Migrations(engine database.Engine) (database.Migrations, error) { return store.Migrations(engine) }

// Handler serves REST and MCP.
func (s *Service) Handler() http.Handler { return s.handler }

// Ready reports whether the data plane can reach its database. That the key manager answers is not asked: while it does
// not, each request is told so, which helps more than no data plane at all.
func (s *Service) Ready(ctx context.Context) error { return s.db.Ping(ctx) }

// Close ends the purger, waits for it and closes the database. Call it when no request is being served any more.
func (s *Service) Close() error {
	s.stop()
	s.background.Wait()
	s.verifier.Close()
	s.traces.Close()
	return s.db.Close()
}

// Run serves a data plane until ctx ends and the requests in flight are done.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Verify(); err != nil {
		return err
	}
	if cfg.Metrics == nil {
		cfg.Metrics = telemetry.NewRegistry("spectron", cfg.Version)
	}
	service, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	parts := []func(context.Context) error{func(ctx context.Context) error {
		service.warnOpen(ctx, cfg)
		<-ctx.Done()
		return nil
	}}
	for _, l := range []struct {
		name, address string
		handler       http.Handler
	}{
		{"api", cfg.BindAddress, service.Handler()},
		{"admin", cfg.adminAddress(), telemetry.Admin(cfg.Metrics, web.ReadyUntil(ctx, service.Ready))},
	} {
		if l.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
		if err != nil {
			return fmt.Errorf("listening for %s: %w", l.name, err)
		}
		defer func() { _ = listener.Close() }() // Serve has closed it, unless it never began
		cfg.log().InfoContext(ctx, "listening", slog.String("server", l.name), slog.String("address", listener.Addr().String()))
		parts = append(parts, func(ctx context.Context) error { return web.Serve(ctx, listener, l.handler, cfg.drain(), cfg.log()) })
	}
	return process.Group(ctx, parts...)
}

// replica names this process in the key manager's log.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "dataplane"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}
