module github.com/spectron-hq/spectron/services/verifier

go 1.26.0
