package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// box is what a generated server would bind the test document's body to.
type box struct {
	Name   string `json:"name"`
	Count  int    `json:"count,omitempty"`
	Config struct {
		MaxTTL int64 `json:"max_token_ttl_seconds"`
	} `json:"config,omitzero"`
}

// boxes returns the handler of the test document. It answers what a generated server would have understood.
func boxes(tb testing.TB) http.Handler {
	tb.Helper()
	spec, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	if err := spec.Validate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	engine := web.NewEngine(web.Options{Name: "boxes", BodyLimit: 4096, Log: discard()})
	engine.Use(web.Validate(spec))
	engine.GET("/health", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	engine.POST("/boxes/:box_id", func(c *gin.Context) {
		var b box
		if err := c.ShouldBindJSON(&b); err != nil {
			web.RefuseBody(c, err)
			return
		}
		c.JSON(http.StatusOK, b)
	})
	engine.PUT("/boxes/:box_id", func(c *gin.Context) {
		value, err := io.ReadAll(c.Request.Body)
		if err != nil {
			web.RefuseBody(c, err)
			return
		}
		c.Data(http.StatusOK, "application/json", value)
	})
	engine.PATCH("/boxes/:box_id", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	engine.GET("/weights/:weight", func(c *gin.Context) { c.JSON(http.StatusOK, c.Param("weight")) })
	return web.Handler(engine)
}

// What a change sets to null would be removed by it (RFC 7396), so that is refused where it cannot be.
func TestNullInAChange(t *testing.T) {
	t.Parallel()
	h := boxes(t)
	for body, want := range map[string]int{
		`{"kind":null}`: http.StatusBadRequest, `{"config":{"names":null}}`: http.StatusBadRequest, `{"note":null}`: http.StatusNoContent,
	} {
		r := httptest.NewRequest(http.MethodPatch, "/boxes/a", strings.NewReader(body))
		if status, _, message := answerTo(t, h, r); status != want {
			t.Errorf("%s: %d %s", body, status, message)
		}
	}
}

// answerTo returns the status of the answer to a request and, of a problem, the field and the message.
func answerTo(t *testing.T, h http.Handler, r *http.Request) (status int, field, message string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("X-Trace-Id") == "" {
		t.Error("no X-Trace-Id")
	}
	if w.Code < 400 {
		return w.Code, "", w.Body.String()
	}
	var problem fault.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatalf("answer %d is no problem: %v", w.Code, err)
	}
	if problem.Status != w.Code || problem.Message != problem.Detail || w.Header().Get("Content-Type") != fault.ContentType {
		t.Errorf("malformed problem: %+v, type %q", problem, w.Header().Get("Content-Type"))
	}
	return w.Code, problem.Field, problem.Message
}

func TestValidateBody(t *testing.T) {
	t.Parallel()
	h := boxes(t)
	const half = "the body has one half of a character: a \\u escape of a surrogate without the other one"
	tests := map[string]struct {
		body    string
		status  int
		field   string
		message string
	}{
		"ok":                 {`{"name":"a","count":2,"config":{"max_token_ttl_seconds":60}}`, 200, "", `{"name":"a","count":2,"config":{"max_token_ttl_seconds":60}}`},
		"both halves":        {`{"name":"\\\ud83d\uDE00"}`, 200, "", `{"name":"\\😀"}`},
		"no escape":          {`{"name":"\\ud83d"}`, 200, "", `{"name":"\\ud83d"}`},
		"null where allowed": {`{"name":"a","note":null}`, 200, "", `{"name":"a"}`},
		"empty":              {``, 400, "", "a JSON body is required"},
		"null":               {`null`, 400, "", "the body must not be null"},
		"array":              {`[]`, 400, "", "the body must be an object"},
		"string":             {`"x"`, 400, "", "the body must be an object"},
		"cut off":            {`{"name":`, 400, "", "the body is not valid JSON from byte 8 on"},
		"not JSON":           {`name=a`, 400, "", "the body is not valid JSON from byte 2 on"},
		"trailing value":     {`{"name":"a"} {"name":"b"}`, 400, "", "the body is not valid JSON from byte 14 on"},
		"trailing junk":      {`{"name":"a"}x`, 400, "", "the body is not valid JSON from byte 13 on"},
		"not UTF-8":          {"{\"name\":\"\xff\"}", 400, "", "the body is not UTF-8"},
		"NUL":                {`{"name":"a\u0000"}`, 400, "name", "name: must not contain the character NUL"},
		"NUL in a name":      {`{"name":"a","labels":{"\u0000":"x"}}`, 400, "", "the name of a field contains the character NUL"},
		"half a character":   {`{"name":"\\\ud83d x"}`, 400, "", half},
		"the other half":     {`{"name":"a","labels":{"\ude00":"x"}}`, 400, "", half},
		"halves apart":       {`{"name":"\ud83d-\ude00"}`, 400, "", half},
		"halves turned":      {`{"name":"\ude00\ud83d"}`, 400, "", half},
		"twice":              {`{"name":"a","name":"b"}`, 400, "name", "name: appears twice"},
		"twice inside":       {`{"name":"a","config":{"names":[],"names":[]}}`, 400, "config.names", "config.names: appears twice"},
		"missing":            {`{}`, 400, "name", "name: is required"},
		"unknown":            {`{"name":"a","foo":1}`, 400, "foo", `unknown field "foo"`},
		"unknown inside":     {`{"name":"a","config":{"foo":1}}`, 400, "config.foo", `unknown field "config.foo"`},
		"other case":         {`{"name":"a","Name":"b"}`, 400, "Name", `unknown field "Name"`},
		"wrong type":         {`{"name":5}`, 400, "name", "name: must be a string"},
		"null not allowed":   {`{"name":null}`, 400, "name", "name: must not be null"},
		"null for nothing":   {`{"name":"a","kind":null,"count":null,"config":{"names":null}}`, 200, "", `{"name":"a"}`},
		"null as an item":    {`{"name":"a","config":{"names":[null]}}`, 400, "config.names.0", "config.names.0: must not be null"},
		"null under a label": {`{"name":"a","labels":{"x":null}}`, 400, "labels.x", "labels.x: must not be null"},
		"too short":          {`{"name":""}`, 400, "name", "name: must not be empty"},
		"too long":           {`{"name":"123456789"}`, 400, "name", "name: must have at most 8 characters"},
		"number as text":     {`{"name":"a","config":{"max_token_ttl_seconds":"5"}}`, 400, "config.max_token_ttl_seconds", "config.max_token_ttl_seconds: must be an integer"},
		"fraction":           {`{"name":"a","config":{"max_token_ttl_seconds":1.5}}`, 400, "config.max_token_ttl_seconds", "config.max_token_ttl_seconds: must be an integer"},
		"huge":               {`{"name":"a","config":{"max_token_ttl_seconds":1e30}}`, 400, "config.max_token_ttl_seconds", "config.max_token_ttl_seconds: is out of range"},
		"beyond a double":    {`{"name":"a","count":1e999}`, 400, "count", "count: is out of range"},
		"without a format":   {`{"name":"a","count":1e30}`, 400, "count", "count: must be an integer in range"},
		"boolean":            {`{"name":"a","sealed":"yes"}`, 400, "sealed", "sealed: must be true or false"},
		"enum":               {`{"name":"a","kind":"gold"}`, 400, "kind", "kind: must be one of wood, tin"},
		"time":               {`{"name":"a","since":"yesterday"}`, 400, "since", "since: must be a time such as 2026-01-31T12:00:00Z"},
		"item":               {`{"name":"a","config":{"names":["x",3]}}`, 400, "config.names.1", "config.names.1: must be a string"},
		"items":              {`{"name":"a","config":{"names":["x","y","z"]}}`, 400, "config.names", "config.names: must have at most 2 items"},
		"same item":          {`{"name":"a","config":{"names":["x","x"]}}`, 400, "config.names", "config.names: must not contain an item twice"},
		"no label":           {`{"name":"a","labels":{}}`, 400, "labels", "labels: must have at least 1 field"},
		"map value":          {`{"name":"a","labels":{"k":1}}`, 400, "labels.k", "labels.k: must be a string"},
		"one of":             {`{"name":"a","either":1}`, 400, "either", "either: does not have an allowed form"},
		"all of":             {`{"name":"a","both":{"x":"1"}}`, 400, "both.x", "both.x: must be an integer"},
		"long name":          {`{"name":"a","` + strings.Repeat("k", 100) + `":1}`, 400, strings.Repeat("k", 64) + "…", `unknown field "` + strings.Repeat("k", 64) + `…"`},
		"deep":               {`{"name":"a","labels":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, 400, "", "the body nests more than 100 levels deep"},
		"huge body":          {`{"name":"` + strings.Repeat("a", 5000) + `"}`, 413, "", "the body may have at most 4096 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/boxes/b1", strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			status, field, message := answerTo(t, h, r)
			if status != test.status || field != test.field || message != test.message {
				t.Errorf("got %d, field %q, %q\nwant %d, field %q, %q", status, field, message, test.status, test.field, test.message)
			}
		})
	}
}

func TestValidateParameters(t *testing.T) {
	t.Parallel()
	h := boxes(t)
	tests := map[string]struct {
		target  string
		status  int
		field   string
		message string
	}{
		"ok":                {"/boxes/b1?ttl_seconds=5&limit=2&ratio=.5&deep=true&mode=fast&tag=a&tag=b", 200, "", ""},
		"word":              {"/boxes/b1?ttl_seconds=abc", 400, "ttl_seconds", "ttl_seconds: must be a whole number"},
		"exponent":          {"/boxes/b1?ttl_seconds=1e30", 400, "ttl_seconds", "ttl_seconds: must be a whole number"},
		"fraction":          {"/boxes/b1?ttl_seconds=1.5", 400, "ttl_seconds", "ttl_seconds: must be a whole number"},
		"negative":          {"/boxes/b1?ttl_seconds=-1", 400, "ttl_seconds", "ttl_seconds: must be at least 1"},
		"zero":              {"/boxes/b1?ttl_seconds=0", 400, "ttl_seconds", "ttl_seconds: must be at least 1"},
		"too much":          {"/boxes/b1?ttl_seconds=1001", 400, "ttl_seconds", "ttl_seconds: must be at most 1000"},
		"beyond 64 bits":    {"/boxes/b1?ttl_seconds=99999999999999999999", 400, "ttl_seconds", "ttl_seconds: is out of range"},
		"beyond 32 bits":    {"/boxes/b1?limit=3000000000", 400, "limit", "limit: is out of range"},
		"empty":             {"/boxes/b1?ttl_seconds=", 400, "ttl_seconds", "ttl_seconds: must not be empty"},
		"twice":             {"/boxes/b1?ttl_seconds=1&ttl_seconds=2", 400, "ttl_seconds", "ttl_seconds: must be given once"},
		"number":            {"/boxes/b1?ratio=much", 400, "ratio", "ratio: must be a number"},
		"boolean":           {"/boxes/b1?deep=very", 400, "deep", "deep: must be true or false"},
		"enum":              {"/boxes/b1?mode=odd", 400, "mode", "mode: must be one of fast, slow"},
		"NUL":               {"/boxes/b1?mode=%00", 400, "mode", "mode: must not contain the character NUL"},
		"not UTF-8":         {"/boxes/b1?tag=%ff", 400, "tag", "tag: must be UTF-8"},
		"malformed query":   {"/boxes/b1?mode=%zz", 400, "", "the query string is malformed"},
		"path":              {"/boxes/B1", 422, "box_id", "box_id: must match ^[a-z0-9_-]+$"},
		"path before query": {"/boxes/B1?ttl_seconds=abc", 422, "box_id", "box_id: must match ^[a-z0-9_-]+$"},
		"escaped slash":     {"/boxes/a%2Fb", 422, "box_id", "box_id: must match ^[a-z0-9_-]+$"},
		"long path":         {"/boxes/12345678901234567", 422, "box_id", "box_id: must have at most 16 characters"},
		"NUL in path":       {"/boxes/a%00", 422, "box_id", "box_id: must not contain the character NUL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, test.target, strings.NewReader(`{"name":"a"}`))
			status, field, message := answerTo(t, h, r)
			if status == http.StatusOK {
				message = ""
			}
			if status != test.status || field != test.field || message != test.message {
				t.Errorf("got %d, field %q, %q\nwant %d, field %q, %q", status, field, message, test.status, test.field, test.message)
			}
		})
	}
}

func TestValidateMore(t *testing.T) {
	t.Parallel()
	h := boxes(t)
	request := func(method, target, body, header, value string) *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if header != "" {
			r.Header.Set(header, value)
		}
		return r
	}
	tests := map[string]struct {
		request *http.Request
		status  int
		field   string
	}{
		"no content type is JSON": {request("POST", "/boxes/b", `{"name":"a"}`, "", ""), 200, ""},
		"form":                    {request("POST", "/boxes/b", `name=a`, "Content-Type", "application/x-www-form-urlencoded"), 415, ""},
		"yaml":                    {request("POST", "/boxes/b", `name: a`, "Content-Type", "application/yaml"), 415, ""},
		"nonsense type":           {request("POST", "/boxes/b", `{"name":"a"}`, "Content-Type", ";;;"), 415, ""},
		"header too long":         {request("POST", "/boxes/b", `{"name":"a"}`, "Idempotency-Key", "123456789"), 400, "Idempotency-Key"},
		"header with NUL":         {request("POST", "/boxes/b", `{"name":"a"}`, "Idempotency-Key", "a\x00"), 400, "Idempotency-Key"},
		"optional body":           {request("PUT", "/boxes/b", ``, "", ""), 200, ""},
		"integer in path":         {request("GET", "/weights/heavy?unit=kg", ``, "", ""), 422, "weight"},
		"required in query":       {request("GET", "/weights/7", ``, "", ""), 400, "unit"},
		"no body taken":           {request("GET", "/weights/7?unit=kg", `{"junk"`, "", ""), 200, ""},
		"no such route":           {request("GET", "/nothing", ``, "", ""), 404, ""},
		"no such method":          {request("DELETE", "/boxes/b", ``, "", ""), 405, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, field, message := answerTo(t, h, test.request)
			if status != test.status || field != test.field {
				t.Errorf("got %d, field %q (%s), want %d, field %q", status, field, message, test.status, test.field)
			}
		})
	}
}

// A handler must find the body whole, and generated servers the very value that was checked.
func TestValidateLeavesBody(t *testing.T) {
	t.Parallel()
	spec, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	engine := web.NewEngine(web.Options{Log: discard()})
	const body = `{"name": "a", "count": 9007199254740993}`
	engine.POST("/boxes/:box_id", web.Validate(spec), func(c *gin.Context) {
		validated, ok := c.Request.Body.(interface{ ValidatedValue() any })
		if !ok {
			t.Error("the body does not hold its value")
			return
		}
		want := map[string]any{"name": "a", "count": json.Number("9007199254740993")}
		if diff := cmp.Diff(want, validated.ValidatedValue()); diff != "" {
			t.Errorf("validated value (-want +got):\n%s", diff)
		}
		read, err := io.ReadAll(c.Request.Body)
		if err != nil || string(read) != body {
			t.Errorf("the handler read %q, %v", read, err)
		}
		c.Status(http.StatusNoContent)
	})
	r := httptest.NewRequest(http.MethodPost, "/boxes/b", strings.NewReader(body))
	if status, _, message := answerTo(t, web.Handler(engine), r); status != http.StatusNoContent {
		t.Errorf("answer %d: %s", status, message)
	}
}

// Whatever a client sends, it is the client's fault.
func FuzzValidate(f *testing.F) {
	f.Add("b1", "ttl_seconds=5", `{"name":"a"}`)
	f.Add("%2F", "tag=a&tag=%ff&limit=1e30", `{"name":"a","config":{"names":[1,{}]},"either":{"x":null}}`)
	f.Add("..", "&&=;", `{"both":{"x":1e400},"\u0000":[[[[]]]]}`)
	h := boxes(f)
	f.Fuzz(func(t *testing.T, id, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path, r.URL.RawQuery, r.RequestURI = "/boxes/"+id, query, ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("answer %d", w.Code)
		}
	})
}
