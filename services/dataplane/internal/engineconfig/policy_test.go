package engineconfig_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
)

func TestDecisions(t *testing.T) {
	t.Parallel()
	const allow, deny = engineconfig.Allow, engineconfig.Deny
	write := engineconfig.Ask{Actor: ada, Resource: engineconfig.RecordWrite, Record: map[string]any{
		"thread": "th_a", "actor": ada, "act": "KNOW", "clock": 3.0, "body": map[string]any{"kind": "note", "n": 2.5, "tags": []any{"x", "y"}},
	}}
	read := engineconfig.Ask{Actor: ada, Resource: engineconfig.ThreadRead}
	for name, c := range map[string]struct {
		rules  []engineconfig.Rule
		ask    engineconfig.Ask
		denied bool
	}{
		"no rule denies":                       {nil, read, true},
		"no match denies":                      {[]engineconfig.Rule{rule("a", 1, allow, `current_actor() == "did:other"`)}, read, true},
		"the actor":                            {[]engineconfig.Rule{rule("a", 1, allow, `current_actor() == "did:sync:user:ada"`)}, read, false},
		"the resource":                         {[]engineconfig.Rule{rule("a", 1, allow, `resource == "thread_read"`)}, read, false},
		"another resource":                     {[]engineconfig.Rule{rule("a", 1, allow, `resource == "thread_read"`)}, write, true},
		"higher priority first":                {[]engineconfig.Rule{rule("a", 1, allow, "true"), rule("b", 2, deny, "true")}, read, true},
		"lower priority later":                 {[]engineconfig.Rule{rule("a", 3, allow, "true"), rule("b", 2, deny, "true")}, read, false},
		"negative priorities":                  {[]engineconfig.Rule{rule("a", -1, allow, "true"), rule("b", -2, deny, "true")}, read, false},
		"by name where they are equal":         {[]engineconfig.Rule{rule("b", 1, deny, "true"), rule("a", 1, allow, "true")}, read, false},
		"what is not true is passed over":      {[]engineconfig.Rule{rule("a", 9, deny, "false"), rule("b", 1, allow, "true")}, read, false},
		"an error denies":                      {[]engineconfig.Rule{rule("a", 9, allow, "record.nothing == 1"), rule("b", 1, allow, "true")}, read, true},
		"an error behind the first match":      {[]engineconfig.Rule{rule("a", 1, deny, "record.nothing == 1"), rule("b", 9, allow, "true")}, read, false},
		"no record":                            {[]engineconfig.Rule{rule("a", 1, allow, "size(record) == 0 && !has(record.thread)")}, read, false},
		"the record's thread":                  {[]engineconfig.Rule{rule("a", 1, allow, `record.thread == "th_a"`)}, write, false},
		"a field of its body":                  {[]engineconfig.Rule{rule("a", 1, allow, `record.body.kind == "note" && "x" in record.body.tags`)}, write, false},
		"its numbers":                          {[]engineconfig.Rule{rule("a", 1, allow, `record.clock == 3 && record.clock % 2 == 1 && record.body.n > 2`)}, write, false},
		"what a record leaves out":             {[]engineconfig.Rule{rule("a", 1, allow, `record.data_type == "SCALAR" && size(record.parents) == 0`)}, write, false},
		"the system":                           {[]engineconfig.Rule{rule("a", 1, allow, `system.version == "1.2.3" && system.namespace == "default" && system.auth_required`)}, read, false},
		"now":                                  {[]engineconfig.Rule{rule("a", 1, allow, `now() < timestamp("2030-01-02T03:04:06Z") && now().getFullYear() == 2030`)}, read, false},
		"later":                                {[]engineconfig.Rule{rule("a", 1, allow, `now() > timestamp("2030-01-02T03:04:06Z")`)}, read, true},
		"one that takes too much":              {[]engineconfig.Rule{rule("a", 9, deny, endless), rule("b", 1, allow, "true")}, read, true},
		"a cheap condition before a dear one":  {[]engineconfig.Rule{rule("a", 9, deny, `resource == "config_read" && `+endless), rule("b", 1, allow, "true")}, read, false},
		"what is disabled is not asked":        {[]engineconfig.Rule{off(rule("a", 9, deny, "true")), rule("b", 1, allow, "true")}, read, false},
		"nor does it allow":                    {[]engineconfig.Rule{off(rule("a", 9, allow, "true"))}, read, true},
		"actors are texts and nothing else":    {[]engineconfig.Rule{rule("a", 9, allow, `current_actor() == "*"`)}, read, true},
		"what has no conversion denies":        {[]engineconfig.Rule{rule("a", 9, deny, `int(record.body.kind) == 1`), rule("b", 1, allow, "true")}, write, true},
		"other kinds of rules decide nothing":  {[]engineconfig.Rule{{Kind: engineconfig.Rules, Name: "a", Enabled: true}, rule("b", 1, allow, "true")}, read, false},
		"the latest of a name is what it says": {[]engineconfig.Rule{rule("a", 1, allow, "true"), rule("a", 1, deny, "true")}, read, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			b.set(t, c.rules...)
			if !b.allows(t, c.ask) {
				t.Error("denied while the rules are off")
			}
			b.enable(t)
			if got := !b.allows(t, c.ask); got != c.denied {
				t.Errorf("denied: %t", got)
			}
		})
	}
}

