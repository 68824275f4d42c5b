package engineconfig_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
)

func TestEnablingIsRefusedWhileItWouldLockTheCallerOut(t *testing.T) {
	t.Parallel()
	b := newBench()
	refused := func(actor string, naming ...string) {
		t.Helper()
		_, err := b.Switch(t.Context(), space, actor, true)
		if codeOf(err) != engineconfig.CodePermissionsLockout || !errors.Is(err, fault.Conflict) {
			t.Fatalf("enabled: %v", err)
		}
		for _, each := range naming {
			if !strings.Contains(err.Error(), each) {
				t.Errorf("%v does not name %q", err, each)
			}
		}
		if other := b.admit(t, []byte(`{"topic":"permissions_enabled","enabled":true}`)); actor == ada && codeOf(other) != engineconfig.CodePermissionsLockout {
			t.Errorf("a record enables them: %v", other)
		}
	}
	refused(ada, "record_write (no rule allows it)", "thread_read (no rule allows it)", "config_read (no rule allows it)")
	b.set(t, rule("ada", 1, engineconfig.Allow, `current_actor() == "did:sync:user:ada"`), rule("no threads", 2, engineconfig.Deny, `resource == "thread_read"`))
	refused(ada, "thread_read (by the rule no threads)")
	b.set(t, rule("no threads", 2, engineconfig.Deny, `resource == "thread_read" && record.thread == "x"`))
	refused(ada, "thread_read (the rule no threads cannot be evaluated)")
	b.set(t, rule("no threads", 2, engineconfig.Deny, `resource == "record_write" && record.thread == "th_x" && record.body.size() > 3`))
	refused(bob, "record_write (no rule")
	written := b.thread.count()

	config, err := b.Switch(t.Context(), space, ada, true)
	if err != nil || !config.PermissionsEnabled || b.thread.count() != written+1 {
		t.Fatalf("%v, %v", config, err)
	}
	if b.allows(t, engineconfig.Ask{Actor: bob, Resource: engineconfig.ThreadRead}) {
		t.Error("the rules do not hold")
	}
	// Again, even by whom they keep out.
	if config, err := b.Switch(t.Context(), space, bob, true); err != nil || !config.PermissionsEnabled || b.thread.count() != written+1 {
		t.Errorf("again: %v, %v", config, err)
	}
	if config, err := b.Switch(t.Context(), space, ada, false); err != nil || config.PermissionsEnabled {
		t.Errorf("off: %v, %v", config, err)
	}
	if !b.allows(t, engineconfig.Ask{Actor: bob, Resource: engineconfig.ThreadRead}) {
		t.Error("the rules hold still")
	}
}

