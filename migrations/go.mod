module github.com/spectron-hq/spectron/migrations

go 1.26.0
