package engineconfig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// What one evaluation may cost. A comparison is a few units, so the cost leaves room for a walk over the fields of a large record; what
// it bounds takes milliseconds. The time is that of a whole decision, however many rules it asks.
const (
	maxExpression = 4096
	maxNodes      = 2048
	maxDepth      = 64
	maxRegex      = 1000
	maxCost       = 100_000
	maxElements   = 1 << 20
	checkEach     = 64 // rounds of a loop between looks at the clock
	maxDecision   = 250 * time.Millisecond
	actorFunction = "current_actor"
	nowFunction   = "now"
	resourceName  = "resource"
	recordName    = "record"
	systemName    = "system"
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
		return nil, fault.InvalidField("expression", "must be true or false, but is of the type %s", ast.OutputType())
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

// Why an expression has no answer. These words go to the log, which holds nothing of a record: the errors of the evaluation may quote one.
var (
	errNoProgram = errors.New("the expression cannot be compiled")
	errNoKey     = errors.New("the expression asks for a field that is not there")
	errTooMuch   = errors.New("the expression costs too much")
	errTooLong   = errors.New("the rules take too long")
	errNoAnswer  = errors.New("the expression fails")
)

// holds reports whether the expression is true.
func (p *program) holds(ctx context.Context, activation any) (bool, error) {
	if p == nil {
		return false, errNoProgram
	}
	value, _, err := p.compiled.ContextEval(ctx, activation)
	if err != nil {
		return false, reason(ctx, err)
	}
	answer, ok := value.Value().(bool)
	if !ok {
		return false, errNoAnswer
	}
	return answer, nil
}

func reason(ctx context.Context, err error) error {
	var cancelled interpreter.EvalCancelledError
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause != interpreter.ContextCancelled:
		return errTooMuch
	case ctx.Err() != nil:
		return errTooLong
	case strings.HasPrefix(err.Error(), "no such key"):
		return errNoKey
	default:
		return errNoAnswer
	}
}

// usual is what a record says where it says nothing.
var usual = map[string]any{"parents": []any{}, "data_type": "SCALAR", "body": map[string]any{}}

// complete returns a record as rules see it: with what it leaves out, and whole numbers as such. No record is an empty one.
func complete(record map[string]any) map[string]any {
	if record == nil {
		return map[string]any{}
	}
	out := maps.Clone(usual)
	for name, value := range record {
		out[name] = plain(value)
	}
	return out
}

// plain returns what was decoded from JSON with whole numbers as such: JSON does not tell them from others, expressions do.
func plain(value any) any {
	switch value := value.(type) {
	case float64:
		if whole := math.Trunc(value); whole == value && math.Abs(value) <= 1<<53 {
			return int64(whole)
		}
		return value
	case []any:
		out := make([]any, len(value))
		for i := range value {
			out[i] = plain(value[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(value))
		for name := range value {
			out[name] = plain(value[name])
		}
		return out
	default:
		return value
	}
}
