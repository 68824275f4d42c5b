package federation_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// altered is a link that changes the answers to pulls.
func altered(change func(feed map[string]any)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		var feed map[string]any
		if !strings.HasSuffix(r.URL.Path, "/changes") || json.Unmarshal(answer.Body.Bytes(), &feed) != nil {
			w.WriteHeader(answer.Code)
			_, _ = io.Copy(w, answer.Body)
			return
		}
		change(feed)
		_ = json.NewEncoder(w).Encode(feed)
	}
}

// eachChange changes the changes of a feed.
func eachChange(change func(c map[string]any)) func(map[string]any) {
	return func(feed map[string]any) {
		changes, _ := feed["records"].([]any)
		for _, each := range changes {
			if c, ok := each.(map[string]any); ok {
				change(c)
			}
		}
	}
}

func recordOf(change map[string]any) map[string]any {
	r, _ := change["record"].(map[string]any)
	return r
}

// failing waits until the pair fails for a reason, and shows that nothing was stored and no cursor moved.
func (n *node) failing(id, reason string) {
	n.t.Helper()
	eventually(n.t, "it fails: "+reason, func() bool {
		pair := n.pair(id)
		return pair.State == federation.Failing && strings.Contains(pair.LastError, reason)
	})
	if pair := n.pair(id); pair.Cursor != "" || pair.Stats.Pulled != 0 || len(n.ids()) != 0 {
		n.t.Errorf("something was taken: %+v, %d records", pair, len(n.ids()))
	}
}

func TestNothingIsTakenFromAPeerThatLies(t *testing.T) {
	t.Parallel()
	stranger := newNode(t, dbtest.SQLite(t)).identity
	for name, lie := range map[string]struct {
		change func(map[string]any)
		reason string
	}{
		"another body": {eachChange(func(c map[string]any) { recordOf(c)["body"] = map[string]any{"text": "forged"} }), "not what its id says"},
		"another body with an id that fits, unsigned": {eachChange(func(c map[string]any) {
			c["id"], c["sig"] = "", ""
		}), "without an id"},
		"another id":     {eachChange(func(c map[string]any) { c["id"] = strings.Repeat("0", 64) }), "not what its id says"},
		"another thread": {eachChange(func(c map[string]any) { recordOf(c)["thread"] = "th_other" }), "another thread"},
		"a reserved thread": {eachChange(func(c map[string]any) {
			recordOf(c)["thread"] = record.EngineConfig
		}), "another thread"},
		"no signature":       {eachChange(func(c map[string]any) { delete(c, "sig") }), "has not signed"},
		"a broken signature": {eachChange(func(c map[string]any) { c["sig"] = strings.Repeat("A", 86) + "==" }), "has not signed"},
		"another signer": {eachChange(func(c map[string]any) {
			id, _ := c["id"].(string)
			c["sig"], c["signer"] = stranger.Sign(id), stranger.DID()
		}), "has not signed"},
		"another's signature under its own name": {eachChange(func(c map[string]any) {
			id, _ := c["id"].(string)
			c["sig"] = stranger.Sign(id)
		}), "has not signed"},
		"no cursor":         {func(feed map[string]any) { delete(feed, "next_cursor") }, "no feed"},
		"an endless cursor": {func(feed map[string]any) { feed["next_cursor"] = strings.Repeat("x", 1000) }, "not what it should be"},
		"no JSON":           {func(feed map[string]any) { feed["records"] = "nonsense" }, "not what it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
			liar.say("one")
			two := liar.say("two")
			liar.setLink(altered(lie.change))
			id := n.pull(liar).ID
			n.failing(id, lie.reason)
			liar.setLink(nil)
			eventually(t, "it tells the truth again", n.has(two))
		})
	}
}

// TestAPeerThatIsSomebodyElse signs what it sends, by a key that is not the one of the pair.
func TestAPeerThatIsSomebodyElse(t *testing.T) {
	t.Parallel()
	peer, other, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	peer.say("one")
	token := newToken(t)
	peer.tokens.set(token, true)
	pair, warning, err := n.now().shared.Pair(t.Context(), space, federation.Draft{
		PeerDID: other.identity.DID(), PeerURL: peer.server.URL, Thread: thread, PeerToken: settings.Secret(token),
	})
	if err != nil || !strings.Contains(warning, peer.identity.DID()) {
		t.Errorf("warned %q, %v", warning, err)
	}
	n.failing(pair.ID, "has not signed")
	if stats := n.pair(pair.ID).Stats; stats.Refused == 0 {
		t.Errorf("counted %+v", stats)
	}
}

