module github.com/spectron-hq/spectron/services/keymanager

go 1.26.0

require (
	github.com/getkin/kin-openapi v0.152.0
	github.com/gin-gonic/gin v1.12.0
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/go-cmp v0.7.0
	github.com/oapi-codegen/runtime v1.8.0
	github.com/prometheus/client_golang v1.25.0
	github.com/spectron-hq/spectron/migrations v0.0.0
	github.com/spectron-hq/spectron/services/chassis v0.0.0
	github.com/spectron-hq/spectron/services/contract v0.0.0
	gorm.io/gorm v1.31.2
	pgregory.net/rapid v1.3.0
)

replace (
	github.com/spectron-hq/spectron/migrations => ../../migrations
	github.com/spectron-hq/spectron/services/chassis => ../chassis
	github.com/spectron-hq/spectron/services/contract => ../contract
)
