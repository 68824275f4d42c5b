package web

import (
	"embed"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
)

//go:embed docs/index.html docs/redoc.standalone.js docs/redoc.standalone.js.LICENSE.txt docs/redoc.LICENSE
var docs embed.FS

// docsPolicy lets the page run its one script and show what that makes, and ask this server alone for anything. The script
// writes styles into the page and searches in a worker that it makes itself.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// DocumentationRoutes are the routes that [Documentation] adds.
var DocumentationRoutes = append([]string{"/openapi.json", "/docs"}, docsFiles...)

// docsFiles are what the page loads, and the licences of that.
var docsFiles = []string{"/docs/redoc.standalone.js", "/docs/redoc.standalone.js.LICENSE.txt", "/docs/redoc.LICENSE"}

// Documentation serves spec at /openapi.json and a readable page of it at /docs, to everybody. The page is whole: it asks no
// other server for anything.
func Documentation(engine *gin.Engine, spec *openapi3.T) error {
	if err := Document(engine, "/openapi.json", spec); err != nil {
		return err
	}
	page, err := docs.ReadFile("docs/index.html")
	if err != nil {
		return fmt.Errorf("reading the page of the API document: %w", err)
	}
	engine.GET("/docs", func(c *gin.Context) {
		c.Header("Content-Security-Policy", docsPolicy)
		c.Header("Referrer-Policy", "no-referrer")
		c.Data(http.StatusOK, "text/html; charset=utf-8", page)
	})
	for _, path := range docsFiles {
		engine.GET(path, func(c *gin.Context) {
			// The same for everybody, and large.
			c.Header("Cache-Control", "public, max-age=3600")
			c.Header("Content-Security-Policy", docsPolicy)
			c.FileFromFS(strings.TrimPrefix(path, "/"), http.FS(docs))
		})
	}
	return nil
}

// Document serves spec at path, to everybody.
func Document(engine *gin.Engine, path string, spec *openapi3.T) error {
	document, err := spec.MarshalJSON()
	if err != nil {
		return fmt.Errorf("writing the API document: %w", err)
	}
	engine.GET(path, func(c *gin.Context) { c.Data(http.StatusOK, jsonType, document) })
	return nil
}
