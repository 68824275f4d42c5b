module github.com/spectron-hq/spectron/services/spectron

go 1.26.0
