package spl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

// recordFace is the face over a real database, and a token that may read and write there as did:a.
type recordFace struct {
	*face
	token string
}

func newRecordFace(t *testing.T, url string) recordFace {
	t.Helper()
	db, err := database.Open(t.Context(), url, store.Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	migrations, err := store.Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(t.Context(), db, migrations); err != nil {
		t.Fatal(err)
	}
	f := newFace(t, func(parts *spl.Parts) {
		parts.Records = record.New(store.New(db), time.Now, "default")
		parts.Threads = thread.New(store.New(db), parts.Records, time.Now)
	})
	return recordFace{f, f.token(t, "default", []string{"did:a"}, grant.RecordsRead, grant.RecordsWrite, grant.ThreadsWrite)}
}

// ask sends a request with the token.
func (f recordFace) ask(t *testing.T, method, path, body string) answer {
	t.Helper()
	return f.send(t, method, path, body, auth, "Bearer "+f.token)
}

// post stores a record and returns it.
func (f recordFace) post(t *testing.T, body string) map[string]any {
	t.Helper()
	return decoded[map[string]any](t, f.ask(t, http.MethodPost, "/v1/records", body), http.StatusCreated)
}

func decoded[T any](t *testing.T, a answer, status int) (out T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("answer %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// list is as much of a list as the tests look at.
type list struct {
	Object  string           `json:"object"`
	Data    []map[string]any `json:"data"`
	More    bool             `json:"has_more"`
	Cursor  string           `json:"next_cursor"`
	Explain map[string]any   `json:"explain"`
}

func (l list) each(field string) []any {
	out := []any{}
	for _, item := range l.Data {
		out = append(out, item[field])
	}
	return out
}

func TestRecords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := newRecordFace(t, url)
		// The very text of a body is what is hashed: a number as it was sent, not as some float prints it.
		sent := `{"thread":"th_test","actor":"did:a","act":"KNOW","clock":1,"body":{"big":9007199254740991,"b":100000000000000000000,"f":1.10,"t":"<é>\ud83d\ude00"}}`
		made := f.post(t, sent)
		if again := f.post(t, sent); !cmp.Equal(made, again) {
			t.Errorf("again:\n%s", cmp.Diff(made, again))
		}
		id, ok := made["id"].(string)
		if !ok || len(id) != 64 || made["object"] != "record" || made["judged_by"] != nil || made["data_type"] != "SCALAR" {
			t.Errorf("made: %v", made)
		}
		got := f.ask(t, http.MethodGet, "/v1/records/"+id, "")
		if !cmp.Equal(decoded[map[string]any](t, got, http.StatusOK), made) {
			t.Errorf("read: %s", got.body)
		}
		var raw struct{ Body json.RawMessage }
		if err := json.Unmarshal([]byte(got.body), &raw); err != nil {
			t.Fatal(err)
		}
		if text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(raw.Body)); text != `{"b":100000000000000000000,"big":9007199254740991,"f":1.1,"t":"<é>😀"}` {
			t.Errorf("the body: %s", text)
		}
		// With its id, as another client has computed it.
		f.post(t, strings.Replace(sent, `{"thread"`, `{"id":"`+id+`","thread"`, 1))
		if next := f.post(t, `{"thread":"th_test","actor":"did:a","act":"DO","judged_by":"did:j","parents":["`+id+`"]}`); next["clock"] != 2.0 || next["judged_by"] != "did:j" {
			t.Errorf("the next one: %v", next)
		}
		for name, tt := range map[string]struct {
			body   string
			status int
			code   string
		}{
			"clock":           {`{"thread":"th_test","actor":"did:a","act":"DO","clock":1}`, 409, "CLOCK_REGRESSION"},
			"id":              {`{"thread":"th_test","actor":"did:a","act":"DO","id":"` + id + `"}`, 400, "INVALID_RECORD"},
			"thread":          {`{"thread":"test","actor":"did:a","act":"DO"}`, 400, "INVALID_RECORD"},
			"act":             {`{"thread":"th_test","actor":"did:a","act":"SAY"}`, 400, "INVALID_RECORD"},
			"number":          {`{"thread":"th_test","actor":"did:a","act":"DO","body":{"n":9007199254740993}}`, 400, "INVALID_RECORD"},
			"half":            {`{"thread":"th_test","actor":"did:a","act":"DO","body":{"n":"\ud800"}}`, 400, "INVALID_RECORD"},
			"large":           {`{"thread":"th_test","actor":"did:a","act":"DO","body":{"n":"` + strings.Repeat("x", record.MaxBody) + `"}}`, 413, "PAYLOAD_TOO_LARGE"},
			"namespace":       {`{"thread":"th_test","actor":"did:a","act":"DO","namespace":"other"}`, 403, "NAMESPACE_REJECTED"},
			"body.namespace":  {`{"thread":"th_test","actor":"did:a","act":"DO","body":{"namespace":"other"}}`, 403, "NAMESPACE_REJECTED"},
			"reserved thread": {`{"thread":"th_audit_tokens","actor":"did:a","act":"LEARN"}`, 403, "RESERVED_THREAD"},
			"another's name":  {`{"thread":"th_test","actor":"did:b","act":"DO"}`, 403, "DID_CLAIM_DENIED"},
		} {
			if a := f.ask(t, http.MethodPost, "/v1/records", tt.body); a.status != tt.status || a.Code != tt.code {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		if a := f.ask(t, http.MethodGet, "/v1/records/"+strings.Repeat("0", 64), ""); a.status != http.StatusNotFound {
			t.Errorf("an unknown one: %d", a.status)
		}
	})
}

func TestRecordLists(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := newRecordFace(t, url)
		for i := range 5 {
			f.post(t, fmt.Sprintf(`{"thread":"th_%d","actor":"did:a","act":"KNOW","clock":%d,"body":{"n":%d}}`, i%2, i, 10-i))
		}
		var clocks []any
		path := "/v1/records?actor=did:a&limit=2"
		for more, since := true, ""; more; {
			page := decoded[list](t, f.ask(t, http.MethodGet, path+since, ""), http.StatusOK)
			clocks, more, since = append(clocks, page.each("clock")...), page.More, "&since="+page.Cursor
		}
		if diff := cmp.Diff([]any{0.0, 1.0, 2.0, 3.0, 4.0}, clocks); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		for query, want := range map[string][]any{
			"thread=th_1": {1.0, 3.0}, "clock_from=3": {3.0, 4.0}, "clock_to=0": {0.0}, "act=DO": {}, "thread=th_0&clock_from=1&clock_to=2": {2.0},
		} {
			if page := decoded[list](t, f.ask(t, http.MethodGet, "/v1/records?"+query, ""), http.StatusOK); !cmp.Equal(page.each("clock"), want) {
				t.Errorf("%s: %v", query, page.each("clock"))
			}
		}
		for _, query := range []string{"", "?limit=1", "?since=x", "?thread=th_1&since=x"} {
			if a := f.ask(t, http.MethodGet, "/v1/records"+query, ""); a.status != http.StatusBadRequest || a.Code != "INVALID_QUERY" {
				t.Errorf("%q: %d %s", query, a.status, a.body)
			}
		}
		asked := `{"thread":"th_0","filter":{"body.n":{"$gt":7.0}},"sort":{"body.n":1},"limit":1,"offset":1,"explain":true}`
		page := decoded[list](t, f.ask(t, http.MethodPost, "/v1/records/query", asked), http.StatusOK)
		if !cmp.Equal(page.each("clock"), []any{0.0}) || page.More {
			t.Errorf("queried: %+v", page)
		}
		want := `{"filter":{"$and":[{"thread":{"$eq":"th_0"}},{"body.n":{"$gt":7}}]},"limit":1,"offset":1,"sort":{"body.n":1}}`
		if explained, err := json.Marshal(page.Explain); err != nil || string(explained) != want {
			t.Errorf("explained: %s, %v", explained, err)
		}
		if page := decoded[list](t, f.ask(t, http.MethodPost, "/v1/records/query", `{}`), http.StatusOK); len(page.Data) != 5 || page.Explain != nil {
			t.Errorf("everything: %+v", page)
		}
		for _, bad := range []string{`{"filter":{"owner":1}}`, `{"filter":[]}`, `{"sort":{"owner":1}}`, `{"sort":{"id":1,"act":1}}`, `{"limit":1001}`, `{"sort":{"id":2}}`} {
			if a := f.ask(t, http.MethodPost, "/v1/records/query", bad); a.status != http.StatusBadRequest || a.Code != "INVALID_QUERY" || a.Field == "" {
				t.Errorf("%s: %d %s", bad, a.status, a.body)
			}
		}
	})
}

