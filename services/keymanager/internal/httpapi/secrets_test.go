package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// TestNothingIsKept looks for secrets, and for the digests by which the authority would answer for them, in the log and in
// every row of every table.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		secrets := []string{s.management, s.first}
		minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated)
		rotated := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k/rotate", nil), http.StatusOK)
		nested := into[httpapi.MintedKey](t, s.operate("POST", principals+"/admin/keys/n", nil), http.StatusCreated)
		turned := into[httpapi.MintedKey](t, s.operate("POST", principals+"/admin/keys/n/rotate", nil), http.StatusOK)
		token := into[httpapi.AccessToken](t, s.operate("POST", tokens, `{"external_id":"idp:1","ttl_seconds":60}`), http.StatusCreated)
		secrets = append(secrets, minted.Key, rotated.Key, nested.Key, turned.Key, token.Key)
		// Keys where they do not belong.
		stray := newKey(t).Reveal()
		secrets = append(secrets, stray)
		s.operate("POST", keys+"/"+stray, nil)
		s.operate("GET", "/api/v1/contexts/"+stray, nil)
		s.operate("GET", "/nowhere/"+stray+"?key="+stray, nil)
		s.operate("POST", keys+"/x?ttl_seconds="+stray, nil)
		s.operate("POST", keys+"/x", `{"`+stray+`":1}`)
		s.operate("POST", keys+"/x", `{"principal":"`+stray+`"}`)
		s.operate("GET", keys+"?cursor="+stray, nil)
		s.send("GET", keys, stray, nil)
		s.operate("GET", principals+"/"+stray, nil)
		s.operate("POST", principals+"/admin/keys/"+stray, nil)
		s.operate("POST", principals, `{"display_name":"`+stray+`"}`)
		s.operate("POST", principals, `{"display_name":"x","external_id":"`+stray+`"}`)
		s.operate("PATCH", principals+"/admin", `{"display_name":"`+stray+`"}`)
		s.operate("POST", tokens, `{"external_id":"`+stray+`","ttl_seconds":60}`)
		s.operate("POST", contextsPath+"/x", `{"admin_external_id":"`+stray+`"}`)
		s.introspect(t, secrets...)
		bearers := s.spreadTokens(t)
		places := map[string]string{"log": s.log.String(), "database": s.dump(t)}
		if !strings.Contains(places["database"], minted.Id) || !strings.Contains(places["log"], "trace_id") {
			t.Fatal("the places to look at are empty")
		}
		for i, text := range append(secrets, bearers...) {
			digest := sha256.Sum256([]byte(text))
			for form, needle := range map[string]string{
				"text":              text,
				"secret part":       text[len(text)-35:],
				"digest, hex":       hex.EncodeToString(digest[:]),
				"digest, base64":    base64.RawStdEncoding.EncodeToString(digest[:]),
				"digest, base64url": base64.RawURLEncoding.EncodeToString(digest[:]),
				"digest, raw":       string(digest[:]),
			} {
				for place, text := range places {
					if strings.Contains(text, needle) {
						t.Errorf("the %s holds secret %d (%s)", place, i, form)
					}
				}
			}
		}
	})
}

// spreadTokens makes tokens by every way, shows one wherever it does not belong, and returns all of them.
func (s *server) spreadTokens(t *testing.T) []string {
	t.Helper()
	first := s.firstAccount(t, "admin")
	who := s.bearer(t, first.Token.Text)
	stray, err := apikey.MintToken("prod", apikey.NewAccountID())
	must(t, err)
	text := stray.Reveal()
	minted := into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath, introspection.TokenDraft{AccountID: first.ID}), http.StatusOK)
	created := into[introspection.IssuedAccount](t, s.ask(t, who, introspection.CreateAccountPath,
		introspection.AccountDraft{Name: "x", WithToken: true}), http.StatusOK)
	rotated := into[introspection.RotatedTokens](t, s.ask(t, who, introspection.RotateTokensPath, introspection.TokenDraft{AccountID: created.ID}), http.StatusOK)
	list := []string{text}
	for path, bodies := range map[string][]any{
		introspection.GetAccountPath: {introspection.AccountErrand{ID: text}},
		introspection.CreateAccountPath: {
			introspection.AccountDraft{Name: text},
			introspection.AccountDraft{Name: "x", Actors: list},
			introspection.AccountDraft{Name: "x", Scopes: list},
			introspection.AccountDraft{Name: "x", EnvTag: text},
		},
		introspection.EditAccountPath:   {introspection.AccountEdit{ID: created.ID, Name: &text}, introspection.AccountEdit{ID: created.ID, Actors: &list}},
		introspection.RevokeAccountPath: {introspection.AccountErrand{ID: created.ID, Reason: text}, introspection.AccountErrand{ID: text}},
		introspection.ListTokensPath:    {introspection.TokenListErrand{AccountID: text}},
		introspection.RotateTokensPath:  {introspection.TokenDraft{AccountID: created.ID, Reason: text}},
		introspection.MintTokenPath:     {introspection.TokenDraft{AccountID: created.ID, EnvTag: text}},
		introspection.RevokeTokenPath: {
			introspection.TokenErrand{AccountID: created.ID, TokenID: text}, introspection.TokenErrand{AccountID: created.ID, TokenID: rotated.ID, Reason: text},
		},
	} {
		for _, body := range bodies {
			if a := s.ask(t, who, path, body); a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
				t.Errorf("%s with a token where none belongs: %d", path, a.status)
			}
		}
	}
	return []string{first.Token.Text, minted.Text, created.Token.Text, rotated.Text, text}
}

// dump returns every value of every table, as text and, where it is bytes, as hexadecimal, too.
func (s *server) dump(t *testing.T) string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if s.db.Engine == database.Postgres {
		query = "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema = 'control'"
	}
	var tables []string
	must(t, s.db.Raw(query).Scan(&tables).Error)
	if len(tables) < 7 {
		t.Fatalf("only %d tables to look at", len(tables))
	}
	var out strings.Builder
	for _, table := range tables {
		var rows []map[string]any
		must(t, s.db.Table(table).Find(&rows).Error)
		for _, row := range rows {
			for _, value := range row {
				fmt.Fprintln(&out, value)
				if raw, ok := value.([]byte); ok {
					fmt.Fprintln(&out, string(raw), hex.EncodeToString(raw))
				}
			}
		}
	}
	return out.String()
}
