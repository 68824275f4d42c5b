package engineconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// What one evaluation may cost. A comparison is a few units, so the cost leaves room for a walk over the fields of a large record; what
// it bounds takes milliseconds. The time is that of a whole decision, however many rules it asks.
const (
	maxExpression  = 4096
	maxNodes       = 2048
	maxDepth       = 64
	maxRegex       = 1000
	maxCost        = 100_000
	maxElements    = 1 << 20
	checkEach      = 64 // rounds of a loop between looks at the clock
	maxDecision    = 250 * time.Millisecond
	actorFunction  = "current_actor"
	nowFunction    = "now"
	resourceName   = "resource"
	recordName     = "record"
	systemName     = "system"
	errNotABoolean = "must be true or false, but is of the type %s"
)

// environment knows what expressions may speak of. It is made once: that takes milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(resourceName, cel.StringType),
		cel.Variable(recordName, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(systemName, cel.MapType(cel.StringType, cel.DynType)),
		cel.Function(actorFunction, cel.Overload(actorFunction, nil, cel.StringType, cel.LateFunctionBinding())),
		cel.Function(nowFunction, cel.Overload(nowFunction, nil, cel.TimestampType, cel.LateFunctionBinding())),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.CrossTypeNumericComparisons(true),
		cel.ExtendedValidations(),
	)
})

// program is a compiled expression. It may be run by many at once.
type program struct{ compiled cel.Program }

// compile compiles an expression. What is wrong with it is an invalid field "expression", with the place.
func compile(expression string) (*program, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing for expressions: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fault.InvalidField("expression", "line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fault.InvalidField("expression", errNotABoolean, ast.OutputType())
	}
	compiled, err := env.Program(ast, cel.CostLimit(maxCost), cel.MemoryLimit(maxElements), cel.InterruptCheckFrequency(checkEach))
	if err != nil {
		return nil, fault.InvalidField("expression", "cannot be evaluated: %v", err)
	}
	return &program{compiled}, nil
}

// facts is what expressions are evaluated on.
type facts struct {
	actor, resource string
	record, system  map[string]any
	now             time.Time
}

// activation binds f to the names of expressions.
func (f facts) activation() (any, error) {
	return cel.FunctionVars(
		map[string]any{resourceName: f.resource, recordName: f.record, systemName: f.system},
		map[string]cel.LateBoundFunction{
			actorFunction: func(string, ...ref.Val) ref.Val { return types.String(f.actor) },
			nowFunction:   func(string, ...ref.Val) ref.Val { return types.Timestamp{Time: f.now} },
		},
	)
}

// errNoAnswer is that of a program that has answered neither true nor false.
var errNoAnswer = errors.New("the expression has no answer")

// holds reports whether the expression is true.
func (p *program) holds(ctx context.Context, activation any) (bool, error) {
	value, _, err := p.compiled.ContextEval(ctx, activation)
	if err != nil {
		return false, err
	}
	answer, ok := value.Value().(bool)
	if !ok {
		return false, errNoAnswer
	}
	return answer, nil
}

// RecordOf reads the body of a request that writes a record, for expressions to look at. What is no JSON object is an empty record:
// it will be refused for that.
func RecordOf(body []byte) map[string]any {
	var record map[string]any
	if decode(body, &record) != nil {
		return map[string]any{}
	}
	for name, usual := range map[string]any{"parents": []any{}, "data_type": "SCALAR", "body": map[string]any{}} {
		if _, given := record[name]; !given {
			record[name] = usual
		}
	}
	for name, value := range record {
		record[name] = plain(value)
	}
	return record
}

// plain replaces the numbers in what was decoded from JSON by those that expressions compute with.
func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, err := value.Float64()
		if err != nil {
			return value.String()
		}
		return float
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = plain(value[name])
		}
	}
	return value
}