func TestThreads(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := newRecordFace(t, url)
		minted := decoded[map[string]any](t, f.ask(t, http.MethodPost, "/v1/threads", ""), http.StatusCreated)
		if id, ok := minted["id"].(string); !ok || len(id) != len("th_")+64 || minted["object"] != "thread" || minted["records"] != 0.0 {
			t.Errorf("minted: %v", minted)
		}
		named := decoded[map[string]any](t, f.ask(t, http.MethodPost, "/v1/threads", `{"id":"th_a/b é","title":"T"}`), http.StatusCreated)
		const path = "/v1/threads/th_a%2Fb%20%C3%A9"
		if got := decoded[map[string]any](t, f.ask(t, http.MethodGet, path, ""), http.StatusOK); !cmp.Equal(got, named) {
			t.Errorf("named:\n%s", cmp.Diff(named, got))
		}
		first := f.post(t, `{"thread":"th_a/b é","actor":"did:a","act":"KNOW","body":{"text":"one\u001b[2J","n":1}}`)
		f.post(t, `{"thread":"th_a/b é","actor":"did:a","act":"GET","body":{"n":2,"asked":true}}`)
		last := f.post(t, fmt.Sprintf(`{"thread":"th_a/b é","actor":"did:a","act":"PUT","parents":[%q],"body":{"n":12345678901234567000}}`, first["id"]))
		state := f.ask(t, http.MethodGet, path+"/state", "")
		got := decoded[map[string]any](t, state, http.StatusOK)
		if got["records"] != 3.0 || got["last_clock"] != 3.0 || !cmp.Equal(got["acts"], map[string]any{"KNOW": 1.0, "GET": 1.0, "PUT": 1.0}) ||
			!strings.Contains(state.body, `"n":12345678901234567000`) || strings.Contains(state.body, "asked") || !strings.Contains(state.body, fmt.Sprint(last["id"])) {
			t.Errorf("state: %s", state.body)
		}
		if page := decoded[list](t, f.ask(t, http.MethodGet, path+"/records?limit=2", ""), http.StatusOK); len(page.Data) != 2 || !page.More || page.Cursor == "" {
			t.Errorf("records: %+v", page)
		}
		if page := decoded[list](t, f.ask(t, http.MethodGet, path+"/participants", ""), http.StatusOK); !cmp.Equal(page.each("actor"), []any{"did:a"}) {
			t.Errorf("participants: %+v", page)
		}
		if a := f.ask(t, http.MethodGet, path+"/project", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"format":"messages"`) || !strings.Contains(a.body, `one\u001b[2J`) {
			t.Errorf("messages: %d %s", a.status, a.body)
		}
		if a := f.ask(t, http.MethodGet, path+"/project?format=tui", ""); a.status != http.StatusOK || !strings.Contains(a.body, "one�[2J") || strings.Contains(a.body, `\u001b`) {
			t.Errorf("lines: %d %s", a.status, a.body)
		}
		page := decoded[list](t, f.ask(t, http.MethodGet, "/v1/threads?limit=1", ""), http.StatusOK)
		if len(page.Data) != 1 || !page.More || page.Cursor == "" {
			t.Errorf("threads: %+v", page)
		}
		for range 2 {
			if a := f.ask(t, http.MethodDelete, path, ""); a.status != http.StatusOK || !strings.Contains(a.body, `"status":"deleted"`) {
				t.Errorf("deleted: %d %s", a.status, a.body)
			}
		}
		for _, gone := range []string{path, path + "/records", path + "/state", path + "/project", path + "/participants", "/v1/threads/th_never/records", "/v1/records/" + fmt.Sprint(first["id"])} {
			if a := f.ask(t, http.MethodGet, gone, ""); a.status != http.StatusNotFound {
				t.Errorf("%s: %d", gone, a.status)
			}
		}
		for name, tt := range map[string]struct {
			method, path, body string
			status             int
			code               string
		}{
			"append":          {http.MethodPost, "/v1/records", `{"thread":"th_a/b é","actor":"did:a","act":"DO"}`, 409, "THREAD_DELETED"},
			"create":          {http.MethodPost, "/v1/threads", `{"id":"th_a/b é"}`, 409, "THREAD_DELETED"},
			"create reserved": {http.MethodPost, "/v1/threads", `{"id":"th_engine_config"}`, 403, "RESERVED_THREAD"},
			"delete reserved": {http.MethodDelete, "/v1/threads/th_engine_config", "", 403, "RESERVED_THREAD"},
			"delete unknown":  {http.MethodDelete, "/v1/threads/th_never", "", 404, "NOT_FOUND"},
			"create nonsense": {http.MethodPost, "/v1/threads", `{"id":"nonsense"}`, 400, "INVALID_REQUEST"},
			"wrong format":    {http.MethodGet, path + "/project?format=html", "", 400, "INVALID_REQUEST"},
		} {
			if a := f.ask(t, tt.method, tt.path, tt.body); a.status != tt.status || a.Code != tt.code {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	})
}
