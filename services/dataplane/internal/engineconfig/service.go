package engineconfig

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// maxAge is how old what is remembered of a configuration may be when it decides: how long another replica's change
	// takes to be heeded here. One that is made here is heeded by the next request.
	maxAge = time.Second
	// maxSpaces is how many configurations are remembered. A server has one, and another one each time its context is made anew.
	maxSpaces = 16
)

// Options is what a Service is made of.
type Options struct {
	Log Log
	Now func() time.Time
	// Namespace and Version are what rules know the server as.
	Namespace, Version string
	// Space tells which space the server is of, for requests whose caller is not known.
	Space func(context.Context) (string, error)
	// AuthenticationOff skips the permission rules.
	AuthenticationOff bool
	// TraceID tells the trace of a request, for the log; Logger receives what was denied.
	TraceID func(context.Context) string
	Logger  *slog.Logger
}

// Service keeps the configuration. It is safe for concurrent use.
type Service struct {
	Options

	mu     sync.Mutex // guards the following field
	spaces map[string]*memory

	known  atomic.Pointer[home] // nil before the first
	asking atomic.Bool          // somebody asks for the next
}

// memory is what is remembered of one configuration.
type memory struct {
	// changes counts those that were made here.
	changes atomic.Int64
	latest  atomic.Pointer[reading] // nil before the first
	// turn is held by the one that reads; a channel, because whoever waits for it may give up.
	turn chan struct{}
}

// reading is what was read of a configuration: up to cursor, beginning at a moment when it had been changed that often.
type reading struct {
	config  *Config
	cursor  string
	at      time.Time
	changes int64
}

// fresh returns the configuration if it may be decided by.
func (m *memory) fresh(now time.Time) (*Config, bool) {
	known := m.latest.Load()
	if known == nil || now.Sub(known.at) >= maxAge || known.changes != m.changes.Load() {
		return nil, false
	}
	return known.config, true
}

// New returns a Service.
func New(options Options) *Service {
	return &Service{Options: options, spaces: map[string]*memory{}}
}

// AuthRequired reports whether requests must authenticate.
func (s *Service) AuthRequired() bool { return !s.AuthenticationOff }

func (s *Service) memory(space string) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.spaces[space]
	if m == nil {
		if len(s.spaces) >= maxSpaces {
			clear(s.spaces)
		}
		m = &memory{turn: make(chan struct{}, 1)}
		s.spaces[space] = m
	}
	return m
}

// Current returns the configuration: every change that was answered for here, and those of other replicas that are older than a
// second.
func (s *Service) Current(ctx context.Context, space string) (*Config, error) {
	m := s.memory(space)
	if config, ok := m.fresh(s.Now()); ok {
		return config, nil
	}
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if config, ok := m.fresh(s.Now()); ok {
		return config, nil // somebody else has read it meanwhile
	}
	known := m.latest.Load()
	if known == nil {
		known = &reading{}
	}
	// Both before reading: what happens during it is for the next.
	next := &reading{at: s.Now(), changes: m.changes.Load()}
	var err error
	if next.config, next.cursor, err = s.read(ctx, space, known); err != nil {
		return nil, err
	}
	m.latest.Store(next)
	return next.config, nil
}

