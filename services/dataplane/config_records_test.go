package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

func configRecord(thread, act, body string) string {
	return `{"thread":"` + thread + `","actor":"` + ada + `","act":"` + act + `","body":` + body + `}`
}

func TestTheConfigurationCanBeWrittenAsRecords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		keeper, writer := p.token(t, grant.RecordsWrite, grant.ConfigWrite), p.token(t, grant.RecordsWrite, grant.ConfigRead)
		const config, deny = "th_engine_config", `{"topic":"rule","kind":"permission-rules","name":"no bob","priority":9,"action":"deny","expression":"current_actor() == 'did:sync:user:bob'"}`
		for _, c := range []struct {
			name, token, body string
			status            int
			code, says        string
		}{
			{"only records", writer, configRecord(config, "LEARN", deny), 403, "SCOPE_FORBIDDEN", "config:write"},
			{"only the configuration", p.token(t, grant.ConfigWrite), configRecord(config, "LEARN", deny), 403, "SCOPE_FORBIDDEN", "records:write"},
			{"another act", keeper, configRecord(config, "PUT", deny), 400, "INVALID_RECORD", "LEARN"},
			{"another topic", keeper, configRecord(config, "LEARN", `{"topic":"auth"}`), 400, "INVALID_RECORD", "body.topic"},
			{"an unknown field", admin, configRecord(config, "LEARN", `{"topic":"rule","kind":"rules","name":"x","expresion":"y"}`), 400, "INVALID_RECORD", "expresion"},
			{"an expression", admin, configRecord(config, "LEARN", strings.Replace(deny, "current_actor()", "actor", 1)), 400, "INVALID_RECORD", "line 1, column 1"},
			{"authentication off", admin, configRecord(config, "LEARN", `{"topic":"auth_required","enabled":false}`), 400, "INVALID_RECORD", "--insecure-localhost"},
			{"a lockout", admin, configRecord(config, "LEARN", `{"topic":"permissions_enabled","enabled":true}`), 409, "PERMISSIONS_LOCKOUT", "thread_read"},
			{"the audit of tokens", admin, configRecord("th_audit_tokens", "LEARN", `{"kind":"core.token_lifecycle_event.v1"}`), 403, "RESERVED_THREAD", "th_audit_tokens"},
			{"service accounts", admin, configRecord("th_service_accounts", "LEARN", `{}`), 403, "RESERVED_THREAD", "th_service_accounts"},
		} {
			got := p.call(t, c.token, "POST", "/v1/records", c.body)
			if problem := got.problem(t); got.status != c.status || problem.Code != c.code || !strings.Contains(problem.Message, c.says) {
				t.Errorf("%s: %d %s", c.name, got.status, got.body)
			}
		}
		if got := p.config(t, admin); got.PermissionsEnabled || got.Rules["permission-rules"] != 0 {
			t.Fatalf("something was configured: %+v", got)
		}

		var written struct{ ID string }
		for _, body := range []string{
			`{"topic":"rule","kind":"permission-rules","name":"all","action":"allow","expression":"true"}`, deny,
			`{"topic":"auth_required","enabled":true}`, `{"topic":"permissions_enabled","enabled":true}`,
		} {
			p.ok(t, &written, keeper, "POST", "/v1/records", configRecord(config, "LEARN", body))
		}
		// The next request heeds it.
		if got := p.call(t, admin, "GET", "/v1/config", "", asActor, bob); got.status != http.StatusForbidden {
			t.Errorf("bob passes: %d", got.status)
		}
		if got := p.config(t, admin); !got.PermissionsEnabled || !got.AuthRequired || got.Rules["permission-rules"] != 2 {
			t.Errorf("got %+v", got)
		}
		// And whoever changes the configuration over HTTP leaves a record in its own name.
		made := p.setRule(t, admin, "fold-rules", `{"name":"sum"}`)
		var stored struct {
			Thread, Actor, Act string
			Body               map[string]any
		}
		p.ok(t, &stored, admin, "GET", "/v1/records/"+made.RecordID, "", asActor, ada)
		if stored.Thread != config || stored.Actor != ada || stored.Act != "LEARN" || stored.Body["topic"] != "rule" || stored.Body["name"] != "sum" {
			t.Errorf("got %+v", stored)
		}
	})
}

func TestRulesSeeTheRecordThatWillBeWritten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		for _, body := range []string{
			`{"name":"secret","priority":9,"action":"deny","expression":"resource == 'record_write' && (record.thread == 'th_secret' || has(record.body.hidden))"}`,
			`{"name":"configuration","priority":8,"action":"deny","expression":"resource == 'config_write' && current_actor() == 'did:sync:user:bob'"}`,
			`{"name":"all","action":"allow","expression":"true"}`,
		} {
			p.setRule(t, admin, "permission-rules", body)
		}
		p.ok(t, &engineConfig{}, admin, "POST", "/v1/config/permissions", `{"enabled":true}`, asActor, ada)
		for body, allowed := range map[string]bool{
			configRecord("th_open", "KNOW", `{"x":1}`):                                                 true,
			configRecord("th_secret", "KNOW", `{"x":1}`):                                               false,
			configRecord("th_open", "KNOW", `{"hidden":1}`):                                            false,
			`{"Thread":"th_secret","actor":"` + ada + `","act":"KNOW"}`:                                false,
			`{"thread":"th_open","Thread":"th_secret","actor":"` + ada + `","act":"KNOW"}`:             false,
			`{"thread":"th_secret","thread":"th_open","actor":"` + ada + `","act":"KNOW","body":{}}`:   false,
			`{"thread":"th_open","thread":"th_secret","actor":"` + ada + `","act":"KNOW","body":{}}`:   false,
			`{"thread":"th_open","actor":"` + ada + `","act":"KNOW","body":{},"Body":{"hidden":true}}`: false,
		} {
			got := p.call(t, admin, "POST", "/v1/records", body, asActor, ada)
			stored := string(got.body)
			if passed := got.status == http.StatusCreated; passed && !allowed && (strings.Contains(stored, "th_secret") || strings.Contains(stored, "hidden")) || !passed && allowed {
				t.Errorf("%s: %d %s", body, got.status, got.body)
			}
		}
		// The configuration is no less closed to bob by its thread.
		record := strings.Replace(configRecord("th_engine_config", "LEARN", `{"topic":"permissions_enabled","enabled":false}`), ada, bob, 1)
		if got := p.call(t, admin, "POST", "/v1/records", record); got.status != http.StatusForbidden || got.problem(t).Code != "PERMISSION_DENIED" {
			t.Errorf("bob turns the rules off: %d %s", got.status, got.body)
		}
	})
}
