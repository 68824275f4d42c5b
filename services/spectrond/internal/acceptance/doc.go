// Package acceptance is a stranger who knows the published contract and nothing else: it starts both planes, on either engine, and
// holds what they answer on the wire against the contract, line by line. It holds tests only.
//
//	go test ./internal/acceptance                                     // all of it, in the sizes of `make test`
//	go test -run 'TestContract/sqlite/5.4' ./internal/acceptance      // one section
//	SPECTRON_WORLDS=2000 go test -run TestWorlds ./internal/acceptance
//	SPECTRON_DECISIONS=100000 go test -run TestDecisions ./internal/acceptance
//	go test -run '^$' -bench Masking ./internal/acceptance            // how long foreign and absent things take
//
// Every answer that any test here gets must be one that the OpenAPI documents describe: its status, and its body by the schema. When all tests
// have run, every status that the documents describe must have been answered to one of them.
package acceptance
