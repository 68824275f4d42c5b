// Package managementapi is the management API as its OpenAPI document describes it: generated request builders and
// types. Package client wraps them; nothing else should use them.
package managementapi

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi.yaml ../../../../keymanager/api/openapi.yaml
