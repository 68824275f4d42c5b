//go:build amd64 || arm64

package verifier

// prefetch asks the processor to fetch the place p and the one behind it into its cache. It is a hint: it reads nothing, so p
// may be written meanwhile or lie at the end of a table.
//
//go:noescape
func prefetch(p *place)
