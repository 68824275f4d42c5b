module github.com/spectron-hq/spectron/services/verifier

go 1.26.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/spectron-hq/spectron/services/contract v0.0.0
)

require github.com/puzpuzpuz/xsync/v4 v4.5.0

replace github.com/spectron-hq/spectron/services/contract => ../contract
