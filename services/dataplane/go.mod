module github.com/spectron-hq/spectron/services/dataplane

go 1.26.0
