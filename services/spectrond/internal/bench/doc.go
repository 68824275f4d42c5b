// Package bench compares Spectron with what people do today, as ratios measured in one run. `make bench` runs it.
package bench
