package assertion_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
)

// table is a store in memory with a clock of its own, which replicas share.
type table struct {
	mu   sync.Mutex // guards the following fields
	rows []assertion.Row
	at   time.Time
}

func (s *table) AssertionKeys(context.Context) ([]assertion.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows), s.at, nil
}

func (s *table) AddAssertionKey(_ context.Context, row assertion.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.rows, func(r assertion.Row) bool { return r.Generation == row.Generation }) {
		s.rows = append(s.rows, row)
	}
	return nil
}

func (s *table) DropAssertionKeys(_ context.Context, kids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = slices.DeleteFunc(s.rows, func(r assertion.Row) bool { return slices.Contains(kids, r.Kid) })
	return nil
}

func (s *table) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *table) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

const lifetime = 24 * time.Hour

var begin = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// replica opens a signer on the table. Its own clock is wrong by skew.
func replica(t *testing.T, s *table, secret byte, skew time.Duration, log *bytes.Buffer) *assertion.Signer {
	t.Helper()
	sealer, err := seal.New(settings.Secret(strings.Repeat(string(secret), seal.MinSecret)), "assertion key")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := assertion.New(t.Context(), assertion.Config{
		Store: s, Sealer: sealer, Issuer: "spectron", Audiences: []string{"app", "other"}, TTL: 30 * time.Second, Lifetime: lifetime,
		Now: func() time.Time { return s.now().Add(skew) }, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// published returns the keys of a set, by id.
func published(t *testing.T, signer *assertion.Signer) map[string]ed25519.PublicKey {
	t.Helper()
	set, n := signer.Keys()
	var read struct{ Keys []map[string]string }
	if err := json.Unmarshal(set, &read); err != nil || len(read.Keys) != n {
		t.Fatalf("the set: %s, %v", set, err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range read.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k["x"])
		if err != nil || len(k) != 6 || k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["use"] != "sig" || k["alg"] != "EdDSA" {
			t.Fatalf("a key: %v, %v", k, err)
		}
		keys[k["kid"]] = x
	}
	return keys
}

var who = &caller.Caller{
	Context: "acme", KeyID: "k", KeyName: "n", Principal: &caller.Principal{ID: "planner", Kind: caller.Agent},
}

func sign(t *testing.T, signer *assertion.Signer, found assertion.Statement) (token, kid string) {
	t.Helper()
	if found.Caller == nil {
		found.Caller = who
	}
	token, err := signer.Sign(found)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &assertion.Claims{})
	if err != nil {
		t.Fatal(err)
	}
	return token, fmt.Sprint(parsed.Header["kid"])
}

// verify checks a token as a service would that has fetched these keys, at a time.
func verify(token string, keys map[string]ed25519.PublicKey, at time.Time) (*assertion.Claims, error) {
	var claims assertion.Claims
	_, err := jwt.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		key, ok := keys[fmt.Sprint(t.Header["kid"])]
		if !ok {
			return nil, fmt.Errorf("no key %v", t.Header["kid"])
		}
		return key, nil
	}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer("spectron"), jwt.WithAudience("app"), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return at }))
	return &claims, err
}

func TestAnAssertionSaysWhatWasFound(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	signer := replica(t, s, 'a', 0, &bytes.Buffer{})
	token, _ := sign(t, signer, assertion.Statement{Verb: "memory:read", Path: "org/acme/", Scope: "memory:read"})
	claims, err := verify(token, published(t, signer), begin.Add(29*time.Second))
	if err != nil || claims.Subject != "acme/planner" || claims.Context != "acme" || claims.Principal != "planner" || claims.KeyID != "k" ||
		claims.Verb != "memory:read" || claims.Path != "org/acme/" || claims.Scope != "memory:read" || claims.PrincipalKind != caller.Agent {
		t.Fatalf("%+v, %v", claims, err)
	}
	if _, err := verify(token, published(t, signer), begin.Add(31*time.Second)); err == nil {
		t.Error("taken after its end")
	}
	again, _ := sign(t, signer, assertion.Statement{})
	second, err := verify(again, published(t, signer), begin)
	if err != nil || second.ID == claims.ID || second.ID == "" {
		t.Errorf("ids %q and %q, %v", claims.ID, second.ID, err)
	}
	elsewhere, _ := sign(t, signer, assertion.Statement{Audience: "other"})
	if _, err := verify(elsewhere, published(t, signer), begin); err == nil {
		t.Error("an assertion for another service is taken")
	}
	ending, _ := sign(t, signer, assertion.Statement{Ends: begin.Add(5 * time.Second)})
	if _, err := verify(ending, published(t, signer), begin.Add(6*time.Second)); err == nil {
		t.Error("an assertion outlives its key")
	}
}

