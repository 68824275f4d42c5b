package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

func TestOriginsAreMatchedFromEndToEnd(t *testing.T) {
	t.Parallel()
	origins, err := web.ParseOrigins([]string{"https://app.example.com", " https://*.example.org", "http://localhost:*", ""})
	if err != nil {
		t.Fatal(err)
	}
	engine := web.NewEngine(web.Options{Origins: origins, Log: discard()})
	engine.POST("/x", func(c *gin.Context) { c.Status(http.StatusUnauthorized) })
	handler := web.Handler(engine)
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "https://APP.example.com": true, "https://a.example.org": true, "https://a.b.example.org": true,
		"http://localhost:3000":        true,
		"https://example.org":          false,
		"https://app.example.com.evil": false, "https://evil.https://app.example.com": false, "http://app.example.com": false,
		"https://app.example.com:8443": false, "https://appxexample.com": false, "https://a.example.org.evil": false,
		"https://evil.test/.example.org": false, "https://evil.test/a.example.org": false, "null": false, "": false, "http://localhost": false,
	} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r := httptest.NewRequest(method, "/x", nil)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			header := w.Result().Header
			if got := header.Get("Access-Control-Allow-Origin") == origin && origin != ""; got != want {
				t.Errorf("%s from %q: %v", method, origin, header)
			}
			if header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %q allows cookies", method, origin)
			}
			if method == http.MethodOptions && want &&
				(w.Code != http.StatusNoContent || header.Get("Access-Control-Allow-Headers") == "" || header.Get("Access-Control-Allow-Methods") == "") {
				t.Errorf("preflight from %q: %d %v", origin, w.Code, header)
			}
			if method == http.MethodPost && w.Code != http.StatusUnauthorized {
				t.Errorf("the request from %q was not served: %d", origin, w.Code)
			}
		}
	}
}

func TestWithoutOriginsNoPageMayCall(t *testing.T) {
	t.Parallel()
	engine := web.NewEngine(web.Options{Log: discard()})
	engine.POST("/x", func(c *gin.Context) { c.Status(http.StatusOK) })
	for _, method := range []string{http.MethodOptions, http.MethodPost} {
		r := httptest.NewRequest(method, "/x", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		w := httptest.NewRecorder()
		web.Handler(engine).ServeHTTP(w, r)
		if got := w.Result().Header.Get("Access-Control-Allow-Origin"); got != "" || (method == http.MethodOptions && w.Code != http.StatusMethodNotAllowed) {
			t.Errorf("%s: %d %q", method, w.Code, got)
		}
	}
}

func TestOriginsThatLetEverybodyInAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"*", "**", "https://*", "https://*.*", "*://example.com", "example.com", "https://", "https://example.com/", "https://example.com/x",
		"https://user@example.com", "https://example.com?x", "http://*:*",
	} {
		if _, err := web.ParseOrigins([]string{"https://app.example.com", text}); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
