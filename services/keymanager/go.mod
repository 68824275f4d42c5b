module github.com/spectron-hq/spectron/services/keymanager

go 1.26.0
