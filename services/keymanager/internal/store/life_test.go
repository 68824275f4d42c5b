package store_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
)

// found bootstraps the database at url and leaves it.
func found(t *testing.T, url string) {
	t.Helper()
	ring, err := secret.ParseKeyring("a pepper for tests that is long enough")
	if err != nil {
		t.Fatal(err)
	}
	enrolment := introspection.Enrolment{Attempt: apikey.NewID(), ContextID: "acme"}
	for _, key := range []*introspection.EnrolledKey{&enrolment.Management, &enrolment.Context} {
		text, err := apikey.Mint(apikey.NewID())
		if err != nil {
			t.Fatal(err)
		}
		*key = introspection.Enrol(text)
	}
	db := open(t, url)
	if err := deployment.NewFounder(store.New(db, time.Now), ring).Bootstrap(t.Context(), enrolment); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func authority(t *testing.T, url string) string {
	t.Helper()
	name, err := store.New(open(t, url), time.Now).Authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAFileThatWasClosedIsAnotherAuthority(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	found(t, url)
	if first, second := authority(t, url), authority(t, url); first == second {
		t.Errorf("both are %s", first)
	}
}

func TestACopyOfADatabaseIsAnotherAuthority(t *testing.T) {
	t.Parallel()
	original, copied, admin := databases(t)
	found(t, original)
	if err := admin("CREATE DATABASE " + name(t, copied) + " TEMPLATE " + name(t, original)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin("DROP DATABASE " + name(t, copied) + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	first, replica, second := authority(t, original), authority(t, original), authority(t, copied)
	if first != replica {
		t.Errorf("two replicas call themselves %s and %s", first, replica)
	}
	if first == second {
		t.Errorf("the copy calls itself %s too", second)
	}
}

// databases returns the URLs of an empty Postgres database and of one that does not exist yet, and a way to run statements
// beside both.
func databases(t *testing.T) (original, copied string, admin func(statement string) error) {
	t.Helper()
	original = dbtest.Postgres(t)
	u, err := url.Parse(original)
	if err != nil {
		t.Fatal(err)
	}
	beside := *u
	u.Path += "_copy"
	beside.Path = "/postgres"
	return original, u.String(), func(statement string) error {
		// Not the test's context: it has ended when the copy is dropped.
		db, err := database.Open(context.Background(), beside.String(), "")
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }() // the test has what it wants
		return db.Exec(statement).Error
	}
}

func name(t *testing.T, connection string) string {
	t.Helper()
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path[1:]
}