func TestATokenThatIsNoGood(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	token := newToken(t)
	draft := federation.Draft{PeerDID: peer.identity.DID(), PeerURL: peer.server.URL, Thread: thread, PeerToken: settings.Secret(token)}
	pair, warning, err := n.now().shared.Pair(t.Context(), space, draft)
	if err != nil || warning != "" {
		t.Fatalf("warned %q, %v", warning, err)
	}
	n.failing(pair.ID, "401 AUTH_INVALID")
	peer.tokens.set(token, true)
	first := peer.say("one")
	eventually(t, "the token is good now", n.has(first))

	// It is revoked while a pull waits for news: the news are not given, and the next pull is refused.
	pulls := n.pair(pair.ID).Stats.Pulls
	eventually(t, "it waits", func() bool { return n.pair(pair.ID).Stats.Pulls > pulls })
	peer.tokens.set(token, false)
	peer.say("not for you")
	eventually(t, "it fails", func() bool { return n.pair(pair.ID).State == federation.Failing })
	if got := n.ids(); len(got) != 1 {
		t.Errorf("%d records came by a revoked token", len(got)-1)
	}

	draft.PeerToken = settings.Secret(newToken(t))
	peer.tokens.set(draft.PeerToken.Reveal(), true)
	again, _, err := n.now().shared.Pair(t.Context(), space, draft)
	if err != nil || again.ID != pair.ID {
		t.Fatalf("paired again as %s, %v", again.ID, err)
	}
	eventually(t, "the new token is used", func() bool { return len(n.ids()) == 2 })
	for _, secret := range []string{token, draft.PeerToken.Reveal()} {
		if strings.Contains(n.log.String(), secret) || strings.Contains(n.pair(pair.ID).LastError, secret) {
			t.Error("a token is told")
		}
		var sealed [][]byte
		if err := n.now().db.Raw("SELECT peer_token FROM sync_pairs").Scan(&sealed).Error; err != nil || len(sealed) != 1 {
			t.Fatal(err)
		}
		if bytes.Contains(sealed[0], []byte(secret)) {
			t.Error("a token is at rest in clear")
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var lured atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { lured.Add(1) }))
	defer elsewhere.Close()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	peer.setLink(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	n.failing(n.pull(peer).ID, "redirects (307)")
	if lured.Load() != 0 {
		t.Error("it was followed")
	}
}

func TestAnAnswerWithoutAnEnd(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	peer.setLink(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, `{"records":[],"x":"`)
		blank := bytes.Repeat([]byte(" "), 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	})
	n.failing(n.pull(peer).ID, "larger than")
}

// TestAPeerThatWasSetUpAnew has other records under other cursors: none of them is missed.
func TestAPeerThatWasSetUpAnew(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	pair := n.pull(peer)
	for range 5 {
		peer.say("before")
	}
	eventually(t, "all five", func() bool { return len(n.ids()) == 5 })
	peer.stop()
	peer.url = dbtest.SQLite(t)
	peer.start()
	after := peer.say("after")
	eventually(t, "what came after", n.has(after))
	if got := n.pair(pair.ID); got.State != federation.Active || len(n.ids()) != 6 {
		t.Errorf("%+v, %d records", got, len(n.ids()))
	}
}

func TestTheCursorDoesNotRunAhead(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	n.stop()
	n.refuse = &atomic.Int64{}
	n.refuse.Store(2)
	n.start()
	said := peer.say("one")
	pair := n.pull(peer)
	eventually(t, "what could not be stored at first is there", n.has(said))
	// A pull's figures are written when it ends, after what it brought.
	eventually(t, "two failures and the record are counted", func() bool {
		got := n.pair(pair.ID).Stats
		return got.Failures >= 2 && got.Pulled == 1
	})
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	pair := n.pull(peer)
	eventually(t, "it pulls", func() bool { return n.pair(pair.ID).Stats.Pulls > 0 })
	if got, err := n.now().shared.Pause(t.Context(), space, pair.ID); err != nil || got.State != federation.Paused {
		t.Fatalf("%+v, %v", got, err)
	}
	paused := n.pair(pair.ID).Stats
	said := peer.say("meanwhile")
	if _, err := n.now().shared.Kick(t.Context(), space, pair.ID); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start()
	if got := n.pair(pair.ID); got.State != federation.Paused || got.Stats != paused {
		t.Errorf("it pulls while it is paused: %+v, had %+v", got, paused)
	}
	if _, err := n.now().shared.Resume(t.Context(), space, pair.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has what was said meanwhile", n.has(said))
	if err := n.now().shared.Forget(t.Context(), space, pair.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := n.now().shared.Pairs(t.Context(), space); err != nil || len(got) != 0 {
		t.Errorf("left: %+v, %v", got, err)
	}
}

// TestItStopsPromptly while it waits for news, and while it waits after a failure.
func TestItStopsPromptly(t *testing.T) {
	t.Parallel()
	peer, n := newNode(t, dbtest.SQLite(t)), newNode(t, dbtest.SQLite(t))
	n.stop()
	n.timing = federation.Timing{} // as outside tests: it waits for news for 20 seconds
	n.start()
	pair := n.pull(peer)
	asked := make(chan struct{}, 100)
	peer.setLink(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked <- struct{}{}
		next.ServeHTTP(w, r)
	})
	if _, err := n.now().shared.Kick(t.Context(), space, pair.ID); err != nil {
		t.Fatal(err)
	}
	<-asked
	began := time.Now()
	n.stop()
	// Who waited for the end of the wait would need 20 seconds: less than that tells the two apart, however busy the machine.
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestOneReplicaPulls: of three that share a store one asks the peer at a time, and when it goes another takes over.
func TestOneReplicaPulls(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	peer := newNode(t, dbtest.SQLite(t))
	replicas := []*node{newNode(t, url), newNode(t, url), newNode(t, url)}
	var asking, most atomic.Int64
	for _, each := range replicas {
		each.stop()
		each.network = roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/changes") {
				if now := asking.Add(1); now > most.Load() {
					most.Store(now)
				}
				defer asking.Add(-1)
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		each.start()
	}
	pair := replicas[0].pull(peer)
	for _, each := range replicas {
		said := peer.say(each.server.URL)
		last := replicas[len(replicas)-1]
		eventually(t, "what was said is there", last.has(said))
		pulls := last.pair(pair.ID).Stats.Pulls
		eventually(t, "three waits for more", func() bool { return last.pair(pair.ID).Stats.Pulls > pulls+3 })
		if each != last {
			each.stop()
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d replicas asked at once", most.Load())
	}
}
