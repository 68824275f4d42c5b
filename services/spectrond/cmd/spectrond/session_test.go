package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// session is what a user does on the first day: use the first keys, mint one, rotate it, and see the old one die.
type session struct {
	// data and management are the addresses of the planes.
	data, management string
	// first is what bootstrap printed.
	first map[string]string
	// secrets are all keys that were ever shown, said what operator commands printed about them.
	secrets []string
	said    strings.Builder
	// planner is the key minted and rotated.
	planner string
}

// play plays the session from the beginning.
func (s *session) play(t *testing.T) {
	t.Helper()
	contextKey, managementKey := s.first["SPECTRON_API_KEY"], s.first["SPECTRON_MANAGEMENT_API_KEY"]
	s.secrets = append(s.secrets, contextKey, managementKey)
	s.remember(t, contextKey, "The lighthouse keeper counts every ship.")
	s.recall(t, contextKey, "lighthouse", true)

	minted := s.mint(t, "planner", "--scope-floor", "org=acme,agent=planner", "--expires-in", "3600")
	s.me(t, http.StatusOK, minted)
	s.rotate(t, minted)

	listed := s.operator(t, "keys", "list", "default", "-o", "json").stdout
	if !strings.Contains(listed, `"planner"`) || strings.Contains(listed, "sp-") {
		t.Error("the list lacks a key, or shows a secret")
	}
}

// rotate rotates the planner's key, whose secret is previous, and sees the old one die and the new one live. Without a
// lifetime of its own it keeps its end.
func (s *session) rotate(t *testing.T, previous string) {
	t.Helper()
	before := s.describe(t, "planner")
	s.planner = strings.TrimSpace(s.operator(t, "keys", "rotate", "default", "planner").stdout)
	s.secrets = append(s.secrets, s.planner)
	s.me(t, http.StatusUnauthorized, previous)
	s.me(t, http.StatusOK, s.planner)
	if after := s.describe(t, "planner"); after != before {
		t.Errorf("rotation changed the key from %+v to %+v", before, after)
	}
}

// described is what a list says of a key.
type described struct {
	ID, Name, PrincipalID string
	ValidUntil            time.Time
}

func (s *session) describe(t *testing.T, name string) described {
	t.Helper()
	var list []described
	if err := json.Unmarshal([]byte(s.operator(t, "keys", "list", "default", "-o", "json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	for _, key := range list {
		if key.Name == name {
			return key
		}
	}
	t.Fatalf("no key %s", name)
	return described{}
}

func (s *session) mint(t *testing.T, name string, more ...string) string {
	t.Helper()
	key := strings.TrimSpace(s.operator(t, append([]string{"keys", "generate-key", "default", name}, more...)...).stdout)
	s.secrets = append(s.secrets, key)
	return key
}

// operator runs a command with the management key.
func (s *session) operator(t *testing.T, args ...string) outcome {
	t.Helper()
	out := must(t, []string{
		"SPECTRON_MANAGEMENT_URL=" + s.management, "SPECTRON_MANAGEMENT_API_KEY=" + s.first["SPECTRON_MANAGEMENT_API_KEY"],
	}, args...)
	s.said.WriteString(out.stderr)
	return out
}

func (s *session) me(t *testing.T, status int, key string) {
	t.Helper()
	expect(t, status, http.MethodGet, s.data+"/api/v1/default/me", key, "")
}

func (s *session) remember(t *testing.T, key, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"text": text, "infer": "none"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, http.StatusOK, http.MethodPost, s.data+"/api/v1/default/facts", key, string(body))
}

func (s *session) recall(t *testing.T, key, query string, found bool) {
	t.Helper()
	got := expect(t, http.StatusOK, http.MethodPost, s.data+"/api/v1/default/query", key, `{"query":"`+query+`"}`)
	if strings.Contains(got.body, query) != found {
		t.Errorf("recall of %q: found %t, want %t", query, !found, found)
	}
}
