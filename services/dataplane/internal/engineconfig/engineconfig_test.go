package engineconfig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
)

const (
	space = "default-1"
	ada   = "did:sync:user:ada"
	bob   = "did:sync:user:bob"
)

// thread is the records on the thread, in memory.
type thread struct {
	mu      sync.Mutex // guards the following fields
	entries []engineconfig.Entry
	reads   int
	broken  error
	life    int // part of every cursor, so that those of another life mean nothing
}

func (t *thread) Learn(_ context.Context, _, actor string, body json.RawMessage) (engineconfig.Entry, error) {
	return t.add(engineconfig.Entry{Actor: actor, Act: "LEARN", Body: body})
}

func (t *thread) add(entry engineconfig.Entry) (engineconfig.Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry.ID = "record-" + strconv.Itoa(t.life) + "-" + strconv.Itoa(len(t.entries)+1)
	t.entries = append(t.entries, entry)
	return entry, t.broken
}

func (t *thread) After(_ context.Context, _, cursor string) ([]engineconfig.Entry, string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if t.broken != nil {
		return nil, "", t.broken
	}
	read := 0
	if life, place, ok := strings.Cut(cursor, "/"); ok {
		read, _ = strconv.Atoi(place)
		if life != strconv.Itoa(t.life) || read > len(t.entries) {
			return nil, "", fault.New(fault.Invalid, "this cursor is of another life")
		}
	}
	end := min(read+3, len(t.entries)) // less than there is
	return t.entries[read:end:end], strconv.Itoa(t.life) + "/" + strconv.Itoa(end), nil
}

func (t *thread) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex // guards the following field
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is a service on a thread in memory.
type bench struct {
	*engineconfig.Service
	thread *thread
	clock  *clock
	log    *bytes.Buffer
}

func newBench(change ...func(*engineconfig.Options)) *bench {
	b := &bench{thread: &thread{}, clock: &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, log: &bytes.Buffer{}}
	b.Service = engineconfig.New(b.options(change...))
	return b
}

func (b *bench) options(change ...func(*engineconfig.Options)) engineconfig.Options {
	options := engineconfig.Options{
		Log: b.thread, Now: b.clock.now, Namespace: "default", Version: "1.2.3",
		TraceID: func(context.Context) string { return "trace-1" },
		Logger:  slog.New(slog.NewJSONHandler(b.log, nil)),
	}
	for _, each := range change {
		each(&options)
	}
	return options
}

// rule is a permission rule that holds.
func rule(name string, priority int32, action engineconfig.Action, expression string) engineconfig.Rule {
	return engineconfig.Rule{
		Kind: engineconfig.PermissionRules, Name: name, Enabled: true, Priority: priority, Action: action, Expression: expression,
	}
}

func (b *bench) set(t *testing.T, rules ...engineconfig.Rule) {
	t.Helper()
	for _, each := range rules {
		if _, err := b.Set(t.Context(), space, ada, each); err != nil {
			t.Fatalf("%s: %v", each.Name, err)
		}
	}
}

func (b *bench) enable(t *testing.T) {
	t.Helper()
	// By itself, so that rules may be tried that keep everybody out.
	if _, err := b.thread.Learn(t.Context(), space, ada, json.RawMessage(`{"topic":"permissions_enabled","enabled":true}`)); err != nil {
		t.Fatal(err)
	}
	b.Changed(space)
}

func (b *bench) allows(t *testing.T, ask engineconfig.Ask) bool {
	t.Helper()
	ask.Space = space
	err := b.Allow(t.Context(), ask)
	if err != nil && codeOf(err) != engineconfig.CodePermissionDenied {
		t.Fatalf("%v: %v", ask, err)
	}
	return err == nil
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Code
	}
	return ""
}

func (b *bench) list(t *testing.T, kind engineconfig.Kind) []engineconfig.Rule {
	t.Helper()
	config, err := b.Current(t.Context(), space)
	if err != nil {
		t.Fatal(err)
	}
	return config.List(kind)
}

func TestARuleIsSetChangedAndRemovedByItsName(t *testing.T) {
	t.Parallel()
	b := newBench()
	first := engineconfig.Rule{Kind: engineconfig.HealthChecks, Name: "disk", Enabled: true, Body: map[string]any{"over": 90.5, "of": "/var"}}
	b.set(t, first)
	second := first
	second.Priority, second.Enabled = 7, false
	made, err := b.Set(t.Context(), space, bob, second)
	if err != nil || made.SetBy != bob || made.RecordID != "record-0-2" {
		t.Fatalf("%+v, %v", made, err)
	}
	second.RecordID, second.SetBy = made.RecordID, bob
	anyNumber := cmp.Comparer(func(a, b any) bool {
		left, _ := json.Marshal(a)
		right, _ := json.Marshal(b)
		return bytes.Equal(left, right)
	})
	if diff := cmp.Diff([]engineconfig.Rule{second}, b.list(t, engineconfig.HealthChecks), cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().Type() != nil && p.Last().Type().Kind().String() == "interface"
	}, anyNumber)); diff != "" {
		t.Error(diff)
	}
	if got := b.list(t, engineconfig.Rules); len(got) != 0 {
		t.Errorf("it is of the other kinds, too: %v", got)
	}

	gone := engineconfig.Rule{Kind: engineconfig.HealthChecks, Name: "disk", Removed: true}
	removed, err := b.Set(t.Context(), space, ada, gone)
	if err != nil || !removed.Removed || len(b.list(t, engineconfig.HealthChecks)) != 0 {
		t.Errorf("%+v, %v", removed, err)
	}
	if b.set(t, first); len(b.list(t, engineconfig.HealthChecks)) != 1 {
		t.Error("a rule that was removed cannot come back")
	}
}

