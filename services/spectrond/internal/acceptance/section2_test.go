package acceptance_test

import (
	"fmt"
	"strings"
)

// manyLabels are more labels than anything may have.
var manyLabels = func() string {
	labels := make([]string, 1000)
	for i := range labels {
		labels[i] = fmt.Sprintf(`"k%d=v"`, i)
	}
	return strings.Join(labels, ",")
}()

// Section 2: keys. What takes time to happen is in TestExpiry and TestLastUse.
var section2 = []story{
	{section: "2.3", steps: []step{
		{"mint/omitted is never", "operator", "POST /api/v1/contexts/<ctx>/keys/a", "", 201, `{"id":"$text","name":"a","key":"$key","validUntil":"$absent"}`, "id=id"},
		{"rotate/omitted keeps never", "operator", "POST /api/v1/contexts/<ctx>/keys/a/rotate", "", 200, `{"validUntil":"$absent"}`, ""},
		{"rotate/N is now+N", "operator", "POST /api/v1/contexts/<ctx>/keys/a/rotate?ttl_seconds=7200", "", 200, `{"validUntil":"$in 7200"}`, "end=validUntil"},
		{"rotate/omitted keeps the current expiry", "operator", "POST /api/v1/contexts/<ctx>/keys/a/rotate", "", 200, `{"validUntil":"<end>"}`, ""},
		{"mint/ttl_seconds", "operator", "POST /api/v1/contexts/<ctx>/keys/b?ttl_seconds=3600", "", 201, `{"validUntil":"$in 3600"}`, "b=key"},
		{"mint/400 ttl_seconds=0", "operator", "POST /api/v1/contexts/<ctx>/keys/c?ttl_seconds=0", "", 400, "", ""},
		{"mint/400 ttl_seconds=-1", "operator", "POST /api/v1/contexts/<ctx>/keys/c?ttl_seconds=-1", "", 400, "", ""},
		{"mint/400 ttl_seconds=soon", "operator", "POST /api/v1/contexts/<ctx>/keys/c?ttl_seconds=soon", "", 400, "", ""},
		{"self-service mint/ttlSeconds", "agent", "POST keys?ttlSeconds=3600", "", 201, `{"validUntil":"$in 3600"}`, ""},
		{"self-service mint/omitted is never", "agent", "POST keys", "", 201, `{"validUntil":"$absent"}`, ""},
		{"self-service rotate/ttlSeconds", "<b>", "POST keys/b/rotate?ttlSeconds=600", "", 200, `{"validUntil":"$in 600"}`, "b=key end=validUntil"},
		{"self-service rotate/omitted keeps", "<b>", "POST keys/b/rotate", "", 200, `{"validUntil":"<end>"}`, ""},
		{"self-service/400 ttlSeconds=0", "agent", "POST keys?ttlSeconds=0", "", 400, "", ""},
	}},
	{section: "2.3 max_token_ttl_seconds", config: `{"config":{"max_token_ttl_seconds":1800}}`, steps: []step{
		{"mint/no TTL is the cap", "operator", "POST /api/v1/contexts/<ctx>/keys/a", "", 201, `{"validUntil":"$in 1800"}`, "a=key"},
		{"mint/above the cap is clamped", "operator", "POST /api/v1/contexts/<ctx>/keys/b?ttl_seconds=999999", "", 201, `{"validUntil":"$in 1800"}`, ""},
		{"mint/below the cap stays", "operator", "POST /api/v1/contexts/<ctx>/keys/c?ttl_seconds=600", "", 201, `{"validUntil":"$in 600"}`, ""},
		{"rotate/above the cap is clamped", "operator", "POST /api/v1/contexts/<ctx>/keys/c/rotate?ttl_seconds=999999", "", 200, `{"validUntil":"$in 1800"}`, ""},
		{"nested mint/no TTL is the cap", "operator", "POST /api/v1/contexts/<ctx>/principals/admin/keys/d", "", 201, `{"validUntil":"$in 1800"}`, ""},
		{"nested mint/above the cap is clamped", "operator", "POST /api/v1/contexts/<ctx>/principals/admin/keys/e?ttl_seconds=999999", "", 201, `{"validUntil":"$in 1800"}`, ""},
		{"nested rotate/above the cap is clamped", "operator", "POST /api/v1/contexts/<ctx>/principals/admin/keys/e/rotate?ttl_seconds=999999", "", 200, `{"validUntil":"$in 1800"}`, ""},
		{"self-service mint/no TTL is the cap", "<a>", "POST keys", "", 201, `{"validUntil":"$in 1800"}`, ""},
		{"self-service mint/above the cap is clamped", "<a>", "POST keys?ttlSeconds=999999", "", 201, `{"validUntil":"$in 1800"}`, ""},
		{"self-service rotate/above the cap is clamped", "<a>", "POST keys/a/rotate?ttlSeconds=999999", "", 200, `{"validUntil":"$in 1800"}`, ""},
		{
			"access-tokens/above the cap is clamped", "operator", "POST /api/v1/contexts/<ctx>/access-tokens",
			`{"external_id":"x:1","display_name":"X","ttl_seconds":999999}`, 201, `{"validUntil":"$in 1800"}`, "",
		},
	}},
	{section: "2.5", steps: []step{
		{
			"mint/id, name, secret", "operator", "POST /api/v1/contexts/<ctx>/keys/ci", `{"principal":"agent","scope_floor":{"org":"acme"}}`, 201,
			`{"id":"$text","name":"ci","key":"$key","principalId":"$text","revision":"$some"}`, "id=id principal=principalId old=key",
		},
		{
			"list/no secret", "operator", "GET /api/v1/contexts/<ctx>/keys", "", 200,
			`[{"id":"<id>","name":"ci","principalId":"<principal>","key":"$absent","secret":"$absent","hash":"$absent"}]`, "created=0.createdAt",
		},
		{
			"rotate/keeps id, name, principal", "operator", "POST /api/v1/contexts/<ctx>/keys/ci/rotate", "", 200,
			`{"id":"<id>","name":"ci","key":"$key","principalId":"<principal>","revision":"$some","propagation":{"acknowledged":"$int","lapsed":"$int"}}`, "new=key",
		},
		{"rotate/keeps createdAt", "operator", "GET /api/v1/contexts/<ctx>/keys", "", 200, `[{"id":"<id>","createdAt":"<created>"}]`, ""},
		{
			"rotate/keeps grants", "<new>", "GET me", "", 200,
			`{"principalId":"<principal>","effectiveGrants":{"memory:read":["org/acme/*"],"memory:write":["org/acme/*"]}}`, "",
		},
		{"rotate/the old secret is dead at once", "<old>", "GET me", "", 401, "", ""},
		{"delete/204", "operator", "DELETE /api/v1/contexts/<ctx>/keys/ci", "", 204, "", ""},
		{"delete/immediate", "<new>", "GET me", "", 401, "", ""},
		{"delete/hard", "operator", "GET /api/v1/contexts/<ctx>/keys", "", 200, `[]`, ""},
		{"delete/404 twice", "operator", "DELETE /api/v1/contexts/<ctx>/keys/ci", "", 404, "", ""},
		{"mint/the name is free again", "operator", "POST /api/v1/contexts/<ctx>/keys/ci", "", 201, `{"name":"ci"}`, ""},
	}},
}