// endless takes a million rounds.
var endless = func() string {
	list, all := "[0,1,2,3,4,5,6,7,8,9]", "true"
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		all = list + ".all(" + name + ", " + all + ")"
	}
	return all
}()

func off(r engineconfig.Rule) engineconfig.Rule {
	r.Enabled = false
	return r
}

func TestDecisionsAreThoseOfANaiveReading(t *testing.T) {
	t.Parallel()
	// What each expression says of an ask: true, false, or nothing.
	expressions := map[string]func(engineconfig.Ask) (bool, bool){
		"true":                            func(engineconfig.Ask) (bool, bool) { return true, true },
		"false":                           func(engineconfig.Ask) (bool, bool) { return false, true },
		"1 / 0 == 1":                      func(engineconfig.Ask) (bool, bool) { return false, false },
		`current_actor().endsWith("bob")`: func(a engineconfig.Ask) (bool, bool) { return strings.HasSuffix(a.Actor, "bob"), true },
		`resource.startsWith("record_")`:  func(a engineconfig.Ask) (bool, bool) { return strings.HasPrefix(string(a.Resource), "record_"), true },
		`record.thread == "th_x"`:         func(a engineconfig.Ask) (bool, bool) { return a.Record["thread"] == "th_x", a.Record != nil },
		`has(record.thread)`:              func(a engineconfig.Ask) (bool, bool) { return a.Record != nil, true },
	}
	var known []string
	for expression := range expressions {
		known = append(known, expression)
	}
	slices.Sort(known)
	rapid.Check(t, func(t *rapid.T) {
		b, rules := newBench(), map[string]engineconfig.Rule{}
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			r := rule(rapid.StringMatching(`[a-f]`).Draw(t, "name"), rapid.Int32Range(-2, 2).Draw(t, "priority"),
				rapid.SampledFrom([]engineconfig.Action{engineconfig.Allow, engineconfig.Deny}).Draw(t, "action"), rapid.SampledFrom(known).Draw(t, "expression"))
			r.Enabled = rapid.IntRange(0, 4).Draw(t, "enabled") > 0
			if _, exists := rules[r.Name]; exists && rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				r = engineconfig.Rule{Kind: engineconfig.PermissionRules, Name: r.Name, Removed: true}
				delete(rules, r.Name)
			} else {
				rules[r.Name] = r
			}
			if _, err := b.Set(t.Context(), space, ada, r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.thread.Learn(t.Context(), space, ada, []byte(`{"topic":"permissions_enabled","enabled":true}`)); err != nil {
			t.Fatal(err)
		}
		b.Changed(space)
		ask := engineconfig.Ask{
			Space: space, Actor: rapid.SampledFrom([]string{ada, bob}).Draw(t, "actor"),
			Resource: rapid.SampledFrom([]engineconfig.Resource{engineconfig.RecordWrite, engineconfig.RecordRead, engineconfig.ConfigRead}).Draw(t, "resource"),
		}
		if ask.Resource == engineconfig.RecordWrite {
			ask.Record = map[string]any{"thread": rapid.SampledFrom([]string{"th_x", "th_y"}).Draw(t, "thread")}
		}
		want := naive(rules, expressions, ask)
		if got := b.Allow(t.Context(), ask) == nil; got != want {
			t.Fatalf("allowed: %t, want %t", got, want)
		}
	})
}

