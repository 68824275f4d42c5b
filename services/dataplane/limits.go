package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

const (
	maxListLimit    = 500
	defaultPageSize = 100

	defaultTraceDays = 30
	maxTraceDays     = 36500
)

// Limits are how much one request may ask for, which can be lowered, never raised, and how long what was asked is kept. Zero
// means the default.
type Limits struct {
	MaxQueryK       int `env:"SPECTRON_MAX_QUERY_K" envDefault:"50" flag:"max-query-k" usage:"the most hits that a query may ask for; 50 at most"`
	MaxListLimit    int `env:"SPECTRON_MAX_LIST_LIMIT" envDefault:"500" flag:"max-list-limit" usage:"the most rows that a list may ask for; 500 at most"`
	DefaultPageSize int `env:"SPECTRON_DEFAULT_PAGE_SIZE" envDefault:"100" flag:"default-page-size" usage:"how many rows a list has that does not ask for a number; 500 at most"`
	// TraceRetentionDays is how long traces and audit rows are kept.
	TraceRetentionDays int `env:"SPECTRON_TRACE_RETENTION_DAYS" envDefault:"30" flag:"trace-retention-days" usage:"days for which traces and audit rows are kept"`
}

// Verify refuses limits that are out of range.
func (l Limits) Verify() error {
	var errs []error
	for _, each := range []struct {
		name           string
		value, ceiling int
	}{
		{"SPECTRON_MAX_QUERY_K (--max-query-k)", l.MaxQueryK, memory.MaxHits},
		{"SPECTRON_MAX_LIST_LIMIT (--max-list-limit)", l.MaxListLimit, maxListLimit},
		{"SPECTRON_DEFAULT_PAGE_SIZE (--default-page-size)", l.DefaultPageSize, maxListLimit},
		{"SPECTRON_TRACE_RETENTION_DAYS (--trace-retention-days)", l.TraceRetentionDays, maxTraceDays},
	} {
		if each.value < 0 || each.value > each.ceiling {
			errs = append(errs, fmt.Errorf("%s: want 1 to %d, or 0 for the default", each.name, each.ceiling))
		}
	}
	return errors.Join(errs...)
}

func (l Limits) api() httpapi.Limits {
	return httpapi.Limits{
		QueryK:    cmp.Or(l.MaxQueryK, memory.MaxHits),
		ListLimit: cmp.Or(l.MaxListLimit, maxListLimit),
		PageSize:  cmp.Or(l.DefaultPageSize, defaultPageSize),
	}
}

func (l Limits) traceRetention() time.Duration {
	return time.Duration(cmp.Or(l.TraceRetentionDays, defaultTraceDays)) * 24 * time.Hour
}
