// Package storetest is the conformance suite of the data plane's store: what the domain packages rely on, asked of a real
// database. It passes on both engines.
package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/scope"
	signing "github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/job"
	"github.com/spectron-hq/spectron/services/dataplane/internal/lifecycle"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/purge"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// Store is everything that the domain packages ask of a store.
type Store interface {
	memory.Store
	entity.Store
	session.Conversations
	scopetree.Store
	purge.Store
	job.Index
	trace.Store
	lifecycle.Store
	entity.Store
	federation.Store
	signing.Store
	record.Store
	thread.Store
}

// Fixture is a store over an empty database, and a way to do what no method does yet.
type Fixture struct {
	Store Store
	// Seqs returns the numbers of a session's turns, in order.
	Seqs func(t *testing.T, incarnation, session string) []int64
	// Rows counts the rows of a context in all tables, the full-text index included.
	Rows func(t *testing.T, incarnation string) int
	// Unindex empties the search index of a context.
	Unindex func(t *testing.T, incarnation string)
	// Exec runs an SQL statement.
	Exec func(t *testing.T, statement string, args ...any)
}

// Run runs the suite. Each test uses contexts of its own, so the fixture may be shared.
func Run(t *testing.T, f Fixture) {
	t.Helper()
	runRecords(t, f)
	for name, test := range map[string]func(*testing.T, Fixture){
		"register scopes":                 testRegister,
		"register again":                  testRegisterAgain,
		"list scopes by region":           testNodes,
		"living scopes":                   testLiving,
		"sessions":                        testSessions,
		"turns are numbered":              testTurns,
		"list and show sessions":          testConversations,
		"sessions equal the reference":    testConversationsVisibility,
		"turns come in order":             testTurnsInOrder,
		"delete a session":                testDeleteSession,
		"a batch is stored whole":         testBatchIsWhole,
		"search is distinct":              testDistinct,
		"search by validity":              testValidity,
		"traces are filtered":             testTraces,
		"traces are summed up":            testTraceStats,
		"traces are purged":               testPurgeTraces,
		"tombstone a scope":               testTombstone,
		"forget a scope":                  testForgetUnder,
		"importance decays":               testDecay,
		"validity expires":                testExpire,
		"search by words":                 testWords,
		"search ranks":                    testRanking,
		"search filters":                  testFilters,
		"search takes any text":           testHostileText,
		"visibility equals the reference": testVisibility,
		"contexts never mix":              testIsolation,
		"similar contexts never mix":      testSimilarContexts,
		"idempotent write":                testOnce,
		"idempotent writes race":          testOnceConcurrently,
		"idempotency expires":             testOnceExpires,
		"entities equal the reference":    testEntityVisibility,
		"writers of one key race":         testEntityRace,
		"entities by page":                testEntityPages,
		"failed assertion":                testFailedAssertion,
		"forget softly":                   testForgetSoftly,
		"forget for good":                 testForgetForGood,
		"purge takes history":             testPurgeTakesHistory,
		"purge takes answers":             testPurgeTakesAnswers,
		"forgettable equals reference":    testForgettable,
		"forget in parts":                 testForgetInParts,
		"forget an entity":                testForgetEntity,
		"purge a context":                 testPurge,
		"reindex a context":               testReindex,
		"pairs":                           testPairs,
		"pairs are bounded":               testPairsAreBounded,
		"pairs are claimed":               testClaims,
		"assertion keys":                  testAssertionKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

// start is when the tests' clock begins.
var start = time.Date(2026, 8, 1, 12, 0, 0, 123456000, time.UTC)

// incarnation returns the id of a context that no other test uses.
func incarnation() string { return session.NewID() }

func sets(t testing.TB, clauses ...[]string) scope.Sets {
	t.Helper()
	out := make(scope.Sets, len(clauses))
	for i, clause := range clauses {
		for _, text := range clause {
			out[i] = append(out[i], path(t, text))
		}
	}
	return scopetree.Normal(out)
}

func path(t testing.TB, text string) scope.Path {
	t.Helper()
	p, err := scope.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func region(t testing.TB, patterns ...string) scope.Region {
	t.Helper()
	out := make(scope.Region, len(patterns))
	for i, text := range patterns {
		var err error
		if out[i], err = scope.ParsePattern(text); err != nil {
			t.Fatal(err)
		}
	}
	return out.Normal()
}

// write returns a write of text into a new session, both tagged with sets.
func write(incarnation, text string, sets scope.Sets) memory.Write {
	return memory.Write{
		Incarnation: incarnation,
		Session:     session.Session{ID: session.NewID(), Sets: sets, Principal: "writer", CreatedAt: start},
		NewSession:  true,
		Turn:        session.Turn{ID: session.NewID(), Role: session.User, Content: text, Principal: "writer", CreatedAt: start},
		Chunk:       memory.Chunk{ID: session.NewID(), Sets: sets, Text: text, CreatedAt: start},
	}
}

func remember(t testing.TB, s Store, w memory.Write) memory.Receipt {
	t.Helper()
	receipt, err := s.Remember(t.Context(), w)
	if err != nil {
		t.Fatalf("remembering: %v", err)
	}
	return receipt
}

// search returns what a reader of everything finds for query.
func search(incarnation, query string) memory.Search {
	return memory.Search{
		Incarnation: incarnation, Terms: memory.Terms(query), Region: scope.Region{scope.Everything}, Limit: memory.MaxHits,
	}
}

func find(t testing.TB, s Store, question memory.Search) []memory.Hit {
	t.Helper()
	hits, err := s.Search(t.Context(), question)
	if err != nil {
		t.Fatalf("searching: %v", err)
	}
	return hits
}

func texts(hits []memory.Hit) []string {
	out := make([]string, len(hits))
	for i, hit := range hits {
		out[i] = hit.Text
	}
	return out
}

func sortedIDs(hits []memory.Hit) []string {
	out := make([]string, len(hits))
	for i, hit := range hits {
		out[i] = hit.ID
	}
	return slices.Sorted(slices.Values(out))
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}