// Days go by, five minutes at a time, with two replicas whose clocks differ: whoever has fetched the keys when it was told to can check
// everything that is signed, until it expires.
func TestKeysAreRotatedUnnoticed(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	var log bytes.Buffer
	signers := []*assertion.Signer{replica(t, s, 'a', 0, &log), replica(t, s, 'a', 3*time.Hour, &log)}
	fetched := []map[string]ed25519.PublicKey{published(t, signers[0]), published(t, signers[1])}
	used, most := map[string]bool{}, 0
	for step := range 3 * 24 * 12 {
		for i, signer := range signers {
			token, kid := sign(t, signer, assertion.Statement{})
			used[kid] = true
			skew := time.Duration(i) * 3 * time.Hour
			if _, err := verify(token, fetched[1-i], s.now().Add(skew)); err != nil {
				t.Fatalf("step %d: by the set of the other replica: %v", step, err)
			}
			_, n := signer.Keys()
			most = max(most, n)
		}
		s.pass(5 * time.Minute)
		for _, signer := range signers {
			if err := signer.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// As max-age says.
		fetched = []map[string]ed25519.PublicKey{published(t, signers[0]), published(t, signers[1])}
	}
	if len(used) != 4 && len(used) != 3 {
		t.Errorf("in three days %d keys signed", len(used))
	}
	if rows, _, _ := s.AssertionKeys(t.Context()); len(rows) > 2 || most > 2 {
		t.Errorf("%d keys are kept, at most %d were published", len(rows), most)
	}
}

// What a key signed at its very end can be checked until it expires by who fetches the set only then, and whose clock is slow.
func TestAKeyIsPublishedWhileWhatItSignedIsTaken(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	signer := replica(t, s, 'a', 0, &bytes.Buffer{})
	refresh := func(after time.Duration) map[string]ed25519.PublicKey {
		s.pass(after)
		if err := signer.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return published(t, signer)
	}
	refresh(lifetime - time.Hour) // the next key is made
	refresh(time.Hour - time.Second)
	token, last := sign(t, signer, assertion.Statement{})
	const slow = time.Minute
	for range 89 {
		keys := refresh(time.Second)
		if _, err := verify(token, keys, s.now().Add(-slow)); err != nil {
			t.Fatalf("%s after the change of keys: %v", s.now().Sub(begin.Add(lifetime)), err)
		}
	}
	if _, kid := sign(t, signer, assertion.Statement{}); kid == last {
		t.Error("the keys did not change")
	}
	if keys := refresh(2 * time.Second); len(keys) != 1 {
		t.Errorf("%d keys are published for longer than they are needed", len(keys))
	}
}

func TestAfterALongStopTheOldKeySignsUntilTheNewOneIsKnown(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	_, before := sign(t, replica(t, s, 'a', 0, &bytes.Buffer{}), assertion.Statement{})
	s.pass(100 * lifetime)
	signer := replica(t, s, 'a', 0, &bytes.Buffer{})
	if _, kid := sign(t, signer, assertion.Statement{}); kid != before || len(published(t, signer)) != 2 {
		t.Errorf("signs with a key that nobody knows yet")
	}
	s.pass(time.Hour)
	if _, kid := sign(t, signer, assertion.Statement{}); kid == before {
		t.Error("the old key goes on")
	}
}

func TestReplicasThatStartTogetherAgree(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	kids := make([]string, 8)
	var starting sync.WaitGroup
	for i := range kids {
		starting.Go(func() { _, kids[i] = sign(t, replica(t, s, 'a', 0, &bytes.Buffer{}), assertion.Statement{}) })
	}
	starting.Wait()
	if slices.Sort(kids); kids[0] != kids[7] || len(s.rows) != 1 {
		t.Errorf("%d keys", len(s.rows))
	}
}

// Whoever may write the database puts a key of his own there, or the one that is there under another name.
func TestAThiefOfTheDatabaseHasNothingPublished(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	var log bytes.Buffer
	signer := replica(t, s, 'a', 0, &log)
	mine := published(t, signer)
	other := &table{at: begin}
	replica(t, other, 'b', 0, &log)
	planted := other.rows[0]
	planted.Generation = 2
	renamed := s.rows[0]
	renamed.Generation, renamed.Kid = 3, "renamed"
	s.rows = append(s.rows, planted, renamed, assertion.Row{Generation: 4, Kid: "x", Sealed: []byte("garbage"), SignsFrom: begin})
	if err := signer.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := published(t, signer)
	if len(now) != 1 || len(mine) != 1 {
		t.Errorf("%d keys are published", len(now))
	}
	if !strings.Contains(log.String(), planted.Kid) {
		t.Error("nobody is told")
	}
	seed := string(s.rows[0].Sealed)
	if strings.Contains(log.String(), seed) {
		t.Error("the log has a sealed key")
	}
}

// The keys that another secret sealed are no use: the replica makes its own, and leaves the others alone.
func TestAnotherSecretBeginsAnew(t *testing.T) {
	t.Parallel()
	s := &table{at: begin}
	_, old := sign(t, replica(t, s, 'a', 0, &bytes.Buffer{}), assertion.Statement{})
	signer := replica(t, s, 'b', 0, &bytes.Buffer{})
	token, kid := sign(t, signer, assertion.Statement{})
	if _, err := verify(token, published(t, signer), begin); err != nil || kid == old || len(s.rows) != 2 {
		t.Errorf("kid %s after %s, %d keys, %v", kid, old, len(s.rows), err)
	}
}
