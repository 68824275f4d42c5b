package remote_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

const token settings.Secret = "spl_prod_sa-bootstrap-env_correct-horse-battery"

func TestTheCredentialsAreSent(t *testing.T) {
	t.Parallel()
	daemon := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token.Reveal() || r.Header.Get("X-Syncropel-Actor") != "did:sync:user:ada" {
			t.Error("the credentials are not there")
		}
		_, _ = w.Write([]byte(`{"actor":"did:sync:user:ada"}`))
	})
	who, err := remote.Read[splclient.Identity](daemon.GetIdentity(t.Context(), nil))
	if err != nil || who.Actor != "did:sync:user:ada" {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody else was asked") }))
	t.Cleanup(elsewhere.Close)
	daemon := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := remote.Read[splclient.Identity](daemon.GetIdentity(t.Context(), nil))
	wantCode(t, err, fault.Unavailable, remote.CodeNotADaemon)
}

func TestRefusalsKeepTheirCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status     int
		body, code string
		kind       fault.Kind
	}{
		{403, `{"code":"SCOPE_FORBIDDEN","message":"no","required_scope":"admin"}`, remote.CodeScopeForbidden, fault.Forbidden},
		{409, `{"code":"BOOTSTRAP_CLOSED","message":"no"}`, remote.CodeBootstrapClosed, fault.AlreadyDone},
		{409, `{"code":"CONFLICT","message":"no"}`, "CONFLICT", fault.Conflict},
		{502, `<html>`, remote.CodeNotADaemon, fault.Unavailable},
		{404, `{}`, remote.CodeNotADaemon, fault.Unavailable},
		{200, `<html>`, remote.CodeNotADaemon, fault.Unavailable},
	} {
		daemon := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		_, err := remote.Read[splclient.Identity](daemon.GetIdentity(t.Context(), nil))
		wantCode(t, err, tt.kind, tt.code)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	daemon, err := remote.New(remote.Config{URL: address, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Read[splclient.Identity](daemon.GetIdentity(t.Context(), nil))
	wantCode(t, err, fault.Unavailable, remote.CodeUnreachable)
	if want := "unavailable: no daemon at " + address; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	t.Parallel()
	for field, configs := range map[string][]remote.Config{
		"url":   {{URL: ""}, {URL: "localhost:9100"}, {URL: "ftp://x"}, {URL: "http://"}, {URL: "http://u:p@x"}, {URL: "http://x?a=b"}, {URL: "http://x#a"}},
		"token": {{URL: remote.DefaultURL, Token: "a b"}, {URL: remote.DefaultURL, Token: "a\r\nX-Evil: 1"}, {URL: remote.DefaultURL, Token: "é"}},
		"actor": {{URL: remote.DefaultURL, Actor: "did:x\n"}},
	} {
		for _, cfg := range configs {
			_, err := remote.New(cfg)
			found, ok := errors.AsType[*fault.Error](err)
			if !ok || found.Field != field {
				t.Errorf("%s: got %v", field, err)
			}
			if err != nil && strings.Contains(err.Error(), "Evil") {
				t.Error("the token is told")
			}
		}
	}
}

func serve(t *testing.T, handler http.HandlerFunc) *remote.Daemon {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	daemon, err := remote.New(remote.Config{URL: server.URL + "/", Token: token, Actor: "did:sync:user:ada"})
	if err != nil {
		t.Fatal(err)
	}
	return daemon
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	found, ok := errors.AsType[*fault.Error](err)
	if !ok || found.Kind != kind || found.Code != code {
		t.Errorf("got %v, want %v %s", err, kind, code)
	}
	if err != nil && strings.Contains(err.Error(), "horse") {
		t.Error("the token is told")
	}
}
