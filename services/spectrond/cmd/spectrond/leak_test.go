package main_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// After a whole session at the most talkative level, with keys sent to where they do not belong, neither the store nor any
// log holds a key, the secret part of one, or its SHA-256, in any of the forms in which they could be written.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		env := []string{"SPECTRON_LOG_LEVEL=debug", "SPECTRON_DATA_DIR=" + dir}
		postgres := strings.HasPrefix(url, "postgres")
		if postgres {
			env = append(env, "SPECTRON_CONNECTION_STRING="+url)
		}
		node := start(t, env, "dev", "start", "--bootstrap", "--bind-address", "127.0.0.1:0")
		printed, err := node.credentials()
		if err != nil {
			t.Fatal(err)
		}
		s := &session{data: node.address, management: node.address, first: readEnv(printed)}
		s.play(t)
		misplace(t, s)
		if err := node.stop(); err != nil {
			t.Error(err)
		}
		pepper, err := os.ReadFile(filepath.Join(dir, "pepper"))
		if err != nil {
			t.Fatal(err)
		}
		dump := files(t, dir, "pepper")
		if postgres {
			dump = rows(t, url)
		}
		log, _ := node.log.read()
		places := map[string]string{"store": dump, "log": log, "operator": s.said.String()}
		if id := s.planner[3:19]; !strings.Contains(dump, id) || !strings.Contains(s.said.String(), id) || !strings.Contains(log, `"level":"DEBUG"`) {
			t.Error("what is searched is not what was written")
		}
		for place, text := range places {
			if strings.Contains(text, strings.TrimSpace(string(pepper))) {
				t.Errorf("the %s holds the pepper", place)
			}
			for i, key := range s.secrets {
				for form, needle := range forms(key) {
					if strings.Contains(text, needle) {
						t.Errorf("the %s holds key %d as %s", place, i, form)
					}
				}
			}
		}
	})
}

// misplace sends keys where they do not belong, and one that is damaged.
func misplace(t *testing.T, s *session) {
	t.Helper()
	key, management := s.planner, s.first["SPECTRON_MANAGEMENT_API_KEY"]
	expect(t, http.StatusUnauthorized, http.MethodGet, s.data+"/api/v1/default/me", key[:54]+"!", "")
	expect(t, http.StatusUnauthorized, http.MethodGet, s.data+"/api/v1/default/me", management, "")
	expect(t, http.StatusForbidden, http.MethodGet, s.data+"/api/v1/contexts", key, "")
	for _, r := range []struct{ method, path, body string }{
		{http.MethodGet, "/api/v1/" + key + "/me", ""},
		{http.MethodGet, "/api/v1/default/me?api_key=" + key, ""},
		{http.MethodGet, "/" + key, ""},
		{http.MethodPost, "/api/v1/default/query", `{"query":"x","mode":"` + key + `"}`},
		{http.MethodPost, "/api/v1/default/query", key},
		{http.MethodGet, "/api/v1/contexts/" + key, ""},
		{http.MethodPost, "/api/v1/contexts/default/keys/x?ttl_seconds=" + key, "{}"},
		{http.MethodPost, "/api/v1/contexts/default/keys/x", `{"principal":"` + key + `"}`},
		{http.MethodPost, "/api/v1/contexts/default/keys/x", `{"` + key + `":1}`},
	} {
		as := key
		if strings.HasPrefix(r.path, "/api/v1/contexts") {
			as = management
		}
		if _, err := call(t.Context(), r.method, s.data+r.path, as, r.body); err != nil {
			t.Error(err)
		}
	}
}

// forms are the ways in which a key could be written.
func forms(key string) map[string]string {
	secret := key[20:]
	digest := sha256.Sum256([]byte(key))
	return map[string]string{
		"its text":                   key,
		"its secret":                 secret,
		"its secret, less the check": secret[:29],
		"its secret in hex":          hex.EncodeToString([]byte(secret)),
		"a digest":                   string(digest[:]),
		"a digest in hex":            hex.EncodeToString(digest[:]),
		"a digest in upper-case hex": strings.ToUpper(hex.EncodeToString(digest[:])),
		"a digest in base64":         base64.RawStdEncoding.EncodeToString(digest[:]),
		"a digest in base64url":      base64.RawURLEncoding.EncodeToString(digest[:]),
	}
}

// files returns the bytes of all files in dir but one.
func files(t *testing.T, dir, but string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, entry := range entries {
		if entry.Name() == but {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

// rows returns every row of every table of a Postgres database as text, bytes in hex.
func rows(t *testing.T, url string) string {
	t.Helper()
	conn := connect(t, url)
	var all strings.Builder
	for _, schema := range []string{"control", "data"} {
		for _, table := range tables(t, conn, schema) {
			rows, err := conn.Query(t.Context(), "SELECT row_to_json(t)::text FROM "+pgx.Identifier{schema, table}.Sanitize()+" t")
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(strings.Join(lines, "\n"))
		}
	}
	return all.String()
}
