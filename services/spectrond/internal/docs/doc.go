// Package docs holds the documents of the repository against the programs that they are about: its tests run every block of
// commands as a reader would, follow every link, and look up every command, flag, variable and metric that is named.
//
// A block of commands is fenced as sh. What follows on the fence says who runs it:
//
//	sh                  this package, in a folder that holds bin/ and nothing else, one shell from block to block
//	sh terminal         the same, in a terminal of its own that stays open; the output that follows is awaited
//	sh compose          deployments/compose/docs-test.sh, in a clone, on a Docker engine; terminal may follow
//	sh kubernetes       deployments/kubernetes, which has no cluster, but knows the objects that are named
//	sh make             nobody, for it takes too long; but every target that is named exists
//
// A fence of output after a block is what the block prints, where … stands for anything, and alone on a line for any lines. A
// comment of HTML, which readers do not see, begins a new folder: <!-- tested: from nothing -->, <!-- tested: in a clone -->,
// <!-- tested: with a node -->, <!-- tested: with two planes -->. And <!-- tested: Ctrl-C --> ends the terminal that was opened last.
//
// Addresses such as 127.0.0.1:9090 are those of the document; each run has ports of its own.
package docs
