package federation_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// client asks a node as a peer does.
type client struct {
	*node
	token string
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{newNode(t, dbtest.SQLite(t)), newToken(t)}
	c.tokens.set(c.token, true)
	return c
}

type change struct {
	ID     string         `json:"id"`
	Record map[string]any `json:"record"`
	Sig    string         `json:"sig"`
	Signer string         `json:"signer"`
	Cursor string         `json:"cursor"`
}

// answer is everything that any answer here has.
type answer struct {
	Status   int
	Code     string   `json:"code"`
	Records  []change `json:"records"`
	Next     string   `json:"next_cursor"`
	More     bool     `json:"has_more"`
	Accepted int      `json:"accepted"`
	Known    int      `json:"known"`
	Missing  []string `json:"missing"`
	DID      string   `json:"did"`
	Sig      string   `json:"sig"`
}

func (c *client) send(method, path string, body any, header ...string) *http.Response {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body == nil {
		text = nil
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

func (c *client) do(method, path string, body any, header ...string) answer {
	c.t.Helper()
	response := c.send(method, path, body, header...)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	out := answer{Status: response.StatusCode}
	if err := json.Unmarshal(text, &out); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return out
}

func (c *client) get(query string) answer {
	c.t.Helper()
	return c.do(http.MethodGet, "/v1/sync/changes?"+query, nil)
}

func TestTheFeed(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	var said []string
	for i := range 5 {
		said = append(said, c.say(fmt.Sprint(i)))
	}
	if _, err := c.now().records.AppendSystem(t.Context(), space, record.AuditTokens, record.Learn, map[string]any{"kind": "x"}); err != nil {
		t.Fatal(err)
	}
	other, err := c.now().say(t.Context(), "th_other", "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	said = append(said, other)

	var got []string
	cursor, more := "0", true // as good as none
	for more {
		page := c.get("limit=2&since=" + cursor)
		if page.Status != http.StatusOK {
			t.Fatalf("%+v", page)
		}
		if page.More && len(page.Records) != 2 {
			t.Errorf("a page of %d, and there are more: what is not for peers counts", len(page.Records))
		}
		for _, each := range page.Records {
			got = append(got, each.ID)
			if each.Signer != c.identity.DID() || identity.Verify(each.Signer, each.ID, each.Sig) != nil || each.Cursor == "" {
				t.Errorf("not signed: %+v", each)
			}
			if each.Record["thread"] == record.AuditTokens {
				t.Error("peers get what is the engine's own")
			}
		}
		cursor, more = page.Next, page.More
	}
	if fmt.Sprint(got) != fmt.Sprint(said) {
		t.Errorf("fed %v, said %v", got, said)
	}
	if page := c.get("thread=th_other"); len(page.Records) != 1 || page.Records[0].ID != other {
		t.Errorf("of one thread: %+v", page)
	}
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"target_namespace=default":                        {http.StatusOK, ""},
		"target_namespace=elsewhere":                      {http.StatusForbidden, "NAMESPACE_REJECTED"},
		"since=garbage":                                   {http.StatusBadRequest, "INVALID_QUERY"},
		"since=garbage&feed=continuous":                   {http.StatusBadRequest, "INVALID_QUERY"},
		"thread=" + record.EngineConfig:                   {http.StatusForbidden, "RESERVED_THREAD"},
		"thread=" + record.AuditTokens + "&feed=longpoll": {http.StatusForbidden, "RESERVED_THREAD"},
		"feed=sometimes":                                  {http.StatusBadRequest, "INVALID_REQUEST"},
		"limit=10001":                                     {http.StatusBadRequest, "INVALID_REQUEST"},
	} {
		if got := c.get(query); got.Status != want.status || got.Code != want.code {
			t.Errorf("%s: %d %s", query, got.Status, got.Code)
		}
	}
	c.tokens.set(c.token, false)
	if got := c.get(""); got.Status != http.StatusUnauthorized {
		t.Errorf("without a good token: %+v", got)
	}
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	if got := c.get("feed=longpoll&timeout_ms=10"); got.Status != http.StatusOK || len(got.Records) != 0 || got.More {
		t.Errorf("nothing has happened: %+v", got)
	}
	answers := make(chan answer, 1)
	waiting := make(chan struct{})
	c.setLink(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(waiting)
		next.ServeHTTP(w, r)
	})
	go func() { answers <- c.get("feed=longpoll&thread=" + thread) }()
	<-waiting
	if _, err := c.now().say(t.Context(), "th_other", "not this"); err != nil {
		t.Fatal(err)
	}
	said := c.say("this")
	if got := <-answers; len(got.Records) != 1 || got.Records[0].ID != said {
		t.Errorf("woken with %+v", got)
	}
}

// TestAStreamEndsWithItsToken shows that what is said after a token was revoked is not told to who holds it.
func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	first := c.say("first")
	response := c.send(http.MethodGet, "/v1/sync/changes?feed=continuous", nil)
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("answered %s", got)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() (c change, ok bool) {
		for lines.Scan() {
			if len(lines.Bytes()) == 0 {
				continue
			}
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			return c, true
		}
		return c, false
	}
	if got, ok := next(); !ok || got.ID != first {
		t.Errorf("got %+v", got)
	}
	second := c.say("second")
	if got, ok := next(); !ok || got.ID != second || got.Sig == "" {
		t.Errorf("got %+v", got)
	}
	c.tokens.set(c.token, false)
	c.say("third")
	if got, ok := next(); ok {
		t.Errorf("told %v after the token was revoked", got.Record)
	}
}

func TestAWaitEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	stop := make(chan struct{})
	ended := make(chan error, 2)
	go func() {
		_, err := n.now().shared.Await(context.Background(), space, federation.Asked{Limit: 1}, time.Hour, stop)
		ended <- err
	}()
	go func() {
		ended <- n.now().shared.Follow(context.Background(), space, federation.Asked{Limit: 1}, stop, func([]federation.Change) error { return nil })
	}()
	close(stop)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	from, to := newClient(t), newClient(t)
	for i := range 3 {
		from.say(fmt.Sprint(i))
	}
	offers := from.get("").Records
	const federated, yes = "X-Syncropel-Federation", "1"
	push := func(records any, header ...string) answer {
		t.Helper()
		return to.do(http.MethodPost, "/v1/sync/records", map[string]any{"records": records}, header...)
	}
	spoiled := func(spoil func(c *change)) []change {
		out := make([]change, len(offers))
		copy(out, offers)
		spoil(&out[2])
		return out
	}
	for name, tt := range map[string]struct {
		records []change
		header  []string
		status  int
		code    string
	}{
		"unsigned":       {spoiled(func(c *change) { c.Sig = "" }), []string{federated, yes}, 422, "SIGNATURE_INVALID"},
		"another signer": {spoiled(func(c *change) { c.Signer = to.identity.DID() }), []string{federated, yes}, 422, "SIGNATURE_INVALID"},
		"another id":     {spoiled(func(c *change) { c.ID = strings.Repeat("0", 64) }), nil, 400, "INVALID_REQUEST"},
		"another body": {spoiled(func(c *change) {
			c.Record = maps.Clone(c.Record)
			c.Record["body"] = map[string]any{"text": "forged"}
		}), nil, 400, "INVALID_RECORD"},
		"reserved": {spoiled(func(c *change) {
			c.Record = map[string]any{"thread": record.AuditTokens, "actor": "did:x", "act": "LEARN", "clock": 1}
			c.ID = ""
		}), nil, 403, "RESERVED_THREAD"},
		"without a clock": {spoiled(func(c *change) {
			c.Record = map[string]any{"thread": thread, "actor": "did:x", "act": "LEARN"}
			c.ID = ""
		}), nil, 400, "INVALID_REQUEST"},
	} {
		if got := push(tt.records, tt.header...); got.Status != tt.status || got.Code != tt.code {
			t.Errorf("%s: %d %s", name, got.Status, got.Code)
		}
		if got := to.get("").Records; len(got) != 0 {
			t.Fatalf("%s: %d were stored", name, len(got))
		}
	}
	if got := push(offers, federated, yes); got.Status != http.StatusOK || got.Accepted != 3 || got.Known != 0 {
		t.Errorf("pushed: %+v", got)
	}
	if got := push(spoiled(func(c *change) { c.Sig = "" })); got.Status != http.StatusOK || got.Accepted != 0 || got.Known != 3 {
		t.Errorf("pushed again, without asking for signatures: %+v", got)
	}
	nobody := strings.Repeat("f", 64)
	got := to.do(http.MethodPost, "/v1/federation/sync/records", map[string]any{"ids": []string{offers[1].ID, nobody}})
	if got.Status != http.StatusOK || len(got.Records) != 1 || got.Records[0].ID != offers[1].ID || len(got.Missing) != 1 || got.Missing[0] != nobody {
		t.Errorf("asked by id: %+v", got)
	}
	if got := to.do(http.MethodPost, "/v1/sync/records", map[string]any{}); got.Status != http.StatusBadRequest {
		t.Errorf("asked for nothing: %+v", got)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	c, other := newClient(t), newNode(t, dbtest.SQLite(t)).identity
	challenge := strings.Repeat("c", 64)
	shake := func(did, sig string) answer {
		t.Helper()
		return c.do(http.MethodPost, "/v1/federation/pair", map[string]any{"did": did, "challenge": challenge, "sig": sig})
	}
	got := shake(other.DID(), other.Sign(federation.HandshakeText(other.DID(), challenge)))
	if got.Status != http.StatusOK || got.DID != c.identity.DID() {
		t.Fatalf("%+v", got)
	}
	if err := identity.Verify(got.DID, federation.HandshakeText(got.DID, challenge), got.Sig); err != nil {
		t.Error(err)
	}
	if identity.Verify(got.DID, challenge, got.Sig) == nil {
		t.Error("it signs whatever it is given: a challenge could be the id of a record")
	}
	for name, sig := range map[string]string{
		"another's": c.identity.Sign(federation.HandshakeText(other.DID(), challenge)), "of the bare challenge": other.Sign(challenge), "none": "",
	} {
		if got := shake(other.DID(), sig); got.Status != http.StatusUnprocessableEntity {
			t.Errorf("a signature that is %s: %+v", name, got)
		}
	}
}
