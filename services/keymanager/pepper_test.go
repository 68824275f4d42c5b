package keymanager_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager"
)

// Nothing is served without a pepper that keys, or the secrets of webhooks, are sealed under, unless it is given up by name.
func TestAPepperThatIsMissed(t *testing.T) {
	t.Parallel()
	const first, second = "1:a pepper for tests that is long enough", "2:another pepper for tests of enough letters"
	dbtest.Each(t, func(t *testing.T, url string) {
		migrate(t, url)
		open := func(pepper string, retired ...string) (*keymanager.Service, error) {
			cfg := config(url)
			cfg.Pepper, cfg.RetiredPeppers = settings.Secret(pepper), retired
			return keymanager.Open(t.Context(), cfg)
		}
		refused := func(what, pepper string, retired ...string) {
			t.Helper()
			service, err := open(pepper, retired...)
			if err == nil {
				err = errors.Join(errors.New("it is served"), service.Close())
			}
			if !strings.Contains(err.Error(), what) {
				t.Errorf("with %.2s and %v retired: %v, want a refusal for %s", pepper, retired, err, what)
			}
		}
		served := func(pepper string, retired ...string) {
			t.Helper()
			service, err := open(pepper, retired...)
			if err == nil {
				err = service.Close()
			}
			if err != nil {
				t.Errorf("with %.2s and %v retired: %v", pepper, retired, err)
			}
		}
		sealUnderFirst(t, open, first)
		const keys, hooks = "keys are sealed under version 1", "the secrets of 1 webhooks are sealed under version 1"
		refused(keys, second)
		refused(keys, second, "2", "11")
		served(second + "," + first)
		execute(t, url, "UPDATE keys SET pepper_version = 2") // as after all of them have been seen
		refused(hooks, second)
		served(second, "1")
	})
}

// sealUnderFirst makes keys and a webhook.
func sealUnderFirst(t *testing.T, open func(string, ...string) (*keymanager.Service, error), pepper string) {
	t.Helper()
	service, err := open(pepper)
	if err != nil {
		t.Fatal(err)
	}
	management := newKey(t)
	err = service.Bootstrap(t.Context(), introspection.Enrolment{
		Attempt: apikey.NewID(), ContextID: "default", Management: introspection.Enrol(management), Context: introspection.Enrol(newKey(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v1/webhooks", strings.NewReader(`{"url":"https://example.com/hook"}`))
	r.Header.Set("Authorization", "Bearer "+management.Reveal())
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if service.Handler().ServeHTTP(w, r); w.Code != http.StatusCreated {
		t.Fatalf("making a webhook: %d", w.Code)
	}
	if err := service.Close(); err != nil {
		t.Fatal(err)
	}
}

// execute runs a statement on the key manager's schema.
func execute(t *testing.T, url, statement string) {
	t.Helper()
	db, err := database.Open(t.Context(), url, "control")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.WithContext(t.Context()).Exec(statement).Error, db.Close()); err != nil {
		t.Fatal(err)
	}
}
