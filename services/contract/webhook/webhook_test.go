package webhook_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/webhook"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// The example of the specification's own libraries.
const (
	knownSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	knownID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	knownStamp     = 1614265330
	knownBody      = `{"test": 2432232314}`
	knownSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func headers(id string, at time.Time, signature string) http.Header {
	h := http.Header{}
	h.Set(webhook.HeaderID, id)
	h.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(webhook.HeaderSignature, signature)
	return h
}

func TestTheKnownExample(t *testing.T) {
	t.Parallel()
	at := time.Unix(knownStamp, 0)
	got, err := webhook.Sign(knownSecret, knownID, at, []byte(knownBody))
	if err != nil || got != knownSignature {
		t.Errorf("signed %q, %v", got, err)
	}
	if err := webhook.VerifyAt(knownSecret, headers(knownID, at, knownSignature), []byte(knownBody), 0, at); err != nil {
		t.Error(err)
	}
	if err := webhook.Verify(knownSecret, headers(knownID, at, knownSignature), []byte(knownBody), 0); !errors.Is(err, webhook.ErrTimestamp) {
		t.Errorf("years later: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	secret, other := webhook.NewSecret(), webhook.NewSecret()
	body := []byte(`{"type":"key.created"}`)
	sign := func(secret, id string, at time.Time) string {
		text, err := webhook.Sign(secret, id, at, body)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := sign(secret, "msg_1", noon)
	with := func(change func(http.Header)) http.Header {
		h := headers("msg_1", noon, good)
		change(h)
		return h
	}
	for name, test := range map[string]struct {
		header http.Header
		body   string
		want   error
	}{
		"as it was signed":         {headers("msg_1", noon, good), string(body), nil},
		"one of several":           {headers("msg_1", noon, sign(other, "msg_1", noon)+" v2,x v1a,y "+good), string(body), nil},
		"another secret":           {headers("msg_1", noon, sign(other, "msg_1", noon)), string(body), webhook.ErrSignature},
		"another body":             {headers("msg_1", noon, good), string(body) + " ", webhook.ErrSignature},
		"another id":               {headers("msg_2", noon, good), string(body), webhook.ErrSignature},
		"another time":             {headers("msg_1", noon.Add(time.Second), good), string(body), webhook.ErrSignature},
		"a dot in the id":          {headers("msg.1", noon, sign(secret, "msg.1", noon)), string(body), webhook.ErrHeaders},
		"at the end of tolerance":  {headers("msg_1", noon.Add(-5*time.Minute), sign(secret, "msg_1", noon.Add(-5*time.Minute))), string(body), nil},
		"too old":                  {headers("msg_1", noon.Add(-301*time.Second), sign(secret, "msg_1", noon.Add(-301*time.Second))), string(body), webhook.ErrTimestamp},
		"too new":                  {headers("msg_1", noon.Add(301*time.Second), sign(secret, "msg_1", noon.Add(301*time.Second))), string(body), webhook.ErrTimestamp},
		"no id":                    {with(func(h http.Header) { h.Del(webhook.HeaderID) }), string(body), webhook.ErrHeaders},
		"no timestamp":             {with(func(h http.Header) { h.Del(webhook.HeaderTimestamp) }), string(body), webhook.ErrHeaders},
		"no signature":             {with(func(h http.Header) { h.Del(webhook.HeaderSignature) }), string(body), webhook.ErrHeaders},
		"an empty signature":       {with(func(h http.Header) { h.Set(webhook.HeaderSignature, "") }), string(body), webhook.ErrSignature},
		"two ids":                  {with(func(h http.Header) { h.Add(webhook.HeaderID, "msg_1") }), string(body), webhook.ErrHeaders},
		"a timestamp with a sign":  {with(func(h http.Header) { h.Set(webhook.HeaderTimestamp, "+"+strconv.FormatInt(noon.Unix(), 10)) }), string(body), webhook.ErrHeaders},
		"no number":                {with(func(h http.Header) { h.Set(webhook.HeaderTimestamp, "noon") }), string(body), webhook.ErrHeaders},
		"another version":          {headers("msg_1", noon, "v2"+good[2:]), string(body), webhook.ErrSignature},
		"half a signature":         {headers("msg_1", noon, good[:20]), string(body), webhook.ErrSignature},
		"the seventeenth of many":  {headers("msg_1", noon, strings.Repeat("v1,x ", 16)+good), string(body), webhook.ErrSignature},
		"not padded as base64 is":  {headers("msg_1", noon, strings.TrimRight(good, "=")), string(body), webhook.ErrSignature},
		"a body cut from the time": {headers("msg_1", noon, good), "." + string(body), webhook.ErrSignature},
	} {
		if err := webhook.VerifyAt(secret, test.header, []byte(test.body), 0, noon); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	encode := func(n int) string { return webhook.SecretPrefix + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, want := range map[string]error{
		encode(23): webhook.ErrSecret, encode(65): webhook.ErrSecret, "": webhook.ErrSecret, "whsec_": webhook.ErrSecret, "whsec_!": webhook.ErrSecret,
		strings.TrimPrefix(secret, webhook.SecretPrefix): webhook.ErrSecret, encode(24): nil, encode(64): nil,
	} {
		if _, err := webhook.Sign(text, "msg_1", noon, nil); !errors.Is(err, want) {
			t.Errorf("signing with a secret of %d characters: %v", len(text), err)
		}
		if err := webhook.VerifyAt(text, headers("msg_1", noon, good), body, 0, noon); want != nil && !errors.Is(err, want) {
			t.Errorf("verifying with a secret of %d characters: %v", len(text), err)
		}
	}
}

func TestWhatIsSignedVerifies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := webhook.NewSecret()
		id := rapid.StringMatching(`msg_[a-z0-9_-]{1,80}`).Draw(t, "id")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		at := noon.Add(time.Duration(rapid.IntRange(-300, 300).Draw(t, "skew")) * time.Second)
		signature, err := webhook.Sign(secret, id, at, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := webhook.VerifyAt(secret, headers(id, at, signature), body, 0, noon); err != nil {
			t.Fatal(err)
		}
		if len(body) > 0 {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "place")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if err := webhook.VerifyAt(secret, headers(id, at, signature), body, 0, noon); !errors.Is(err, webhook.ErrSignature) {
				t.Fatalf("a bent body: %v", err)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	secret := webhook.NewSecret()
	f.Add("msg_1", "1767355200", "v1,AAAA", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		h := http.Header{}
		h.Set(webhook.HeaderID, id)
		h.Set(webhook.HeaderTimestamp, stamp)
		h.Set(webhook.HeaderSignature, signature)
		if webhook.VerifyAt(secret, h, body, time.Hour, noon) == nil {
			t.Error("a message that nobody signed is accepted")
		}
	})
}
