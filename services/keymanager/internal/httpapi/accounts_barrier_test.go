package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// Whatever a token loses it has lost when the change is answered; asking again is answered no sooner.
func TestChangesOfServiceAccountsWaitForVerifiers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		admin := s.firstAccount(t, "admin")
		who := s.bearer(t, admin.Token.Text)
		other := into[introspection.IssuedAccount](t, s.ask(t, who, introspection.CreateAccountPath,
			introspection.AccountDraft{Name: "other", WithToken: true}), http.StatusOK)
		second := into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath,
			introspection.TokenDraft{AccountID: other.ID}), http.StatusOK)
		actors, name := []string{"did:b"}, "renamed"
		leases := revision.NewLeases(s.records, time.Minute, s.barrier)
		identity := s.renew(t, introspection.Renewal{Verifier: "v"}).Authority
		acknowledge := func(revision int64) {
			t.Helper()
			_, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: "v", Authority: identity, Acknowledged: revision})
			must(t, err)
		}
		for _, change := range []struct {
			name, path string
			body       any
			event      introspection.Event
			repeats    bool
		}{
			{"edit actors", introspection.EditAccountPath, introspection.AccountEdit{ID: other.ID, Actors: &actors}, principalEvent(other.ID), true},
			{"edit the name", introspection.EditAccountPath, introspection.AccountEdit{ID: other.ID, Name: &name}, principalEvent(other.ID), true},
			{"revoke a token", introspection.RevokeTokenPath, introspection.TokenErrand{AccountID: other.ID, TokenID: second.ID}, keyEvent(second.ID), true},
			{"rotate", introspection.RotateTokensPath, introspection.TokenDraft{AccountID: other.ID}, principalEvent(other.ID), false},
			{"revoke the account", introspection.RevokeAccountPath, introspection.AccountErrand{ID: other.ID}, principalEvent(other.ID), true},
		} {
			before, err := s.records.Newest(t.Context())
			must(t, err)
			acknowledge(before)
			ask := func() chan answer {
				answered := make(chan answer, 1)
				go func() { answered <- s.ask(t, who, change.path, change.body) }()
				return answered
			}
			first := ask()
			for newest := before; newest == before && len(first) == 0; {
				newest, err = s.records.Newest(t.Context())
				must(t, err)
			}
			again := make(chan answer)
			if change.repeats {
				again = ask()
			}
			select {
			case a := <-first:
				t.Fatalf("%s: answered %d while a verifier did not know", change.name, a.status)
			case a := <-again:
				t.Fatalf("%s again: answered %d while a verifier did not know", change.name, a.status)
			case <-time.After(pause):
			}
			made, _, err := s.records.Revisions(t.Context(), before, 2)
			must(t, err)
			change.event.Revision, change.event.Context = before+1, "default"
			if len(made) != 1 || made[0].Event() != change.event {
				t.Errorf("%s: revisions %+v, want %+v", change.name, made, change.event)
			}
			acknowledge(before + 1)
			if a := <-first; a.status != http.StatusOK {
				t.Errorf("%s: %d %s", change.name, a.status, apikey.Redact(string(a.body)))
			}
			if change.repeats {
				if a := <-again; a.status != http.StatusOK {
					t.Errorf("%s again: %d %s", change.name, a.status, apikey.Redact(string(a.body)))
				}
			}
		}
		// What widens nothing that a verifier knows waits for nobody.
		newest, err := s.records.Newest(t.Context())
		must(t, err)
		scopes := []string{"config:read"}
		made := into[introspection.IssuedAccount](t, s.ask(t, who, introspection.CreateAccountPath,
			introspection.AccountDraft{Name: "more", WithToken: true}), http.StatusOK)
		into[introspection.IssuedToken](t, s.ask(t, who, introspection.MintTokenPath, introspection.TokenDraft{AccountID: made.ID}), http.StatusOK)
		into[introspection.EditedAccount](t, s.ask(t, who, introspection.EditAccountPath, introspection.AccountEdit{ID: made.ID, Scopes: &scopes}), http.StatusOK)
		if after, err := s.records.Newest(t.Context()); err != nil || after != newest {
			t.Errorf("they took revisions %d to %d, %v", newest+1, after, err)
		}
	})
}

func principalEvent(id string) introspection.Event {
	return introspection.Event{Kind: introspection.SubjectPrincipal, ID: id}
}

func keyEvent(id string) introspection.Event {
	return introspection.Event{Kind: introspection.SubjectKey, ID: id}
}

// A token whose text a person has chosen is known to no verifier that has refused it before.
func TestAChosenTokenIsEnrolledOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		token, err := apikey.ChosenToken("correct-horse_battery")
		must(t, err)
		if s.verdict(t, token.Reveal()).Active {
			t.Fatal("it is active before it is enrolled")
		}
		before, err := s.records.Newest(t.Context())
		must(t, err)
		for range 2 {
			must(t, s.parts.Accounts.EnrolChosen(t.Context(), "default", token, []string{operatorDID}))
		}
		made, _, err := s.records.Revisions(t.Context(), before, 2)
		must(t, err)
		if len(made) != 1 || made[0].Event().Kind != introspection.SubjectDeployment {
			t.Errorf("revisions %+v, want one that touches everything", made)
		}
		v := s.verdict(t, token.Reveal())
		if !v.Active || v.Principal.ID != apikey.BootstrapAccount || !apikey.ValidTokenID(v.KeyID) ||
			!slices.Equal(v.Principal.ServiceAccount.Actors, []string{operatorDID}) {
			t.Errorf("it is worth %+v", v)
		}
		who := s.bearer(t, token.Reveal())
		listed := into[[]introspection.Account](t, s.ask(t, who, introspection.ListAccountsPath, introspection.ListErrand{Limit: 10}), http.StatusOK)
		if len(listed) != 1 || !slices.Equal(listed[0].Scopes, []string{"admin"}) || listed[0].Tokens != 1 {
			t.Errorf("listed %+v", listed)
		}
		refused(t, s.found(t, "default", "admin"), fault.Conflict, "")
		rotated := into[introspection.RotatedTokens](t, s.ask(t, who, introspection.RotateTokensPath,
			introspection.TokenDraft{AccountID: apikey.BootstrapAccount}), http.StatusOK)
		if s.verdict(t, token.Reveal()).Active || !slices.Equal(rotated.Revoked, []string{v.KeyID}) {
			t.Error("it outlives a rotation")
		}
		who = s.bearer(t, rotated.Text)
		into[introspection.RevokedAccount](t, s.ask(t, who, introspection.RevokeAccountPath, introspection.AccountErrand{ID: apikey.BootstrapAccount}), http.StatusOK)
		must(t, s.parts.Accounts.EnrolChosen(t.Context(), "default", token, nil))
		if s.verdict(t, token.Reveal()).Active {
			t.Error("it came back to life")
		}
		other, err := apikey.MintToken("prod", apikey.NewAccountID())
		must(t, err)
		if err := s.parts.Accounts.EnrolChosen(t.Context(), "default", other, nil); err == nil {
			t.Error("a token that nobody has chosen is enrolled")
		}
		if err := s.parts.Accounts.EnrolChosen(t.Context(), "nowhere", token, nil); err == nil {
			t.Error("a context that is not there takes it")
		}
	})
}