func TestARecordOnTheThreadIsHeldToTheSameRules(t *testing.T) {
	t.Parallel()
	for body, wants := range map[string]string{
		`{"topic":"rule","kind":"permission-rules","name":"r","action":"deny","priority":3,"expression":"true"}`: "",
		`{"topic":"rule","kind":"rules","name":"r","body":{"any":1},"namespace":"default"}`:                      "",
		`{"topic":"rule","kind":"rules","name":"never","removed":true}`:                                          "",
		`{"topic":"permissions_enabled","enabled":false}`:                                                        "",
		`{"topic":"auth_required","enabled":true}`:                                                               "",
		`{"topic":"auth_required","enabled":false}`:                                                              "--insecure-localhost",
		`{"topic":"auth_required"}`:                                                                              "body.enabled",
		`{"topic":"auth_required","enabled":"false"}`:                                                            "enabled is of the wrong type",
		`{"topic":"permissions_enabled","enabled":null}`:                                                         "body.enabled",
		`{"topic":"permissions_enabled","enabled":false,"name":"x"}`:                                             "nothing but enabled",
		`{"topic":"Auth_Required","enabled":false}`:                                                              "body.topic",
		`{"enabled":false}`:                                          "body.topic",
		`{"topic":"rule","kind":"rule","name":"r"}`:                  "body.kind",
		`{"topic":"rule","kind":"rules"}`:                            "body.name",
		`{"topic":"rule","kind":"rules","name":"r","enabeld":false}`: `unknown field "enabeld"`,
		`{"topic":"rule","kind":"permission-rules","name":"r","action":"allow","expression":"nobody"}`:                     "body.expression: line 1, column 1",
		`{"topic":"rule","kind":"permission-rules","name":"r","action":"allow","expression":"true","priority":4000000000}`: "priority is of the wrong type",
		`{"topic":"rule","kind":"permission-rules","name":"r","expression":"true"}`:                                        "body.action",
		`{"topic":"auth_cors_origins","origins":["https://a.example"]}`:                                                    "",
		`{"topic":"auth_cors_origins","origins":[]}`:                                                                       "",
		`{"topic":"auth_cors_origins"}`:                                                                                    "body.origins",
		`{"topic":"auth_cors_origins","origins":["*"]}`:                                                                    "body.origins",
		`{"topic":"auth_cors_origins","origins":["https://a.example"],"enabled":true}`:                                     "nothing but origins",
		`{"topic":"permissions_enabled","enabled":false,"origins":[]}`:                                                     "nothing but enabled",
		`{"topic":"rule","kind":"rules","name":"r","origins":[]}`:                                                          "no origins",
		`[]`:                 "body: must be an object",
		`{"topic":"rule"}{}`: "body: must be an object",
		`{"topic":"rule","kind":"rules","name":"r","body":[]}`: "body is of the wrong type",
	} {
		b := newBench()
		err := b.admit(t, []byte(body))
		if wants == "" && err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if wants != "" && (!errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), wants)) {
			t.Errorf("%s: want %q, got %v", body, wants, err)
		}
	}
	b := newBench()
	good := []byte(`{"topic":"permissions_enabled","enabled":false}`)
	for _, act := range []string{"KNOW", "PUT", "learn", ""} {
		err := b.Admit(t.Context(), holder(grant.OfScopes(grant.Admin, grant.ConfigWrite)), space, engineconfig.Entry{Actor: ada, Act: act, Body: good})
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "LEARN") {
			t.Errorf("%s: %v", act, err)
		}
	}
	for _, verb := range grant.Scopes() {
		err := b.Admit(t.Context(), holder(grant.Snapshot(grant.OfScopes(verb))), space, engineconfig.Entry{Actor: ada, Act: "LEARN", Body: good})
		var e *fault.Error
		switch allowed := verb == grant.Admin || verb == grant.ConfigWrite; {
		case allowed && err != nil:
			t.Errorf("%s: %v", verb, err)
		case !allowed && (!errors.As(err, &e) || e.RequiredScope != "config:write" || e.Code != "SCOPE_FORBIDDEN"):
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestWhoMayNotWriteTheConfigurationMayNotByItsRecordsEither(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.set(t, rule("all", 1, engineconfig.Allow, "true"), rule("not this", 2, engineconfig.Deny, `resource == "config_write"`))
	if _, err := b.Switch(t.Context(), space, ada, true); err != nil {
		t.Fatal(err)
	}
	if err := b.admit(t, []byte(`{"topic":"permissions_enabled","enabled":false}`)); codeOf(err) != engineconfig.CodePermissionDenied {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeFollowedIsPassedOverAndLogged(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.set(t, rule("all", 1, engineconfig.Allow, "true"))
	for _, odd := range []engineconfig.Entry{
		{Actor: bob, Act: "KNOW", Body: []byte(`{"topic":"permissions_enabled","enabled":true}`)},
		{Actor: bob, Act: "LEARN", Body: []byte(`{"topic":"something_new","x":1}`)},
		{Actor: bob, Act: "LEARN", Body: []byte(`nothing`)},
		{Actor: bob, Act: "LEARN", Body: []byte(`{"topic":"rule","kind":"permission-rules","name":"new","action":"deny","priority":9,"expression":"speak()"}`)},
	} {
		if _, err := b.thread.add(odd); err != nil {
			t.Fatal(err)
		}
	}
	b.enable(t)
	// A rule that this program cannot read may be one that denies.
	if b.allows(t, engineconfig.Ask{Actor: ada, Resource: engineconfig.ThreadRead}) {
		t.Error("allowed in spite of a rule that cannot be evaluated")
	}
	b.set(t, engineconfig.Rule{Kind: engineconfig.PermissionRules, Name: "new", Removed: true})
	if !b.allows(t, engineconfig.Ask{Actor: ada, Resource: engineconfig.ThreadRead}) {
		t.Error("denied")
	}
	if got := strings.Count(b.log.String(), "cannot be followed"); got != 4 {
		t.Errorf("%d of 4 were logged: %s", got, b.log)
	}
}

func TestAnotherReplicaHeedsAChangeWithinASecond(t *testing.T) {
	t.Parallel()
	b := newBench()
	other := engineconfig.New(b.options())
	b.set(t, rule("ada", 1, engineconfig.Allow, `current_actor() == "did:sync:user:ada"`))
	ask := engineconfig.Ask{Space: space, Actor: bob, Resource: engineconfig.ThreadRead}
	if err := other.Allow(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Switch(t.Context(), space, ada, true); err != nil {
		t.Fatal(err)
	}
	reads := b.thread.reads
	for range 10 {
		if err := other.Allow(t.Context(), ask); err != nil {
			t.Fatalf("the other replica has read it already: %v", err)
		}
	}
	if b.thread.reads != reads {
		t.Error("what is remembered is read again")
	}
	b.clock.pass(time.Second)
	if err := other.Allow(t.Context(), ask); codeOf(err) != engineconfig.CodePermissionDenied {
		t.Errorf("a second later: %v", err)
	}
}

func TestWithoutItsConfigurationNothingIsAllowed(t *testing.T) {
	t.Parallel()
	b := newBench()
	ask := engineconfig.Ask{Space: space, Actor: ada, Resource: engineconfig.ThreadRead}
	if err := b.Allow(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(time.Second)
	b.thread.broken = fault.New(fault.Unavailable, "no store")
	if err := b.Allow(t.Context(), ask); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAStoreThatWasSetBackIsReadFromTheBeginning(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.set(t, rule("ada", 1, engineconfig.Allow, `true`), rule("bob", 1, engineconfig.Allow, `true`))
	b.thread.entries, b.thread.life = b.thread.entries[:1], 2
	b.clock.pass(time.Second)
	if got := b.list(t, engineconfig.PermissionRules); len(got) != 1 || got[0].Name != "ada" {
		t.Errorf("got %v", got)
	}
}

func TestASetterSeesItsRuleWhateverElseGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.set(t, rule("zz all", -1, engineconfig.Allow, "true"))
	b.enable(t)
	var all sync.WaitGroup
	for i := range 8 {
		actor := "did:sync:user:" + strconv.Itoa(i)
		name := "only " + strconv.Itoa(i)
		all.Go(func() {
			for range 25 {
				if _, err := b.Set(t.Context(), space, actor, rule(name, 5, engineconfig.Deny, `current_actor() == "`+actor+`"`)); err != nil {
					t.Error(err)
				}
				if b.allows(t, engineconfig.Ask{Actor: actor, Resource: engineconfig.ConfigWrite}) {
					t.Errorf("%s does not see its rule", actor)
				}
				if _, err := b.Set(t.Context(), space, actor, engineconfig.Rule{Kind: engineconfig.PermissionRules, Name: name, Removed: true}); err != nil {
					t.Error(err)
				}
				if !b.allows(t, engineconfig.Ask{Actor: actor, Resource: engineconfig.ConfigWrite}) {
					t.Errorf("%s sees its rule after it was removed", actor)
				}
			}
		})
	}
	all.Wait()
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"topic":"rule","kind":"permission-rules","name":"r","action":"deny","priority":3,"expression":"current_actor() == 'x'"}`), "LEARN")
	f.Add([]byte(`{"topic":"rule","kind":"rules","name":"r","body":{"any":[1,2.5,null]},"removed":false}`), "LEARN")
	f.Add([]byte(`{"topic":"auth_required","enabled":false}`), "LEARN")
	f.Add([]byte(`{"topic":"permissions_enabled","enabled":false}`), "PUT")
	f.Add([]byte(`{"TOPIC":"rule","Kind":"rules","name":"\ud800"}`), "LEARN")
	f.Fuzz(func(t *testing.T, body []byte, act string) {
		b := newBench()
		entry := engineconfig.Entry{Actor: ada, Act: act, Body: body}
		err := b.Admit(t.Context(), holder(grant.OfScopes(grant.ConfigWrite)), space, entry)
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.Invalid && kind != fault.Conflict {
				t.Fatalf("%v", err)
			}
			return
		}
		if act != "LEARN" {
			t.Fatalf("%q was taken", act)
		}
		// What is let in can be followed, and said again.
		if _, err := b.thread.add(entry); err != nil {
			t.Fatal(err)
		}
		b.Changed(space)
		for _, kind := range engineconfig.Kinds() {
			for _, r := range b.list(t, kind) {
				if _, err := b.Set(t.Context(), space, bob, r); err != nil {
					t.Fatalf("%+v: %v", r, err)
				}
			}
		}
		if b.log.Len() > 0 || b.thread.count() != 1 {
			t.Fatalf("%s: %d records", b.log, b.thread.count())
		}
	})
}

// Who asks which pages may call is nobody yet, so what it costs is bounded: the space is asked for once a second at most, and while
// that cannot be found out the last one counts.
func TestPagesAreFoundWithoutACaller(t *testing.T) {
	t.Parallel()
	const page = "https://a.example"
	asked, lives, fails := 0, space, error(nil)
	b := newBench(func(o *engineconfig.Options) {
		o.Space = func(context.Context) (string, error) { asked++; return lives, fails }
	})
	may := func(want bool) {
		t.Helper()
		if got := b.Pages(t.Context()).Allow(page); got != want {
			t.Errorf("may call: %t", got)
		}
	}
	fails, lives = errors.New("the key manager is away"), ""
	may(false)
	if _, err := b.SetOrigins(t.Context(), space, ada, []string{page}); err != nil {
		t.Fatal(err)
	}
	fails, lives = nil, space
	may(false) // it was asked a moment ago
	b.clock.pass(2 * time.Second)
	for range 3 {
		may(true)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	fails, lives = errors.New("the key manager is away"), ""
	b.clock.pass(time.Second)
	may(true)
	fails, lives = nil, "default-2" // made anew
	b.clock.pass(time.Second)
	b.thread.life++
	may(true) // the bench has one thread for every space
	if _, err := b.SetOrigins(t.Context(), lives, ada, []string{}); err != nil {
		t.Fatal(err)
	}
	may(false)
	b.thread.broken = errors.New("no store")
	b.clock.pass(time.Second)
	may(false)
	if off := newBench(func(o *engineconfig.Options) { o.AuthenticationOff = true }); off.Pages(t.Context()) != nil {
		t.Error("while authentication is off, the list counts")
	}
}
