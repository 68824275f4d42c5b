package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Validate checks requests against spec before their handlers see them: path parameters (422 when they do not fit), query
// and header parameters and JSON bodies (400, 413, 415). The fault names the offending input and says what it must be,
// never what it was. Credentials are not its business, and neither are defaults: handlers apply their own. A route that
// spec does not describe passes.
//
// The body is left for the handler to read, along with the value that was validated, which generated servers bind: names
// match exactly, and what was checked is what is used.
func Validate(spec *openapi3.T) gin.HandlerFunc {
	operations := operationsOf(spec)
	return func(c *gin.Context) {
		op, ok := operations[c.Request.Method+" "+c.FullPath()]
		if !ok {
			return
		}
		if err := op.checkParameters(c); err != nil {
			Fail(c, err)
			return
		}
		if op.body == nil {
			return
		}
		if err := checkBody(c.Request, op.body); err != nil {
			Fail(c, err)
		}
	}
}

// operation is one method of one path of the document.
type operation struct {
	route      *routers.Route
	parameters []*openapi3.Parameter // those of the path first: they say what the rest is about
	body       *openapi3.RequestBody // nil if it takes none
}

// operationsOf returns the operations of spec by method and route, the route as Gin writes it.
func operationsOf(spec *openapi3.T) map[string]operation {
	base := ""
	if len(spec.Servers) > 0 {
		if path, err := spec.Servers[0].BasePath(); err == nil {
			base = strings.TrimSuffix(path, "/")
		}
	}
	operations := map[string]operation{}
	for path, item := range spec.Paths.Map() {
		route := base + strings.NewReplacer("{", ":", "}", "").Replace(path)
		for method, described := range item.Operations() {
			op := operation{
				route:      &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: described},
				parameters: parametersOf(item, described),
			}
			if described.RequestBody != nil {
				op.body = described.RequestBody.Value
			}
			operations[method+" "+route] = op
		}
	}
	return operations
}

func parametersOf(item *openapi3.PathItem, described *openapi3.Operation) []*openapi3.Parameter {
	var parameters []*openapi3.Parameter
	for _, ref := range item.Parameters {
		if described.Parameters.GetByInAndName(ref.Value.In, ref.Value.Name) == nil {
			parameters = append(parameters, ref.Value)
		}
	}
	for _, ref := range described.Parameters {
		parameters = append(parameters, ref.Value)
	}
	rank := map[string]int{openapi3.ParameterInPath: 0, openapi3.ParameterInQuery: 1, openapi3.ParameterInHeader: 2}
	slices.SortStableFunc(parameters, func(a, b *openapi3.Parameter) int { return cmp.Compare(rank[a.In], rank[b.In]) })
	return parameters
}

func (op operation) checkParameters(c *gin.Context) error {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Invalid, "the query string is malformed")
	}
	input := &openapi3filter.RequestValidationInput{
		Request:     c.Request,
		PathParams:  make(map[string]string, len(c.Params)),
		QueryParams: query,
		Route:       op.route,
		Options:     &openapi3filter.Options{SkipSettingDefaults: true},
	}
	for _, param := range c.Params {
		input.PathParams[param.Key] = param.Value
	}
	for _, parameter := range op.parameters {
		reason := spelling(parameter, input)
		if reason == "" {
			err := openapi3filter.ValidateParameter(c.Request.Context(), input, parameter)
			if err == nil {
				continue
			}
			reason = parameterReason(parameter, err)
		}
		kind := fault.Invalid
		if parameter.In == openapi3.ParameterInPath {
			kind = fault.Unprocessable
		}
		return &fault.Error{Kind: kind, Field: parameter.Name, Message: parameter.Name + ": " + reason}
	}
	return nil
}

// spelling says what is wrong with how often or with which characters a parameter is given, if anything: it finds what a
// schema cannot express and a handler would trip over.
func spelling(parameter *openapi3.Parameter, input *openapi3filter.RequestValidationInput) string {
	var values []string
	switch parameter.In {
	case openapi3.ParameterInPath:
		values = []string{input.PathParams[parameter.Name]}
	case openapi3.ParameterInQuery:
		values = input.QueryParams[parameter.Name]
	case openapi3.ParameterInHeader:
		values = input.Request.Header[http.CanonicalHeaderKey(parameter.Name)]
	}
	isList := parameter.Schema != nil && parameter.Schema.Value.Type.Is(openapi3.TypeArray)
	if len(values) > 1 && !isList {
		return "must be given once"
	}
	for _, value := range values {
		if reason := badText(value); reason != "" {
			return reason
		}
	}
	return ""
}
