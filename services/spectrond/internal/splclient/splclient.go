// Package splclient is the spl face as its OpenAPI document describes it: generated request builders and types.
package splclient

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi.yaml ../../../dataplane/api/spl.yaml
