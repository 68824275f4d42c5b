// Package keymanager is the authority of a deployment: it owns contexts, principals, keys and the order of their changes,
// and says what a key is worth. Only it reads what is stored of keys. It serves operators on the management API and other
// services on the internal one; any number of replicas may share a Postgres database.
package keymanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// schema holds the tables, on Postgres; the data plane's role has no right on it.
const schema = "control"

// Service is an open key manager. It is safe for concurrent use.
type Service struct {
	db      *database.DB
	handler http.Handler
	founder *deployment.Founder
	// accounts makes the service accounts that nobody needs a credential for.
	accounts *serviceaccount.Founder
	// deliver begins to deliver webhooks.
	deliver func()
	stop    context.CancelFunc
	feeding sync.WaitGroup
}

// Open opens a key manager without listening. Its database must have been migrated. Of cfg it needs the connection string,
// the pepper and the service secret.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	ring, services, err := cfg.secrets()
	if err != nil {
		return nil, fmt.Errorf("opening the key manager: %w", err)
	}
	db, err := database.OpenExisting(ctx, planOnce(cfg.ConnectionString.Reveal()), schema)
	if err != nil {
		return nil, fmt.Errorf("opening the key manager: %w", err)
	}
	service, err := assemble(ctx, cfg, db, ring, services)
	if err != nil {
		return nil, fmt.Errorf("opening the key manager: %w", errors.Join(err, db.Close()))
	}
	return service, nil
}

func assemble(
	ctx context.Context, cfg Config, db *database.DB, ring *secret.Keyring, services *secret.ServiceTokens,
) (*Service, error) {
	records, err := openRecords(ctx, cfg, db, ring)
	if err != nil {
		return nil, err
	}
	feed := revision.NewFeed(records)
	barrier := revision.NewBarrier(records, cfg.leaseTTL(), cfg.clock(), feed, cfg.propagations())
	founder := deployment.NewFounder(records, ring)
	origins, err := cfg.origins()
	proxies, proxiesErr := cfg.proxies()
	guard, options, hooksErr := cfg.hookOptions()
	if err := errors.Join(err, proxiesErr, hooksErr); err != nil {
		return nil, err
	}
	seen := cfg.newAuditMetrics()
	denials := audit.NewDenials(cfg.clock(), seen.denied)
	parts := httpapi.Parts{
		Origins:    origins,
		Proxies:    proxies,
		Contexts:   tenant.NewRegistry(records, barrier, cfg.clock()),
		Purges:     tenant.NewPurger(records),
		Jobs:       tenant.NewJobs(records),
		Principals: principal.NewRegistry(records, barrier),
		Keys:       key.NewRegistry(records, ring, barrier),
		Imports:    key.NewImporter(records, ring, barrier),
		Judge:      key.NewJudge(records, ring),
		Uses:       key.NewUses(records),
		Leaks:      key.NewLeaks(records, ring, barrier),
		Hooks:      hook.NewRegistry(records, ring, guard),
		Errands:    errand.NewDesk(records, ring, barrier, cfg.AuthenticationOff),
		Accounts:   serviceaccount.NewFounder(records, ring, barrier, cfg.AuthenticationOff),
		Leases:     revision.NewLeases(records, cfg.leaseTTL(), barrier),
		Feed:       feed,
		Founder:    founder,
		Services:   services,
		Audit:      records,
		Denials:    denials,
		Log:        cfg.log(),
		Tracing:    cfg.Tracing,
	}
	if cfg.Metrics != nil { // a nil *Registry in the interface would not be nil
		parts.Metrics = cfg.Metrics
		cfg.Metrics.MustRegister(append(db.Collectors("control"), waits(barrier)...)...)
	}
	handler, err := httpapi.New(parts)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	service := &Service{db: db, handler: handler, founder: founder, accounts: parts.Accounts, stop: stop}
	courier := hook.NewCourier(records, ring, guard, options, cfg.clock(), cfg.hookMetrics(), cfg.log())
	service.deliver = func() { service.feeding.Go(func() { courier.Run(ctx) }) }
	service.feeding.Go(func() { feed.Run(ctx) })
	for _, work := range besides(cfg, records, parts, seen) {
		service.feeding.Go(func() { work(ctx) })
	}
	return service, nil
}

// openRecords returns the store of db, once that and cfg agree.
func openRecords(ctx context.Context, cfg Config, db *database.DB, ring *secret.Keyring) (*store.Store, error) {
	if err := requireMigrated(ctx, db); err != nil {
		return nil, err
	}
	if cfg.Tracing != nil {
		db.Trace()
	}
	records := store.New(db, cfg.clock())
	if err := retirePeppers(ctx, cfg, records, ring); err != nil {
		return nil, err
	}
	return records, allowLeases(ctx, cfg, records)
}

// besides is what a key manager does beside answering: it seals the audit log and publishes its head, and seals keys anew.
func besides(cfg Config, records *store.Store, parts httpapi.Parts, seen *auditMetrics) []func(context.Context) {
	work := []func(context.Context){
		audit.NewSealer(records, parts.Denials, cfg.log(), seen.watch()).Run,
		func(ctx context.Context) {
			parts.Judge.SealAnew(ctx, records, func(err error) {
				cfg.log().WarnContext(ctx, "keys could not be sealed under the current pepper", slog.Any("error", err))
			})
		},
	}
	if cfg.AuditHeadURL != "" {
		work = append(work, audit.NewPublisher(records, cfg.AuditHeadURL.Reveal(), cfg.AuditHeadInterval, cfg.log(), seen.pushed).Run)
	}
	return work
}

