//go:build amd64 || arm64

package verifier

// prefetch asks the processor to fetch p and the three places behind it into its cache: most searches end there.
// It is a hint. It reads nothing, so that others may write there, and what lies behind the end of a table does no harm.
//
//go:noescape
func prefetch(p *place)
