// Package storetest is the conformance suite of stores: what the domain relies on, whatever the engine.
package storetest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Store is all that the domain asks of a store.
type Store interface {
	tenant.Store
	tenant.PurgeStore
	tenant.JobStore
	principal.Store
	key.Store
	key.ImportStore
	key.Lookup
	deployment.Store
	revision.Store
	key.UseStore
	errand.Store
	serviceaccount.Store
	hook.Store
	hook.Queue
	key.LeakStore
	key.ResealStore
	RetirePeppers(ctx context.Context, versions []uint16) error
}

// Subject is a store under test, empty, and a way past it.
type Subject struct {
	Store Store
	// Count returns the one number that an SQL query answers.
	Count func(t *testing.T, query string) int64
	// Age makes a row of a table older: it moves a column that holds a time back.
	Age func(t *testing.T, table, column string, by time.Duration)
	// Exec runs an SQL statement.
	Exec func(t *testing.T, statement string)
	// Replica returns another store on the same database; nil where there is one process.
	Replica func(t *testing.T) Store
}

// principalTests are those of principals and of what they were granted.
var principalTests = map[string]func(*testing.T, Subject){
	"principals":                               principals,
	"a principal is created once":              principalRace,
	"a name is given once":                     renameRace,
	"changing a principal":                     changePrincipal,
	"a history ends with what it is of":        grantHistoryEnds,
	"what was granted when":                    grantHistory,
	"deleting a principal takes its keys":      deletePrincipal,
	"a mint races the end of its principal":    mintAgainstGone,
	"an identity is brokered to one principal": brokerRace,
}

// Run runs the suite. open returns a new, empty subject for each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	tests := map[string]func(*testing.T, Subject){
		"bootstrap happens once":                  bootstrapOnce,
		"the management key is replaced":          replaceManagement,
		"contexts":                                contexts,
		"a refused change leaves nothing":         refusedChange,
		"only the policy takes a revision":        policyRevisions,
		"deleting a context leaves nothing":       deleteContext,
		"purges are final after a while":          purges,
		"mint":                                    mint,
		"a name is minted once":                   mintRace,
		"rotate":                                  rotate,
		"the last rotation wins":                  rotateRace,
		"deleting a key":                          deleteKey,
		"keys are listed by name":                 listKeys,
		"look-ups":                                lookUps,
		"targets":                                 targets,
		"revisions become visible in order":       revisionOrder,
		"a mint is subject to the policy":         mintAgainstPolicy,
		"every change has its audit entry":        auditEntries,
		"a mint races the end of its context":     mintAgainstDeletion,
		"who rejoins is told what to catch up to": catchUp,
		"an early renewal does not end a lease":   leaseNeverShortens,
		"only held leases are extended":           extensions,
		"a laggard's acknowledgement counts":      laggard,
		"who is ahead gets no lease":              aheadOfHistory,
		"standing":                                standings,
		"an emptied table of leases is young":     youngTable,
		"a renewal races its end":                 renewalRace,
		"revisions have no gaps":                  denseRevisions,
		"history":                                 history,
		"replicas hear of revisions":              listen,
		"retired peppers":                         retirePeppers,
		"uses are kept by the minute":             recordUses,
		"settings of a key":                       settings,
		"keys that end soon":                      expiring,
		"uses are counted":                        countUses,
		"jobs":                                    jobs,
		"a job is taken once":                     jobRace,
		"two renewals rejoin at once":             rejoinRace,
		"the longest leases are noted":            longestLeases,
		"what a rotation read may change":         rotateAgain,
		"old uses go, the last one stays":         pruneUses,
	}
	maps.Copy(tests, principalTests)
	maps.Copy(tests, accountTests)
	maps.Copy(tests, hookTests)
	maps.Copy(tests, resealTests)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// ring returns a keyring of one pepper.
func ring(t *testing.T) *secret.Keyring {
	t.Helper()
	r, err := secret.ParseKeyring("a pepper for tests that is long enough")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newSecret returns a random key text's digest and id.
func newSecret(t *testing.T) apikey.Key {
	t.Helper()
	text, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sealed returns a key with a random secret, and the seal to find it by.
func sealed(t *testing.T, contextID, principalID, name string) key.Key {
	t.Helper()
	text := newSecret(t)
	k := key.Key{ID: text.ID(), Kind: key.Context, ContextID: contextID, PrincipalID: principalID, Name: name}
	k.Seal, k.Pepper = ring(t).Seal(text.Digest())
	return k
}

// create creates a context.
func create(t *testing.T, s Store, id string) tenant.Context {
	t.Helper()
	c, principals, err := tenant.New(tenant.Draft{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = s.CreateContext(t.Context(), c, principals); err != nil {
		t.Fatal(err)
	}
	return c
}

// mintKey mints a key with a principal of its own.
func mintKey(t *testing.T, s Store, contextID, name string) key.Key {
	t.Helper()
	k, _, err := tryMint(t, s, contextID, name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func tryMint(t *testing.T, s Store, contextID, name string) (key.Key, int64, error) {
	t.Helper()
	k := sealed(t, contextID, "", name)
	p := ownerOf(&k)
	return s.MintKey(t.Context(), contextID, p, func(time.Time, tenant.Config) key.Key { return k })
}

// ownerOf returns a principal made for k.
func ownerOf(k *key.Key) principal.Principal {
	k.PrincipalID = secret.NewID(16)
	return principal.Principal{
		ContextID: k.ContextID, ID: k.PrincipalID, DisplayName: k.Name, Kind: "agent", Grants: grant.All(), OwnerKey: k.ID,
	}
}

// reseal is a rotation to the given seal.
func reseal(seal secret.Seal) key.Rotation {
	return func(at time.Time, _ tenant.Config, k key.Key) (key.Key, error) {
		k.Seal, k.RotatedAt = seal, at
		return k, nil
	}
}

// anyKey allows every key.
func anyKey(key.Key) error { return nil }

// find looks one seal up.
func find(t *testing.T, s Store, seal secret.Seal) (*key.Found, key.Snapshot) {
	t.Helper()
	snapshot, err := s.FindKeys(t.Context(), []secret.Seal{seal})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Found[seal], snapshot
}
