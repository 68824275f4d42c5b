package dataplane_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

func TestATokenKnowsItsEnd(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	var who struct {
		ExpiresAt *time.Time `json:"expires_at"`
	}
	token := p.token(t, grant.RecordsRead)
	if p.ok(t, &who, token, http.MethodGet, "/v1/identity", "", asActor, ada); who.ExpiresAt != nil {
		t.Errorf("one without an end ends %s", who.ExpiresAt)
	}
	token = p.token(t, grant.RecordsRead)
	before := time.Now()
	p.authority.Expire(t, token, time.Hour)
	for range 2 { // as the authority says it, and as it is remembered
		p.ok(t, &who, token, http.MethodGet, "/v1/identity", "", asActor, ada)
		latest := time.Now().Add(time.Hour)
		if who.ExpiresAt == nil || who.ExpiresAt.Before(before.Add(time.Hour).Truncate(time.Second)) || who.ExpiresAt.After(latest) {
			t.Errorf("one of an hour ends %v", who.ExpiresAt)
		}
	}
}
