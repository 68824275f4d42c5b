package acceptance_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// Webhooks, and keys by their digests: what is beyond the contract of published clients. Nothing is delivered here.
var (
	webhooks = []story{{section: "webhooks", steps: []step{
		{
			"create/201 with the secret", "operator", "POST /api/v1/webhooks",
			`{"url":"https://example.com/h","description":"d","context_id":"<ctx>","events":["key.revoked","key.created"]}`, 201,
			`{"secret":"$text","webhook":{"id":"$text","events":["key.created","key.revoked"],"enabled":true,"context_id":"<ctx>"}}`, "id=webhook.id secret=secret",
		},
		{"get/no secret", "operator", "GET /api/v1/webhooks/<id>", "", 200, `{"id":"<id>","secret":"$absent","description":"d","failing_since":"$absent"}`, ""},
		{"list", "operator", "GET /api/v1/webhooks?limit=1", "", 200, `[{"id":"$text","secret":"$absent"}]`, ""},
		{"create/422 unknown context", "operator", "POST /api/v1/webhooks", `{"url":"https://example.com","context_id":"nobodys"}`, 422, `{"field":"context_id"}`, ""},
		{"create/400 http", "operator", "POST /api/v1/webhooks", `{"url":"http://example.com"}`, 400, `{"field":"url"}`, ""},
		{"create/400 private", "operator", "POST /api/v1/webhooks", `{"url":"https://169.254.169.254/"}`, 400, `{"field":"url"}`, ""},
		{"create/400 unknown event", "operator", "POST /api/v1/webhooks", `{"url":"https://example.com","events":["key.eaten"]}`, 400, "", ""},
		{"patch/what is absent stays", "operator", "PATCH /api/v1/webhooks/<id>", `{"description":"e"}`, 200, `{"description":"e","url":"https://example.com/h","context_id":"<ctx>"}`, ""},
		{"patch/422 unknown context", "operator", "PATCH /api/v1/webhooks/<id>", `{"context_id":"nobodys"}`, 422, "", ""},
		{"patch/400 private", "operator", "PATCH /api/v1/webhooks/<id>", `{"url":"https://10.0.0.1"}`, 400, "", ""},
		{"a mint is an event", "operator", "POST /api/v1/contexts/<ctx>/keys/hooked", "", 201, "", "key=id"},
		{
			"deliveries/pending", "operator", "GET /api/v1/webhooks/<id>/deliveries?state=pending&limit=1", "", 200,
			`[{"id":"$text","type":"key.created","state":"pending","attempts":0,"key_id":"<key>","context_id":"<ctx>"}]`, "message=0.id",
		},
		{"deliveries/none has failed", "operator", "GET /api/v1/webhooks/<id>/deliveries?state=failed", "", 200, `[]`, ""},
		{"deliveries/400 cursor", "operator", "GET /api/v1/webhooks/<id>/deliveries?cursor=eA", "", 400, "", ""},
		{"redeliver/202", "operator", "POST /api/v1/webhooks/<id>/deliveries/<message>/redeliver", "", 202, `{"id":"<message>","state":"pending"}`, ""},
		{"redeliver/404", "operator", "POST /api/v1/webhooks/<id>/deliveries/msg_x/redeliver", "", 404, "", ""},
		{"rotate-secret/200", "operator", "POST /api/v1/webhooks/<id>/rotate-secret", `{"grace_seconds":3600}`, 200, `{"secret":"$text","webhook":{"previous_secret_until":"$in 3600"}}`, ""},
		{"rotate-secret/400", "operator", "POST /api/v1/webhooks/<id>/rotate-secret", `{"grace_seconds":604801}`, 400, "", ""},
		{"test/202", "operator", "POST /api/v1/webhooks/<id>/test", "", 202, `{"type":"webhook.test","state":"pending"}`, ""},
		{"patch/disable", "operator", "PATCH /api/v1/webhooks/<id>", `{"enabled":false,"context_id":"","events":[]}`, 200, `{"enabled":false,"context_id":"$absent"}`, ""},
		{"test/409 disabled", "operator", "POST /api/v1/webhooks/<id>/test", "", 409, "", ""},
		{"redeliver/409 disabled", "operator", "POST /api/v1/webhooks/<id>/deliveries/<message>/redeliver", "", 409, "", ""},
		{"delete/204", "operator", "DELETE /api/v1/webhooks/<id>", "", 204, "", ""},
		{"delete/404", "operator", "DELETE /api/v1/webhooks/<id>", "", 404, "", ""},
	}}}
	leaks = []story{{section: "keys by digest", steps: []step{
		{"lookup/unknown", "operator", "POST /api/v1/keys/lookup", `{"digests":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}`, 200, `[{"state":"unknown","id":"$absent"}]`, ""},
		{"revoke/unknown", "operator", "POST /api/v1/keys/revoke", `{"digests":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],"reason":"leaked"}`, 200, `[{"outcome":"unknown"}]`, ""},
		{"lookup/400 none", "operator", "POST /api/v1/keys/lookup", `{"digests":[]}`, 400, "", ""},
		{"lookup/400 malformed", "operator", "POST /api/v1/keys/lookup", `{"digests":["x"]}`, 400, "", ""},
		{"revoke/400 not canonical", "operator", "POST /api/v1/keys/revoke", `{"digests":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"]}`, 400, "", ""},
	}}}
)

// TestThereAreNotTooManyWebhooks makes as many as there may be, and one more.
func TestThereAreNotTooManyWebhooks(t *testing.T) {
	t.Parallel()
	d := deploy(t, dbtest.SQLite(t))
	create := func(i int) request {
		return request{method: http.MethodPost, path: "/api/v1/webhooks", key: d.operator, body: fmt.Sprintf(`{"url":"https://example.com/%d"}`, i)}
	}
	for i := range 100 {
		d.must(t, create(i), http.StatusCreated)
	}
	d.must(t, create(100), http.StatusConflict)
}
