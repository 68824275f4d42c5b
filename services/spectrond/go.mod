module github.com/spectron-hq/spectron/services/spectrond

go 1.26.0
