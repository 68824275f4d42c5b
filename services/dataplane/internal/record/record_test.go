package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

const space = "space"

func open(tb testing.TB) *store.Store {
	tb.Helper()
	db, err := database.Open(tb.Context(), dbtest.SQLite(tb), store.Schema)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	migrations, err := store.Migrations(db.Engine)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := database.Migrate(tb.Context(), db, migrations); err != nil {
		tb.Fatal(err)
	}
	return store.New(db)
}

func draft(edit func(*record.Draft)) record.Draft {
	d := record.Draft{Content: record.Content{Thread: "th_test", Actor: "did:sync:user:ada", Act: record.Know}, NextClock: true}
	if edit != nil {
		edit(&d)
	}
	return d
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Code
	}
	return ""
}

// TestIDs compares with what another program makes of the same content.
func TestIDs(t *testing.T) {
	t.Parallel()
	records := record.New(open(t), time.Now, "default")
	for want, edit := range map[string]func(*record.Draft){
		"e67b95e7710e0e0d080f6774e26c4198ea48241728d914b02c576d48648e1a00": func(d *record.Draft) { d.Clock, d.NextClock = 1, false },
		"b4fb02e32438797c90ac086bd0536f56950b4a565a3afe6da6b580de2717fe19": func(d *record.Draft) {
			d.Parents = []string{strings.Repeat("b", 64), strings.Repeat("a", 64)}
			d.Thread, d.Actor, d.Act, d.DataType = "th_é", "did:sync:user:<ada> & co", record.Map, record.Void
			d.Clock, d.NextClock = record.MaxClock, false
			d.Body = json.RawMessage(" {\"z\": [1.0, 25e-1, null, true], \"a\": {\"text\": \"\\u003c\u00e9> \\\"q\\\" \\u2028\"}, \"n\": 1e20, \"m\": -1E-3}")
		},
	} {
		d := draft(edit)
		stored, _, err := records.Append(t.Context(), space, d)
		if err != nil || stored.ID != want {
			t.Errorf("got %s, %v, want %s", stored.ID, err, want)
		}
		if checked, err := records.Check(record.Foreign{Content: d.Content, ID: want}); err != nil || checked.ID != want {
			t.Errorf("as a foreign one: %s, %v", checked.ID, err)
		}
	}
}

