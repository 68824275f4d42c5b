package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// TestSearchUsesItsIndexes fills a context and its neighbour and asks each engine how it would search, for texts and for
// attributes, to recall and to forget.
func TestSearchUsesItsIndexes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, err := database.Open(t.Context(), url, Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		m, err := Migrations(db.Engine)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := database.Migrate(t.Context(), db, m); err != nil {
			t.Fatal(err)
		}
		explain, want := "EXPLAIN QUERY PLAN ", []string{"VIRTUAL TABLE INDEX", "scope_set_nodes_by_node (context_id=? AND node>? AND node<?)"}
		if db.Engine == database.Postgres {
			explain, want = "EXPLAIN ", []string{"Bitmap Index Scan on memory_chunks_by_search", "scope_set_nodes_by_node"}
			fill(t, db)
		}
		acme, err := scope.ParsePattern("org/acme/*")
		if err != nil {
			t.Fatal(err)
		}
		search := memory.Search{Incarnation: "c1", Terms: []string{"rare", "word7"}, Region: scope.Region{acme}, Limit: 10}
		s := New(db)
		for name, narrow := range map[string]func(*memory.Search){
			"everything":  func(*memory.Search) {},
			"facts alone": func(s *memory.Search) { s.Sources = []memory.Source{memory.AttributeSource, memory.EntitySource} },
			"evidence":    func(s *memory.Search) { s.WithoutReflections = true },
		} {
			narrowed := search
			narrow(&narrowed)
			statement, args := s.searchStatement(narrowed)
			uses(t, name, explained(t, db, explain+statement, args), want)
		}
		from, f := s.forgettable(memory.Forgetting{Incarnation: "c1", Terms: search.Terms, Region: search.Region})
		statement := f.with() + "SELECT c.id FROM " + from.from + " WHERE " + f.conjunction()
		uses(t, "forgetting", explained(t, db, explain+statement, f.args(from.fromArgs...)), want)
		if db.Engine == database.SQLite { // which knows nothing of how many rows a context has
			r := entity.Reading{Incarnation: "c1", Region: search.Region}
			statement, args := s.entitiesStatement(r, entity.Page{ID: "e", Limit: 1})
			uses(t, "one entity", explained(t, db, explain+statement, args), []string{"entities_current (context_id=? AND entity_id=?"})
			statement, args = s.relationsStatement(r, entity.RelationFilter{EntityID: "e", Limit: 1})
			uses(t, "its relations", explained(t, db, explain+statement, args), []string{
				"relations_by_subject (context_id=? AND subject_id=?)", "relations_by_object (context_id=? AND object_id=?)", "(context_id=? AND id=?)",
			})
		}
	})
}

func uses(t *testing.T, name, plan string, indexes []string) {
	t.Helper()
	for _, index := range indexes {
		if !strings.Contains(plan, index) {
			t.Errorf("%s: the plan does not use %s:\n%s", name, index, plan)
		}
	}
}

// explained returns the rows of a statement that explains another.
func explained(t *testing.T, db *database.DB, statement string, args []any) string {
	t.Helper()
	rows, err := db.WithContext(t.Context()).Raw(statement, args...).Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		for _, cell := range cells {
			if text, ok := cell.(*any); ok {
				fmt.Fprintln(&plan, *text)
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// fill writes rows enough for the planner to care.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO scope_set_nodes SELECT 'c' || c, decode(md5(n::text), 'hex'), 0, 'org/o' || n || '/', 1
			FROM generate_series(1, 2) c, generate_series(1, 2000) n`,
		`INSERT INTO memory_chunks (context_id, id, set_id, session_id, turn_id, principal_id, category, text, observed_at, created_at, source, search)
			SELECT 'c' || c, 'id' || n, decode(md5((n % 2000)::text), 'hex'), 's', 't', 'p', NULL, 'text', NULL, now(), CASE n % 2 WHEN 0 THEN 'attribute' ELSE 'memory_chunk' END,
			to_tsvector('english', 'common word' || n % 100) || array_to_tsvector(ARRAY[' c' || c])
			FROM generate_series(1, 2) c, generate_series(1, 10000) n`,
		`VACUUM ANALYZE`,
	} {
		if err := db.WithContext(t.Context()).Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}
