// Package torture proves the promise of revocation on real processes: two key managers, three data planes, one Postgres, a
// network that fails, and clients that write down what they see: of keys, of service accounts' tokens, and of the identities that
// these may claim. It holds tests only; the promise itself, as a check of what was seen, is package history.
//
//	go test ./internal/torture                                     // a short round
//	SPECTRON_TORTURE=10m go test -timeout 0 -v -run TestTorture ./internal/torture
//	go test -run TestTorture -seed 42 ./internal/torture           // the same faults again
//	go test -tags mutant -v -run TestMutants ./internal/torture    // break each rule, and see the check fail
//	SPECTRON_STORM=60s go test -v -run TestStorm ./internal/torture
package torture
