package acceptance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestImports brings keys of another system by their hashes, which is beyond the contract of published clients; and a key of our own whose
// name is that of the route.
func TestImports(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w := d.newWorld(t, "")
		w.vars["old"] = "another-system-" + w.id + "-0123456789abcdef"
		hash := sha256.Sum256([]byte(w.vars["old"]))
		w.vars["hash"], w.vars["base64"] = hex.EncodeToString(hash[:]), base64.StdEncoding.EncodeToString(hash[:])
		for _, s := range imports {
			t.Run(s.line, func(t *testing.T) { w.tell(t, s) })
		}
	})
}

var imports = []step{
	{"a principal", "operator", "POST " + contexts + "/principals", `{"display_name":"p","grants":{"memory:read":["org/acme/*"]}}`, 201, "", "p=id"},
	{"401 before", "<old>", "GET me", "", 401, "", ""},
	{
		"POST import/200 each by itself", "operator", "POST " + contexts + "/keys/import",
		`{"keys":[{"name":"old","hash":"<hash>","principal_id":"<p>","ttl_seconds":600},{"name":"bad","hash":"x"}]}`, 200,
		`{"revision":"$some","propagation":"$object","keys":[
			{"name":"old","status":"created","id":"$text","principalId":"<p>","validUntil":"$in 600","detail":"$absent"},
			{"name":"bad","status":"error","detail":"hash: want the SHA-256 of the key: 64 hexadecimal digits, or base64","id":"$absent"}]}`, "id=keys.0.id",
	},
	{"200 on the very next request", "<old>", "GET me", "", 200, `{"principalId":"<p>","effectiveGrants":{"memory:read":["org/acme/*"]}}`, ""},
	{
		"POST import/200 the same again, in base64", "operator", "POST " + contexts + "/keys/import",
		`{"keys":[{"name":"old","hash":"<base64>","principal_id":"<p>","ttl_seconds":600}]}`, 200, `{"keys":[{"name":"old","status":"exists","id":"<id>"}]}`, "",
	},
	{
		"POST import/200 a hash that another key has", "operator", "POST " + contexts + "/keys/import",
		`{"keys":[{"name":"other","hash":"<hash>"}]}`, 200, `{"revision":"$absent","keys":[{"name":"other","status":"conflict","detail":"$text","id":"$absent"}]}`, "",
	},
	{"GET keys/200", "operator", "GET " + contexts + "/keys", "", 200, `[{"id":"<id>","name":"old","principalId":"<p>"}]`, ""},
	{"POST import/400 none", "operator", "POST " + contexts + "/keys/import", `{"keys":[]}`, 400, "", ""},
	{"POST import/400 what mints a key", "operator", "POST " + contexts + "/keys/import", `{"principal":"agent"}`, 400, "", ""},
	{"POST import/404", "operator", "POST /api/v1/contexts/nobodys/keys/import", `{"keys":[{"name":"old","hash":"<hash>"}]}`, 404, "", ""},
	{"POST rotate/200 a key of ours", "operator", "POST " + contexts + "/keys/old/rotate", "", 200, `{"id":"<id>","name":"old","key":"$key"}`, "new=key"},
	{"401 the old text", "<old>", "GET me", "", 401, "", ""},
	{"200 the new one", "<new>", "GET me", "", 200, `{"principalId":"<p>"}`, ""},
	{"a key whose name is import", "operator", "POST " + contexts + "/principals/<p>/keys/import", "", 201, `{"name":"import"}`, "import=id first=key"},
	{"POST rotate/200 of that name", "operator", "POST " + contexts + "/keys/import/rotate", "", 200, `{"id":"<import>","name":"import","key":"$key"}`, "second=key"},
	{"401 its first secret", "<first>", "GET me", "", 401, "", ""},
	{"200 its second", "<second>", "GET me", "", 200, "", ""},
	{"PATCH keys name/200 of that name", "operator", "PATCH " + contexts + "/keys/import", `{"enabled":false}`, 200, `{"id":"<import>","enabled":false}`, ""},
	{"DELETE keys name/204 of that name", "operator", "DELETE " + contexts + "/keys/import", "", 204, "", ""},
	{"POST rotate/404 then", "operator", "POST " + contexts + "/keys/import/rotate", "", 404, "", ""},
	{"DELETE keys name/204 the imported one", "operator", "DELETE " + contexts + "/keys/old", "", 204, "", ""},
	{"401 at once", "<new>", "GET me", "", 401, "", ""},
}
