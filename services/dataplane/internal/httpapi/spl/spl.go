// Package spl is the spl face of the data plane on HTTP: service accounts and their tokens, and the records, threads,
// configuration and federation that these open, as api/spl.yaml describes them.
//
// It promises that a request is looked at in one order: its token, the scope of the route, the actor it claims, the permission
// rules, and only then its parameters and its body. Whatever is refused has told nothing about what comes later.
package spl

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

// Parts is what the face is made of.
type Parts struct {
	// Version is what the manifest tells.
	Version string
}

// Mount adds the routes of the face to engine.
func Mount(engine *gin.Engine, parts Parts) error {
	spec, err := GetSpec()
	if err != nil {
		return fmt.Errorf("loading the API document of the spl face: %w", err)
	}
	server{Parts: parts}.mount(engine, web.Validate(spec))
	return nil
}

// server has one method per operation of the document.
type server struct {
	pending
	Parts
}