// read returns the configuration after all that has come to the thread, and the cursor behind it.
func (s *Service) read(ctx context.Context, space string, known *reading) (*Config, string, error) {
	config, cursor := known.config, known.cursor
	var news []Entry
	for {
		entries, next, err := s.Log.After(ctx, space, cursor)
		if errors.Is(err, fault.Invalid) && cursor != "" {
			// The store was set back to a copy: what is remembered may never have been.
			config, cursor, news = nil, "", nil
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if cursor = next; len(entries) == 0 {
			break
		}
		news = append(news, entries...)
	}
	if config == nil {
		config = &Config{}
	} else if len(news) == 0 {
		return config, cursor, nil
	}
	return config.fold(news, func(entry Entry, err error) {
		s.Logger.WarnContext(ctx, "a record of the configuration cannot be followed",
			slog.String("record_id", entry.ID), slog.String("actor", entry.Actor), slog.String("error", err.Error()))
	}), cursor, nil
}

// Changed makes what was written to the thread here hold from the next request on. Whoever has written calls it before it answers.
func (s *Service) Changed(space string) { s.memory(space).changes.Add(1) }

// Set makes rule hold, as actor, and returns it with the record that says so. Where it holds already nothing is written.
func (s *Service) Set(ctx context.Context, space, actor string, rule Rule) (Rule, error) {
	if err := rule.validate(); err != nil {
		return Rule{}, err
	}
	current, err := s.Current(ctx, space)
	if err != nil {
		return Rule{}, err
	}
	known, found := current.rules[rule.Kind][rule.Name]
	if rule.Removed && !found {
		return Rule{}, fault.New(fault.NotFound, "there is no rule of this name among the %s", rule.Kind)
	}
	if found && known.same(rule) {
		return known, nil
	}
	if err := current.room(rule); err != nil {
		return Rule{}, err
	}
	entry, err := s.Log.Learn(ctx, space, actor, rule.encode())
	s.Changed(space)
	if err != nil {
		return Rule{}, err
	}
	rule.RecordID, rule.SetBy = entry.ID, entry.Actor
	return rule, nil
}

// room refuses a rule for which there is none.
func (c *Config) room(rule Rule) error {
	known, found := c.rules[rule.Kind][rule.Name]
	if rule.Removed || (found && !known.Removed) || c.Count(rule.Kind) < maxRules {
		return nil
	}
	return fault.New(fault.Conflict, "there are %d %s, and no more may be: remove one first", maxRules, rule.Kind)
}

// Switch turns the permission rules on or off, as actor, and returns the configuration after it. They are not turned on while they
// would keep actor from what it takes to see what they do.
func (s *Service) Switch(ctx context.Context, space, actor string, on bool) (*Config, error) {
	current, err := s.Current(ctx, space)
	if err != nil || current.PermissionsEnabled == on {
		return current, err
	}
	if on {
		if err := s.preflight(ctx, current, actor); err != nil {
			return nil, err
		}
	}
	_, err = s.Log.Learn(ctx, space, actor, marshal(change{Topic: aboutPermissions, Enabled: &on}))
	s.Changed(space)
	if err != nil {
		return nil, err
	}
	return s.Current(ctx, space)
}

// preflight refuses to turn the permission rules on while they would deny actor one of three things.
func (s *Service) preflight(ctx context.Context, current *Config, actor string) error {
	var lost []string
	for _, resource := range []Resource{RecordWrite, ThreadRead, ConfigRead} {
		ask := Ask{Actor: actor, Resource: resource}
		if resource == RecordWrite {
			ask.Record = map[string]any{"thread": "th_permissions_preflight", "actor": actor, "act": "KNOW", "clock": 0}
		}
		made := current.decide(ctx, ask, s.system(), s.Now())
		switch {
		case made.allowed:
		case made.err != nil:
			lost = append(lost, string(resource)+" (the rule "+made.rule+" cannot be evaluated)")
		case made.rule == "":
			lost = append(lost, string(resource)+" (no rule allows it)")
		default:
			lost = append(lost, string(resource)+" (by the rule "+made.rule+")")
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Conflict, Code: CodePermissionsLockout,
		Message: "the permission rules would deny " + actor + " " + strings.Join(lost, ", ") + "; add a rule that allows it first",
	}
}

// system is what rules may know of the server.
func (s *Service) system() map[string]any {
	return map[string]any{"version": s.Version, "namespace": s.Namespace, "auth_required": s.AuthRequired()}
}

// Allow decides on a request by the permission rules, if they are on: nil, or fault.Forbidden. Who adds a record to the thread changes the
// configuration, so that is asked about by [Service.Admit], too.
func (s *Service) Allow(ctx context.Context, ask Ask) error {
	if s.AuthenticationOff {
		return nil
	}
	current, err := s.Current(ctx, ask.Space)
	if err != nil || !current.PermissionsEnabled {
		return err
	}
	made := current.decide(ctx, ask, s.system(), s.Now())
	if made.allowed {
		return nil
	}
	attrs := []slog.Attr{
		slog.String("actor", ask.Actor), slog.String("resource", string(ask.Resource)), slog.String("rule", made.rule),
		slog.String("trace_id", s.TraceID(ctx)),
	}
	if made.err != nil {
		attrs = append(attrs, slog.String("error", made.err.Error()))
	}
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "PERMISSION DENIED", attrs...)
	return &fault.Error{
		Kind: fault.Forbidden, Code: CodePermissionDenied, Message: "the permission rules deny " + string(ask.Resource) + " to " + ask.Actor,
	}
}
