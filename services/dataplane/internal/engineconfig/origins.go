package engineconfig

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// maxOrigins and maxOrigin bound the list of pages: each request of a browser is compared with all of it.
	maxOrigins = 64
	maxOrigin  = 256
)

// SetOrigins makes origins the pages that may call from a browser, as actor, and returns the configuration after it. No page may
// when there is none. Where it is so already nothing is written.
func (s *Service) SetOrigins(ctx context.Context, space, actor string, origins []string) (*Config, error) {
	if err := checkOrigins(origins); err != nil {
		return nil, err
	}
	current, err := s.Current(ctx, space)
	if err != nil || slices.Equal(current.Origins, origins) {
		return current, err
	}
	_, err = s.Log.Learn(ctx, space, actor, marshal(change{Topic: aboutOrigins, Origins: &origins}))
	s.Changed(space)
	if err != nil {
		return nil, err
	}
	return s.Current(ctx, space)
}

func checkOrigins(origins []string) error {
	if len(origins) > maxOrigins {
		return fault.InvalidField("origins", "may have at most %d items", maxOrigins)
	}
	for _, origin := range origins {
		if strings.TrimSpace(origin) == "" || !utf8.ValidString(origin) || len(origin) > maxOrigin {
			return fault.InvalidField("origins", "each must have 1 to %d characters", maxOrigin)
		}
	}
	if _, err := web.ParseOrigins(origins); err != nil {
		return fault.InvalidField("origins", "%v", err)
	}
	return nil
}

// home is which space the configuration is of that is asked for by nobody in particular, as it was known at a moment; empty while
// that is not known.
type home struct {
	space string
	at    time.Time
}

// Pages returns the pages that may call from a browser, for a request whose caller is not known, and may be nobody. It heeds changes as
// [Service.Current] does. None may where that cannot be found out; and while authentication is off none of these may, for the list
// is made by others than who has started the server that way.
func (s *Service) Pages(ctx context.Context) web.Origins {
	if s.AuthenticationOff {
		return nil
	}
	space := s.home(ctx)
	if space == "" {
		return nil
	}
	config, err := s.Current(ctx, space)
	if err != nil {
		s.Logger.WarnContext(ctx, "which pages may call cannot be found out", slog.Any("error", err))
		return nil
	}
	return config.pages
}

// home returns the space as it was at most a second ago, or as it was last known, while somebody asks or nobody can tell.
func (s *Service) home(ctx context.Context) string {
	known := s.known.Load()
	if known != nil && s.Now().Sub(known.at) < maxAge {
		return known.space
	}
	if !s.asking.CompareAndSwap(false, true) && known != nil {
		return known.space
	}
	defer s.asking.Store(false)
	next := &home{at: s.Now()}
	var err error
	if next.space, err = s.Space(ctx); err != nil && known != nil {
		next.space = known.space
	}
	s.known.Store(next)
	return next.space
}