// TestJudgesDoNotCount: who has judged a record is no part of its name.
func TestJudgesDoNotCount(t *testing.T) {
	t.Parallel()
	records := record.New(open(t), time.Now, "default")
	plain, err := records.Check(record.Foreign{Content: draft(nil).Content})
	if err != nil {
		t.Fatal(err)
	}
	judged, err := records.Check(record.Foreign{Content: draft(nil).Content, JudgedBy: "did:judge"})
	if err != nil || judged.ID != plain.ID {
		t.Errorf("%s is %s, %v, when judged", plain.ID, judged.ID, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	records := record.New(open(t), time.Now, "here")
	body := func(text string) func(*record.Draft) { return func(d *record.Draft) { d.Body = json.RawMessage(text) } }
	for name, tt := range map[string]struct {
		edit  func(*record.Draft)
		code  string
		field string
	}{
		"no thread":           {func(d *record.Draft) { d.Thread = "" }, record.CodeInvalid, "thread"},
		"thread prefix":       {func(d *record.Draft) { d.Thread = "test" }, record.CodeInvalid, "thread"},
		"thread prefix alone": {func(d *record.Draft) { d.Thread = "th_" }, record.CodeInvalid, "thread"},
		"thread too long":     {func(d *record.Draft) { d.Thread = "th_" + strings.Repeat("x", 254) }, record.CodeInvalid, "thread"},
		"thread to obey":      {func(d *record.Draft) { d.Thread = "th_\x1b[31m" }, record.CodeInvalid, "thread"},
		"thread of bytes":     {func(d *record.Draft) { d.Thread = "th_\xff" }, record.CodeInvalid, "thread"},
		"no actor":            {func(d *record.Draft) { d.Actor = "" }, record.CodeInvalid, "actor"},
		"actor too long":      {func(d *record.Draft) { d.Actor = strings.Repeat("é", 257) }, record.CodeInvalid, "actor"},
		"actor to obey":       {func(d *record.Draft) { d.Actor = "did:\u202eadmin" }, record.CodeInvalid, "actor"},
		"act":                 {func(d *record.Draft) { d.Act = "know" }, record.CodeInvalid, "act"},
		"data type":           {func(d *record.Draft) { d.DataType = "TEXT" }, record.CodeInvalid, "data_type"},
		"clock":               {func(d *record.Draft) { d.Clock, d.NextClock = -1, false }, record.CodeInvalid, "clock"},
		"clock beyond":        {func(d *record.Draft) { d.Clock, d.NextClock = record.MaxClock+1, false }, record.CodeInvalid, "clock"},
		"parent":              {func(d *record.Draft) { d.Parents = []string{strings.Repeat("A", 64)} }, record.CodeInvalid, "parents.0"},
		"short parent":        {func(d *record.Draft) { d.Parents = []string{strings.Repeat("a", 63)} }, record.CodeInvalid, "parents.0"},
		"parents":             {func(d *record.Draft) { d.Parents = make([]string, 65) }, record.CodeInvalid, "parents"},
		"judge":               {func(d *record.Draft) { d.JudgedBy = "\n" }, record.CodeInvalid, "judged_by"},
		"id":                  {func(d *record.Draft) { d.ID = strings.Repeat("0", 64) }, record.CodeInvalid, "id"},
		"list":                {body(`[]`), record.CodeInvalid, "body"},
		"null":                {body(`null`), record.CodeInvalid, "body"},
		"no JSON":             {body(`{"x"}`), record.CodeInvalid, "body"},
		"two values":          {body(`{} {}`), record.CodeInvalid, "body"},
		"twice":               {body(`{"x":1,"x":1}`), record.CodeInvalid, "body"},
		"NUL":                 {body(`{"x":{"y":["\u0000"]}}`), record.CodeInvalid, "body.x.y.0"},
		"half a character":    {body(`{"x":"\ud800"}`), record.CodeInvalid, "body"},
		"inexact integer":     {body(`{"x":{"n":9007199254740993}}`), record.CodeInvalid, "body.x.n"},
		"inexact fraction":    {body(`{"x":{"n":0.10000000000000004}}`), record.CodeInvalid, "body.x.n"},
		"too deep":            {body(`{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`), record.CodeInvalid, "body"},
		"too large":           {body(`{"x":"` + strings.Repeat("x", record.MaxBody) + `"}`), "", ""},
		"namespace":           {func(d *record.Draft) { d.Namespace = "there" }, record.CodeNamespace, ""},
		"namespace inside":    {body(`{"namespace":"there"}`), record.CodeNamespace, ""},
		"odd namespace":       {body(`{"namespace":["here"]}`), record.CodeNamespace, ""},
		"reserved":            {func(d *record.Draft) { d.Thread = record.AuditTokens }, record.CodeReserved, ""},
	} {
		_, _, err := records.Append(t.Context(), space, draft(tt.edit))
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Code != tt.code || !strings.HasPrefix(e.Field, tt.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*record.Draft){
		"own namespace":  func(d *record.Draft) { d.Namespace, d.Body = "here", json.RawMessage(`{"namespace":"here"}`) },
		"default":        func(d *record.Draft) { d.Namespace, d.Body = "default", json.RawMessage(`{"namespace":"default"}`) },
		"null":           body(`{"namespace":null}`),
		"17 digits":      body(`{"x":[0.10000000000000001,1.1e+23,-2.9999999999999999e-07]}`),
		"deep":           body(`{"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`),
		"large":          body(`{"x":"` + strings.Repeat("x", record.MaxBody-8) + `"}`),
		"whole thread":   func(d *record.Draft) { d.Thread = "th_" + strings.Repeat("x", 253) },
		"any characters": body(`{"é\n\u2028😀":"\ud83d\ude00\u0001"}`),
	} {
		if _, _, err := records.Append(t.Context(), space, draft(edit)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	records := record.New(open(t), time.Now, "default")
	for literal, want := range map[string]string{
		"0": "0", "-0": "0", "-0.0e5": "0", "0e999999999999": "0", "1.0": "1", "1e2": "100", "1E+2": "100", "0.1": "0.1", "100e-3": "0.1", "-1.50": "-1.5",
		"9007199254740991": "9007199254740991", "9007199254740992": "9007199254740992", "9007199254740993": "", "9007199254740994": "9007199254740994",
		"12345678901234567890": "", "100000000000000000000": "100000000000000000000", "1e21": "1e+21", "1000000000000000000000": "1e+21",
		"1e23": "1e+23", "0.30000000000000004": "0.30000000000000004", "0.300000000000000040": "0.30000000000000004", "0.30000000000000004000001": "",
		"0.1000000000000000055511151231257827": "", "1.7976931348623157e308": "1.7976931348623157e+308", "1.7976931348623159e308": "", "1e400": "", "1e-400": "",
		"5e-324": "5e-324", "4e-324": "", "0.000001": "0.000001", "0.0000001": "1e-7", "1e-99999999999999999999": "", "123456789012345680": "123456789012345680",
	} {
		checked, err := records.Check(record.Foreign{Content: draft(func(d *record.Draft) { d.Body = json.RawMessage(`{"n":` + literal + `}`) }).Content})
		switch {
		case want == "" && codeOf(err) != record.CodeInvalid:
			t.Errorf("%s is taken for %s, %v", literal, checked.Body, err)
		case want != "" && (err != nil || string(checked.Body) != `{"n":`+want+`}`):
			t.Errorf("%s is %s, %v, want %s", literal, checked.Body, err, want)
		}
	}
}

// FuzzBody: what is taken has one form, which means the same.
func FuzzBody(f *testing.F) {
	for _, text := range []string{`{}`, `{"b":1.0,"a":[1e2,"é\u00e9"]}`, `{"x":9007199254740993}`, `{"\ud800":1}`, `{"a":-0,"a":1}`, `{"n":1e-400}`} {
		f.Add(text)
	}
	records := record.New(nil, time.Now, "default")
	check := func(body string) (record.Record, error) {
		return records.Check(record.Foreign{Content: draft(func(d *record.Draft) { d.Body = json.RawMessage(body) }).Content})
	}
	f.Fuzz(func(t *testing.T, body string) {
		once, err := check(body)
		if err != nil {
			return
		}
		twice, err := check(string(once.Body))
		if err != nil || string(twice.Body) != string(once.Body) || twice.ID != once.ID {
			t.Fatalf("%q became %s, and then %s, %v", body, once.Body, twice.Body, err)
		}
		var sent, kept any
		if body == "" {
			body = "{}"
		}
		if err := json.Unmarshal([]byte(body), &sent); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if err := json.Unmarshal(once.Body, &kept); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, kept); diff != "" {
			t.Errorf("%q became another value (-sent +kept):\n%s", body, diff)
		}
	})
}

func TestReservedThreads(t *testing.T) {
	t.Parallel()
	records := record.New(open(t), time.Now, "default")
	refused := errors.New("refused")
	records.Protect(record.EngineConfig, func(_ context.Context, in string, content record.Content) error {
		if in != space || string(content.Body) != `{"a":1,"b":2}` {
			return refused
		}
		return nil
	})
	write := func(thread, body string) error {
		_, _, err := records.Append(t.Context(), space, draft(func(d *record.Draft) { d.Thread, d.Body = thread, json.RawMessage(body) }))
		return err
	}
	if err := write(record.EngineConfig, `{"b":2,"a":1.0}`); err != nil {
		t.Errorf("what the guard lets through: %v", err)
	}
	if err := write(record.EngineConfig, `{}`); !errors.Is(err, refused) {
		t.Errorf("what the guard refuses: %v", err)
	}
	for _, thread := range []string{record.AuditTokens, record.ServiceAccounts} {
		if err := write(thread, `{}`); codeOf(err) != record.CodeReserved || !errors.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", thread, err)
		}
	}
	made, err := records.AppendSystem(t.Context(), space, record.AuditTokens, record.Learn, map[string]any{"kind": "<k>", "n": 1})
	if err != nil || made.Actor != record.System || made.Clock != 1 || string(made.Body) != `{"kind":"<k>","n":1}` {
		t.Errorf("the engine's own: %+v, %v", made, err)
	}
	if again, err := records.AppendSystem(t.Context(), space, record.AuditTokens, record.Learn, struct{}{}); err != nil || again.Clock != 2 {
		t.Errorf("its next one: %+v, %v", again, err)
	}
	outcomes, err := records.Import(t.Context(), space, []record.Foreign{{Content: made.Content}})
	if err != nil || codeOf(outcomes[0].Err) != record.CodeReserved {
		t.Errorf("from elsewhere: %+v, %v", outcomes, err)
	}
	// Nobody speaks for the engine on other threads, either.
	if _, _, err := records.Append(t.Context(), space, draft(func(d *record.Draft) { d.Actor = record.System })); codeOf(err) != record.CodeActor {
		t.Errorf("as the engine: %v", err)
	}
	made.Thread = "th_x"
	outcomes, err = records.Import(t.Context(), space, []record.Foreign{{Content: made.Content}})
	if err != nil || codeOf(outcomes[0].Err) != record.CodeActor || outcomes[0].State != record.Refused {
		t.Errorf("as the engine, from elsewhere: %+v, %v", outcomes, err)
	}
}

// TestChanged: one replica is woken by what it stores itself, another one when it looks.
func TestChanged(t *testing.T) {
	t.Parallel()
	rows := open(t)
	here, there := record.New(rows, time.Now, "default"), record.New(rows, time.Now, "default")
	woken := func(changed <-chan struct{}) bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	look := func() {
		t.Helper()
		if err := there.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write := func(in string) {
		t.Helper()
		if _, _, err := here.Append(t.Context(), in, draft(nil)); err != nil {
			t.Fatal(err)
		}
	}
	mine, theirs, elsewhere := here.Changed(space), there.Changed(space), here.Changed("elsewhere")
	if woken(mine) || woken(theirs) {
		t.Error("woken by nothing")
	}
	write(space)
	if !woken(mine) || woken(theirs) || woken(elsewhere) {
		t.Error("the writer's own replica was not woken, or another one was")
	}
	look()
	if !woken(theirs) {
		t.Error("the other replica was not woken")
	}
	theirs = there.Changed(space)
	look()
	if woken(theirs) {
		t.Error("woken again by nothing")
	}
	write(space)
	look()
	if !woken(theirs) {
		t.Error("not woken the second time")
	}
	theirs = there.Changed("late")
	write("late") // after somebody read, before the first look
	look()
	if !woken(theirs) {
		t.Error("what came before the first look woke nobody")
	}
}
