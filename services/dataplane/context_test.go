package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func (p *plane) context(t *testing.T, key, body string) string {
	t.Helper()
	var out struct {
		Context, Tier *string
		QueryMs       *int
	}
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/context", body)
	if out.Context == nil || out.Tier == nil || *out.Tier != "hybrid" || out.QueryMs == nil {
		t.Fatalf("got %+v", out)
	}
	return *out.Context
}

func TestContextIsMarkdownOfWhatTheCallerRecalls(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "org/alice/*"), p.agent(t, "bob", "org/bob/*")
		p.remember(t, alice, `{"text":"The otter swims.\n# And dives.","infer":"none","observed_at":"2026-01-31T12:00:00Z","labels":["a=b"]}`)
		p.remember(t, alice, `{"text":"An otter sleeps long and deep and well in the cold river","infer":"none"}`)
		want := "## Memories\n\n- The otter swims.\n  # And dives. (2026-01-31)\n- An otter sleeps long and deep and well in the cold river\n"
		if got := p.context(t, alice, `{"query":"What does the otter do when it swims?"}`); got != want {
			t.Errorf("got %q", got)
		}
		for _, body := range []string{
			`{"query":"otter","k":1,"labels":["a=b"]}`, `{"query":"otter","limit":1,"lens":"org/alice","labels":["a=b"]}`, `{"query":"otter","labels":["a=b"],"scopeView":"merged"}`,
		} {
			if got := p.context(t, alice, body); strings.Count(got, "\n- ") != 1 {
				t.Errorf("%s: %q", body, got)
			}
		}
		if got := p.context(t, alice, `{"query":"unheard of"}`) + p.context(t, bob, `{"query":"otter"}`) + p.context(t, alice, `{"query":"otter","lens":"org/bob"}`); got != "" {
			t.Errorf("nothing reads %q", got)
		}
		for _, body := range []string{`{}`, `{"query":""}`, `{"query":"x","k":51}`, `{"query":"x","k":0}`, `{"query":"x","lens":[[]]}`, `{"query":"x","scopeView":"all"}`} {
			if got := p.call(t, alice, http.MethodPost, "/api/v1/acme/context", body); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", body, got.status)
			}
		}
	})
}

func TestTheContextOfASessionHoldsItsTurnsAndWhatIsRemembered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice := p.agent(t, "alice", "org/alice/*")
		p.remember(t, alice, `{"text":"The otter is called Ollie.","infer":"none"}`)
		var said batchJSON
		p.ok(t, &said, alice, http.MethodPost, batchPath, `{"messages":[{"role":"user","content":"Where is the otter?"},{"role":"assistant","content":"In the\nriver."}],"infer":"none"}`)
		want := "## Conversation\n\n- user: Where is the otter?\n- assistant: In the\n  river.\n\n## Memories\n\n- The otter is called Ollie.\n"
		path := sessionsPath + "/" + said.SessionID + "/context"
		for _, ask := range []func(out any) answer{
			func(out any) answer { return p.ok(t, out, alice, http.MethodPost, path, `{"query":"otter"}`) },
			func(out any) answer { return p.ok(t, out, alice, http.MethodGet, path+"?query=otter", "") },
		} {
			var got struct{ Context *string }
			if ask(&got); got.Context == nil || *got.Context != want {
				t.Errorf("got %v", *got.Context)
			}
		}
		var empty struct{ Context *string }
		p.ok(t, &empty, alice, http.MethodPost, sessionsPath+"/"+p.session(t, alice, "").ID+"/context", `{"query":"unheard"}`)
		if empty.Context == nil || *empty.Context != "" {
			t.Errorf("of nothing: %v", empty.Context)
		}
	})
}
