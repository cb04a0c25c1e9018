// Package expr compiles and evaluates the expressions of the configuration file:
// conditions of the scope and values of the mapping.
//
// They are written in the Common Expression Language (cel.dev) over one object
// of Microsoft Graph, which is called user or group. Every property has the type
// that Microsoft documents ([Properties]), so a misspelt one or a comparison of a
// date with a text is an error of the file, found before anything is served.
//
// # What is absent
//
// A property that is absent, null, "", [] or {} says nothing, and all five are
// the same (RFC 7643 §2.5). Such a property reads as the empty value of its
// type: "", false, 0, [], an object without properties, and for a date the first
// day of the year 1, which is before every other. So no expression fails because
// somebody has no department. has(user.department) tells whether there is a
// value, and default(user.accountEnabled, true) gives another one where there is
// none.
//
// # What is the same
//
// The same object gives the same value, whenever it is asked. There is no clock
// but today, the midnight (UTC) at which the day began; whoever evaluates an
// expression with [Program.UsesToday] must do so again every day.
//
// # What is bounded
//
// An evaluation ends: text is at most [MaxText] long, patterns are literals of a
// kind that is matched in linear time (RE2), and an expression with a loop
// (map, filter, exists, all) has a budget.
//
// The package knows the properties of Graph and nothing else of the module.
package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Limits of what is compiled and evaluated.
const (
	// MaxSource is how long an expression may be, in characters.
	MaxSource = 8 << 10
	// MaxText is how long a text may become that a function of ours or + makes, in
	// bytes.
	MaxText = 64 << 10
	// maxPattern is how long a regular expression may be, in bytes.
	maxPattern = 1 << 10
	// maxCost is the budget of an evaluation with a loop, in CEL's units: about
	// one for each call and each ten bytes of text.
	maxCost = 100_000
)

// A Kind is a type of object.
type Kind uint8

// The kinds.
const (
	User Kind = iota
	Group
)

// String gives the name of the variable that holds the object.
func (k Kind) String() string {
	if k == Group {
		return "group"
	}
	return "user"
}

// Config says what expressions may speak of.
type Config struct {
	// Object is the kind of object that they are about.
	Object Kind
	// Tables are the lookup tables of the configuration file by name, which
	// the function lookup reads.
	Tables map[string]map[string]string
}

// An Env compiles expressions about one kind of object. It is safe for
// concurrent use.
type Env struct {
	kind     Kind
	cel      *cel.Env
	types    *typeTable
	tables   map[string]map[string]string
	patterns sync.Map // :: pattern → *regexp.Regexp
}

// NewEnv makes an environment.
func NewEnv(cfg Config) (*Env, error) {
	e := &Env{kind: cfg.Object, types: newTypeTable(cfg.Object), tables: cfg.Tables}
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("making the type registry: %w", err)
	}
	e.types.Provider = registry
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(e.types),
		cel.Variable(e.kind.String(), e.types.root.cel),
		cel.Variable("today", cel.TimestampType),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserRecursionLimit(100),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateComprehensionNestingLimit(3)),
	}
	options = append(options, e.functions()...)
	if e.cel, err = cel.NewEnv(options...); err != nil {
		return nil, fmt.Errorf("making the environment of expressions: %w", err)
	}
	return e, nil
}

// A Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source     string
	program    cel.Program
	typ        Type
	properties []string
	terms      []Term
	parts      []Part
	today      bool
}

// Compile checks an expression. The error is an [Errors]: every fault with its
// place in the source.
func (e *Env) Compile(source string) (*Program, error) {
	if strings.TrimSpace(source) == "" {
		return nil, Errors{{Line: 1, Column: 1, Message: "the expression is empty", Mend: "write one such as " + e.kind.String() + ".displayName"}}
	}
	parsed, issues := e.cel.Parse(source)
	if issues.Err() != nil {
		return nil, e.explain(issues)
	}
	walk := e.walk(parsed)
	if len(walk.faults) > 0 {
		return nil, walk.faults.sorted()
	}
	checked, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, e.explain(issues)
	}
	// The validators run in CompileSource only.
	if _, issues = e.cel.Compile(source); issues.Err() != nil {
		return nil, e.explain(issues)
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(boundSums)}
	if walk.loops {
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := e.cel.Program(checked, options...)
	if err != nil {
		return nil, Errors{{Line: 1, Column: 1, Message: err.Error(), Mend: "rewrite the expression"}}
	}
	return &Program{
		source: source, program: program, typ: typeOf(checked.OutputType()),
		properties: slices.Sorted(maps.Keys(walk.properties)), terms: e.terms(parsed), parts: parts(walk.info, parsed.NativeRep().Expr()), today: walk.today,
	}, nil
}

// String gives the source.
func (p *Program) String() string { return p.source }

// Type is the type of the value.
func (p *Program) Type() Type { return p.typ }

// Properties lists the Graph properties at the top of the object that the
// expression reads, sorted. Not all of them can be asked for in $select of a
// delta query: [Lookup] tells.
func (p *Program) Properties() []string { return slices.Clone(p.properties) }

// Parts lists the parts that the expression names in the maps that it gives.
func (p *Program) Parts() []Part { return slices.Clone(p.parts) }

// UsesToday says whether the value may be another one tomorrow.
func (p *Program) UsesToday() bool { return p.today }

// Eval gives the value of the expression for an object: nil, bool, int64,
// float64, string, [time.Time] (UTC), []any or map[string]any. The error says
// what could not be evaluated; it may hold no value of the object.
func (p *Program) Eval(obj *Object) (any, error) {
	out, _, err := p.program.Eval((*activation)(obj))
	if err != nil {
		return nil, plain(err)
	}
	return native(out)
}

// Bool gives the value of a condition.
func (p *Program) Bool(obj *Object) (bool, error) {
	out, _, err := p.program.Eval((*activation)(obj))
	if err != nil {
		return false, plain(err)
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the condition is %s and not true or false", typeOf(out.Type().(*types.Type)))
	}
	return bool(b), nil
}

// activation gives an object as CEL asks for it.
type activation Object

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case a.root.typ.variable:
		return &a.root, true
	case "today":
		return types.Timestamp{Time: a.today}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

// native turns a value of CEL into one of Go.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.Time.UTC(), nil
	case *record:
		return v.native()
	}
	return nativeOf(v)
}

// Day gives the midnight at which the day of a time began, in UTC.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
