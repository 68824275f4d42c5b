package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		headers []string
		token   string
		ok      bool
	}{
		"plain":          {[]string{"Bearer abc-._~+/123="}, "abc-._~+/123=", true},
		"other case":     {[]string{"bEARER abc"}, "abc", true},
		"two spaces":     {[]string{"Bearer  abc"}, "abc", true},
		"none":           {nil, "", false},
		"empty":          {[]string{""}, "", false},
		"two headers":    {[]string{"Bearer abc", "Bearer abc"}, "", false},
		"raw":            {[]string{"abc"}, "", false},
		"scheme only":    {[]string{"Bearer"}, "", false},
		"no token":       {[]string{"Bearer "}, "", false},
		"only padding":   {[]string{"Bearer =="}, "", false},
		"padding inside": {[]string{"Bearer a=b"}, "", false},
		"basic":          {[]string{"Basic abc"}, "", false},
		"tab":            {[]string{"Bearer\tabc"}, "", false},
		"trailing space": {[]string{"Bearer abc "}, "", false},
		"two tokens":     {[]string{"Bearer abc def"}, "", false},
		"comma":          {[]string{"Bearer abc, Bearer def"}, "", false},
		"not ASCII":      {[]string{"Bearer schlüssel"}, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{Header: http.Header{"Authorization": test.headers}}
			token, ok := web.Bearer(r)
			if token != test.token || ok != test.ok {
				t.Errorf("got %q, %v, want %q, %v", token, ok, test.token, test.ok)
			}
		})
	}
}

func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a==", "Basic x", "Bearer \x00", "Bearer é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		token, ok := web.Bearer(r)
		if !ok {
			if token != "" {
				t.Errorf("a token with a refusal")
			}
			return
		}
		if strings.ContainsAny(token, " \t\r\n,\x00") || !strings.HasSuffix(header, token) || !strings.EqualFold(header[:7], "bearer ") {
			t.Errorf("token %q from %q", token, header)
		}
	})
}
