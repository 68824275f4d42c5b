package bench_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// writers is how many clients write or ask at a time.
const writers = 8

// vocabulary is how many words the texts are made of. Each text has three of them, so that a question about two words is about six
// rows in a thousand, in the small context as in the large one.
const vocabulary = 1_000

// memoryRows measures facts written and queries answered a second, over HTTP and in Postgres, in a context of ten thousand rows and
// in one of a million in the same tables, in turn.
func memoryRows(t *testing.T, out *table, e effort, cluster *dbtest.Cluster) {
	t.Helper()
	connection := cluster.Database(t).String()
	manager := startKeyManager(t, connection)
	data := startDataPlane(t, connection, manager.url)
	// Not as the services open it: theirs gives no statement the time that filling takes.
	db, err := sql.Open("pgx", connection)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	small, large := newMemory(t, db, manager, data, "small", 10_000), newMemory(t, db, manager, data, "large", 1_000_000)
	if _, err := db.ExecContext(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	turns, while := max(3, e.turns/3), 5*e.while
	for _, measure := range []struct {
		name string
		of   func(*memories) func(int) error
	}{
		{"facts written/s", func(m *memories) func(int) error { return m.write }},
		{"queries/s", func(m *memories) func(int) error { return m.query }},
	} {
		scans := scansOf(t, db)
		c := compare(turns,
			func() float64 { return perSecond(t, writers, while, measure.of(large)) },
			func() float64 { return perSecond(t, writers, while, measure.of(small)) })
		out.row(measure.name+", at 10^6 rows ÷ at 10^4", "to be read", c.in("/s"), "")
		if now := scansOf(t, db); now != scans {
			t.Errorf("%s: Postgres read a whole table %d times", measure.name, now-scans)
		}
	}
}

// scansOf returns how often Postgres has read a whole table of memories or of where they are.
func scansOf(t *testing.T, db *sql.DB) (scans int64) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), `SELECT sum(seq_scan) FROM pg_stat_user_tables
		WHERE schemaname = 'data' AND relname IN ('memory_chunks', 'scope_set_nodes', 'memory_labels', 'sessions', 'turns')`).Scan(&scans)
	if err != nil {
		t.Fatal(err)
	}
	return scans
}

// startDataPlane serves a data plane over the network.
func startDataPlane(t *testing.T, connection, management string) string {
	t.Helper()
	ctx := t.Context()
	db, err := database.Open(ctx, connection, "data")
	if err != nil {
		t.Fatal(err)
	}
	migrations, err := dataplane.Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(ctx, db, migrations); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := telemetry.NewLogger(t.Output(), "error", "text", apikey.Redact)
	if err != nil {
		t.Fatal(err)
	}
	service, err := dataplane.Open(ctx, dataplane.Config{
		ConnectionString: settings.Secret(connection), ServiceSecret: settings.Secret(serviceSecret), ManagementURL: management, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

// memories is a context with many rows, and a client of it.
type memories struct {
	client *client.Client
	serial atomic.Int64
}

// newMemory makes a context and fills it: one text is remembered as anybody would, and Postgres copies its row with other words.
func newMemory(t *testing.T, db *sql.DB, manager keyManager, data, name string, rows int) *memories {
	t.Helper()
	ctx := t.Context()
	if _, err := manager.management.CreateContext(ctx, name, client.CreateContextOptions{}); err != nil {
		t.Fatal(err)
	}
	minted, err := manager.management.MintKey(ctx, name, "bench", client.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: data, ContextID: name, APIKey: client.APIKey(minted.Key.Reveal())})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Remember(ctx, "the first of "+name, client.RememberOptions{Infer: client.InferNone})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO data.memory_chunks
			(context_id, id, set_id, session_id, turn_id, principal_id, text, created_at, search)
		SELECT context_id, id || n, set_id, session_id, turn_id, principal_id, words, created_at - n * interval '1 second',
			to_tsvector('english', words) || array_to_tsvector(ARRAY[' ' || context_id])
		FROM data.memory_chunks, LATERAL (
			SELECT n, format('w%%s w%%s w%%s of note %%s', n %% %[1]d, (n::bigint * 7919) %% %[1]d, (n::bigint * 104729) %% %[1]d, n) AS words
			FROM generate_series(1, %[2]d) n
		) copies WHERE id = $1`, vocabulary, rows-1), first.ChunkID)
	if err != nil {
		t.Fatal(err)
	}
	return &memories{client: c}
}

func (m *memories) write(int) error {
	text := fmt.Sprintf("w%d w%d w%d of note x%d", rand.IntN(vocabulary), rand.IntN(vocabulary), rand.IntN(vocabulary), m.serial.Add(1))
	_, err := m.client.Remember(context.Background(), text, client.RememberOptions{Infer: client.InferNone})
	return err
}

func (m *memories) query(int) error {
	question := fmt.Sprintf("w%d w%d", rand.IntN(vocabulary), rand.IntN(vocabulary))
	found, err := m.client.Recall(context.Background(), question, client.RecallOptions{})
	if err == nil && len(found.Hits) == 0 {
		err = fmt.Errorf("nothing was found on %q", question)
	}
	return err
}
