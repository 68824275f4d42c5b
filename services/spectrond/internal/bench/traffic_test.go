package bench_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/ginverifier"
)

// callers is how many keys the requests carry in turn.
const callers = 1000

// lookUp finds what is stored of a key, under its digest in hex: the JSON of a verdict.
type lookUp func(c *gin.Context, digest string) ([]byte, error)

// authenticate is what one writes without a verifier: the key's digest, one look-up per request, and the caller read from what
// is found.
func authenticate(find lookUp) gin.HandlerFunc {
	return func(c *gin.Context) {
		key, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
		digest := sha256.Sum256([]byte(key))
		text, err := find(c, hex.EncodeToString(digest[:]))
		var verdict introspection.Verdict
		if err == nil {
			err = json.Unmarshal(text, &verdict)
		}
		if err != nil || !verdict.Active {
			c.AbortWithStatus(http.StatusUnauthorized)
			return
		}
		c.Request = c.Request.WithContext(caller.With(c.Request.Context(), verdict.Caller()))
	}
}

// trafficRows compares one handler behind different ways to authenticate.
func trafficRows(t *testing.T, out *table, e effort, cluster *dbtest.Cluster) {
	t.Helper()
	v, keys := filled(t, callers, aKey)
	cache, db := startRedis(t), keysInPostgres(t, cluster, keys)
	if cache != nil {
		for _, key := range keys {
			digest, verdict := stored(key)
			cache.set(t, digest, verdict)
		}
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	answer := func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"hello": "world"}) }
	engine.GET("/plain", answer)
	engine.GET("/verified", ginverifier.Middleware(v), answer)
	engine.GET("/redis", authenticate(func(_ *gin.Context, digest string) ([]byte, error) { return cache.get(digest) }), answer)
	engine.GET("/postgres", authenticate(func(c *gin.Context, digest string) (verdict []byte, err error) {
		err = db.QueryRowContext(c.Request.Context(), "SELECT verdict FROM api_keys WHERE digest = $1", digest).Scan(&verdict)
		return verdict, err
	}), answer)
	server := httptest.NewServer(engine)
	defer server.Close()
	clients := newLoad(t, server.Listener.Addr().String())
	rate := func(path string) func() float64 {
		return func() float64 { return clients.rate(t, path, keys, e.while) }
	}
	for _, row := range []struct {
		path, measure, goal string
		least               float64
	}{
		{"/plain", "requests/s with authentication ÷ without", "≥ 0.95", 0.95},
		{"/redis", "requests/s with authentication ÷ one Redis GET each", "≥ 2", 2},
		{"/postgres", "requests/s with authentication ÷ one Postgres SELECT each", "≥ 3", 3},
	} {
		if row.path == "/redis" && cache == nil {
			out.lacks(row.measure, row.goal, "redis-server", "apt-get install redis-server")
			continue
		}
		c := compare(e.turns, rate("/verified"), rate(row.path))
		out.add(row.measure, row.goal, c.in("/s"), c.ratio >= row.least)
	}
}

// stored is what a database holds of a key: the digest in hex, and a verdict.
func stored(key string) (digest string, verdict []byte) {
	sum := sha256.Sum256([]byte(key))
	verdict, err := json.Marshal(verdictOn(key[len("sp-"):len("sp-")+16], 0))
	if err != nil {
		panic(err) // it is made of constants
	}
	return hex.EncodeToString(sum[:]), verdict
}

func keysInPostgres(t *testing.T, cluster *dbtest.Cluster, keys []string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", cluster.Database(t).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxIdleConns(clients)
	db.SetMaxOpenConns(clients)
	_, err = db.Exec("CREATE TABLE api_keys (digest text PRIMARY KEY, verdict text NOT NULL)")
	for _, key := range keys {
		digest, verdict := stored(key)
		_, insertErr := db.Exec("INSERT INTO api_keys VALUES ($1, $2)", digest, verdict)
		err = errors.Join(err, insertErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}