func TestTheSameAgainWritesNothingAndAnswersTheSame(t *testing.T) {
	t.Parallel()
	b := newBench()
	steps := []engineconfig.Rule{
		rule("all", 5, engineconfig.Allow, "true"),
		{Kind: engineconfig.Rules, Name: "x", Enabled: true, Body: map[string]any{"a": []any{1.0, "<&>", nil}, "b": map[string]any{}}},
		{Kind: engineconfig.Rules, Name: "x", Removed: true},
	}
	for _, step := range steps {
		first, err := b.Set(t.Context(), space, ada, step)
		if err != nil {
			t.Fatal(err)
		}
		written := b.thread.count()
		again, err := b.Set(t.Context(), space, bob, step)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again, cmpopts.IgnoreFields(engineconfig.Rule{}, "Body")); diff != "" || b.thread.count() != written {
			t.Errorf("%s: %d records for it, %s", step.Name, b.thread.count()-written, diff)
		}
	}
	if _, err := b.Set(t.Context(), space, ada, engineconfig.Rule{Kind: engineconfig.FoldRules, Name: "never", Removed: true}); !errors.Is(err, fault.NotFound) {
		t.Errorf("what never was is removed: %v", err)
	}
}

func TestThereIsACeilingOfRules(t *testing.T) {
	t.Parallel()
	b := newBench()
	for i := range 256 {
		b.set(t, engineconfig.Rule{Kind: engineconfig.FoldRules, Name: strconv.Itoa(i), Enabled: true})
	}
	one := engineconfig.Rule{Kind: engineconfig.FoldRules, Name: "more", Enabled: true}
	if _, err := b.Set(t.Context(), space, ada, one); !errors.Is(err, fault.Conflict) {
		t.Errorf("one more: %v", err)
	}
	body := json.RawMessage(`{"topic":"rule","kind":"fold-rules","name":"more"}`)
	if err := b.admit(t, body); !errors.Is(err, fault.Conflict) {
		t.Errorf("one more as a record: %v", err)
	}
	b.set(t, engineconfig.Rule{Kind: engineconfig.FoldRules, Name: "7", Enabled: false}) // another one instead
	b.set(t, engineconfig.Rule{Kind: engineconfig.FoldRules, Name: "7", Removed: true}, one)
}

func (b *bench) admit(t *testing.T, body json.RawMessage) error {
	t.Helper()
	return b.Admit(t.Context(), holder(grant.OfScopes(grant.ConfigWrite)), space, engineconfig.Entry{Actor: ada, Act: "LEARN", Body: body})
}

type holder grant.Map

func (h holder) Authority() grant.Map { return grant.Map(h) }

func TestWhatIsWrongWithARuleIsSaid(t *testing.T) {
	t.Parallel()
	permission := func(change func(*engineconfig.Rule)) engineconfig.Rule {
		r := rule("r", 0, engineconfig.Allow, "true")
		change(&r)
		return r
	}
	for wants, bad := range map[string]engineconfig.Rule{
		"name: is required":                permission(func(r *engineconfig.Rule) { r.Name = "  " }),
		"name: may have at most":           permission(func(r *engineconfig.Rule) { r.Name = strings.Repeat("é", 129) }),
		"name: may have only":              permission(func(r *engineconfig.Rule) { r.Name = "a\nb" }),
		"priority: must be from":           permission(func(r *engineconfig.Rule) { r.Priority = 1_000_001 }),
		"action: must be allow":            permission(func(r *engineconfig.Rule) { r.Action = "maybe" }),
		"expression: is required":          permission(func(r *engineconfig.Rule) { r.Expression = " " }),
		"expression: may have":             permission(func(r *engineconfig.Rule) { r.Expression = strings.Repeat(" ", 4096) + "true" }),
		"expression: line 2, column 3: un": permission(func(r *engineconfig.Rule) { r.Expression = "true &&\n  nothing" }),
		"expression: line 1, column 8: Sy": permission(func(r *engineconfig.Rule) { r.Expression = "true &&" }),
		"expression: must be true or fals": permission(func(r *engineconfig.Rule) { r.Expression = "record.body" }),
		"only permission rules":            {Kind: engineconfig.Rules, Name: "r", Expression: "true"},
		"body: may have at most":           {Kind: engineconfig.Rules, Name: "r", Body: map[string]any{"x": strings.Repeat("x", 17<<10)}},
	} {
		b := newBench()
		_, err := b.Set(t.Context(), space, ada, bad)
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Invalid || !strings.HasPrefix(e.Message, wants) {
			t.Errorf("want %q, got %v", wants, err)
		}
		if b.thread.count() != 0 {
			t.Errorf("%s: it was written down", wants)
		}
	}
}

func TestKindsAreAClosedSetOfFive(t *testing.T) {
	t.Parallel()
	for _, kind := range engineconfig.Kinds() {
		if got, err := engineconfig.ParseKind(string(kind)); err != nil || got != kind {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, err := engineconfig.ParseKind("Rules")
	if !errors.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	for _, kind := range []string{"rules", "permission-rules", "fold-rules", "health-checks", "decision-policies"} {
		if !strings.Contains(err.Error(), kind) {
			t.Errorf("the refusal does not name %s", kind)
		}
	}
}