func naive(rules map[string]engineconfig.Rule, says map[string]func(engineconfig.Ask) (bool, bool), ask engineconfig.Ask) bool {
	var inOrder []engineconfig.Rule
	for _, r := range rules {
		inOrder = append(inOrder, r)
	}
	slices.SortFunc(inOrder, func(a, b engineconfig.Rule) int {
		return cmp.Or(-cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	for _, r := range inOrder {
		if !r.Enabled {
			continue
		}
		holds, answers := says[r.Expression](ask)
		if !answers {
			return false
		}
		if holds {
			return r.Action == engineconfig.Allow
		}
	}
	return false
}

func TestADenialIsLoggedWithoutTheRecord(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.set(t, rule("convert", 1, engineconfig.Deny, "record.body[record.body.text] == 1"))
	b.enable(t)
	b.allows(t, engineconfig.Ask{Actor: ada, Resource: engineconfig.RecordWrite, Record: map[string]any{
		"thread": "th_a", "body": map[string]any{"text": "very private"},
	}})
	logged := b.log.String()
	for _, want := range []string{
		`"level":"WARN"`, `"msg":"PERMISSION DENIED"`, `"actor":"did:sync:user:ada"`, `"resource":"record_write"`, `"rule":"convert"`, `"trace_id":"trace-1"`, `"error":"`,
	} {
		if !strings.Contains(logged, want) {
			t.Errorf("no %s in %s", want, logged)
		}
	}
	if strings.Contains(logged, "private") {
		t.Errorf("the body is in the log: %s", logged)
	}
}

func TestWhatNoClockInterruptsHasItsCost(t *testing.T) {
	t.Parallel()
	b := newBench()
	match := `record.body.text.matches("(x+x+)+y")`
	b.set(t, rule("search", 9, engineconfig.Deny, match+strings.Repeat(" || "+match, 9)), rule("all", 1, engineconfig.Allow, "true"))
	b.enable(t)
	ask := engineconfig.Ask{Actor: ada, Resource: engineconfig.RecordWrite, Record: map[string]any{
		"body": map[string]any{"text": strings.Repeat("x", 256<<10)},
	}}
	if b.allows(t, ask) || !strings.Contains(b.log.String(), "costs too much") {
		t.Errorf("it was evaluated to its end: %s", b.log)
	}
}

func TestADecisionEnds(t *testing.T) {
	t.Parallel()
	b := newBench()
	for i := range 200 {
		b.set(t, rule(string(rune('a'+i%26))+strings.Repeat("x", i/26), 1, engineconfig.Allow, endless+" && false"))
	}
	b.enable(t)
	began := time.Now()
	if b.allows(t, engineconfig.Ask{Actor: ada, Resource: engineconfig.ConfigRead}) {
		t.Error("allowed")
	}
	// Generous: this machine may be busy. Two hundred of them would take much longer.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestWhileAuthenticationIsOffTheRulesAreSkipped(t *testing.T) {
	t.Parallel()
	b := newBench(func(o *engineconfig.Options) { o.AuthenticationOff = true })
	b.set(t, rule("none", 1, engineconfig.Deny, "true"))
	b.enable(t)
	if !b.allows(t, engineconfig.Ask{Actor: ada, Resource: engineconfig.ConfigWrite}) {
		t.Error("denied")
	}
	if b.AuthRequired() {
		t.Error("it claims that authentication is required")
	}
}