// allowLeases settles how long leases may be.
func allowLeases(ctx context.Context, cfg Config, records *store.Store) error {
	longest, err := records.AllowLeases(ctx, cfg.leaseTTL())
	if err != nil {
		return err
	}
	if longest > cfg.leaseTTL() {
		cfg.log().WarnContext(ctx, "longer leases were granted before; after a crash of the database changes wait for those",
			slog.Duration("lease_ttl", cfg.leaseTTL()), slog.Duration("longest", longest))
	}
	return nil
}

// retirePeppers refuses to serve without a pepper that keys or the secrets of webhooks are sealed under, unless that was given up: then no
// verifier remembers such a key any more.
func retirePeppers(ctx context.Context, cfg Config, records *store.Store, ring *secret.Keyring) error {
	keys, hooks, err := records.SealedWithout(ctx, ring.Versions())
	if err != nil {
		return err
	}
	for _, version := range slices.Sorted(maps.Keys(keys)) {
		if !cfg.retired(version) {
			return key.StillSealed(version, keys[version])
		}
	}
	for _, version := range slices.Sorted(maps.Keys(hooks)) {
		if !cfg.retired(version) {
			return hook.StillSealed(version, hooks[version])
		}
	}
	return records.RetirePeppers(ctx, ring.Versions())
}

// planOnce makes Postgres plan each statement once per connection, and by index, unless connection says otherwise. Every statement
// here finds rows by an index, whatever its parameters, and looking a key up takes less time than planning to. A plan is made when a
// connection first needs it, perhaps while the tables are empty, and stays until their statistics are gathered: one that reads
// them from end to end, or joins them by hashing, would be kept while they grow.
func planOnce(connection string) string {
	u, err := url.Parse(connection)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return connection
	}
	query := u.Query()
	for setting, value := range map[string]string{
		"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	} {
		if !query.Has(setting) {
			query.Set(setting, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
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

// Migrations returns the schema of the key manager, for whoever migrates.
func Migrations(engine database.Engine) (database.Migrations, error) {
	files, err := migrations.Control(engine.String())
	if err != nil {
		return database.Migrations{}, err
	}
	return database.Migrations{FS: files, Schema: schema, Table: store.MigrationTable}, nil
}

// Handler serves both APIs.
func (s *Service) Handler() http.Handler { return s.handler }

// Ready reports whether the key manager can do its work.
func (s *Service) Ready(ctx context.Context) error { return s.db.Ping(ctx) }

// Bootstrap creates the first context and the first keys. The same enrolment again succeeds again. Errors:
// fault.AlreadyDone, fault.Unprocessable, fault.Unavailable.
func (s *Service) Bootstrap(ctx context.Context, enrolment introspection.Enrolment) error {
	return s.founder.Bootstrap(ctx, enrolment)
}

// ReplaceManagementKey makes a key the only management key. Errors: fault.Conflict before a bootstrap, fault.Unprocessable,
// fault.Unavailable.
func (s *Service) ReplaceManagementKey(ctx context.Context, enrolled introspection.EnrolledKey) error {
	return s.founder.ReplaceManagement(ctx, enrolled)
}

// EnsureContext makes the context if it is missing, without any key, and a deployment for it if there is none: a bootstrap may still
// come, and finds the context there. Errors: fault.Unprocessable, fault.Unavailable.
func (s *Service) EnsureContext(ctx context.Context, id string) error {
	return s.founder.Prepare(ctx, id)
}

// Standing tells how a context stands with its service accounts. Errors: fault.NotFound, fault.Unprocessable, fault.Unavailable.
func (s *Service) Standing(ctx context.Context, contextID string) (introspection.Standing, error) {
	return s.accounts.Standing(ctx, contextID)
}

// MayAct reports whether an active service account of a context may claim to be actor. Errors: fault.Unavailable.
func (s *Service) MayAct(ctx context.Context, contextID, actor string) (bool, error) {
	return s.accounts.MayAct(ctx, contextID, actor)
}

// EnrolChosen makes the service account that a token opens whose secret somebody has chosen. It has the scope admin and may claim to
// be any of actors. Where the context has had a service account, nothing happens. Errors: fault.Invalid, fault.NotFound,
// fault.Unavailable.
func (s *Service) EnrolChosen(ctx context.Context, contextID string, token apikey.Token, actors []string) error {
	return s.accounts.EnrolChosen(ctx, contextID, token, actors)
}

// Deliver begins to deliver webhooks. It ends with Close, which waits a little for the attempts under way. Call it once.
func (s *Service) Deliver() { s.deliver() }

// Close closes the database. Call it when no request is being served any more.
func (s *Service) Close() error {
	s.stop()
	s.feeding.Wait()
	return s.db.Close()
}

// Run serves a key manager until ctx ends and the requests in flight are done.
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
	service.Deliver()
	parts := []func(context.Context) error{}
	for _, l := range []struct {
		name, address string
		handler       http.Handler
	}{
		{"management", cfg.BindAddress, service.Handler()},
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
