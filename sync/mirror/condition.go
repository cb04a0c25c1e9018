package mirror

import (
	"time"

	"scimbridge/scim/mapping/expr"
)

// expression is a [Condition] in the language of package expr.
type expression struct {
	env     *expr.Env
	program *expr.Program
}

// Where compiles a condition, with the errors of [expr.Env.Condition].
func Where(env *expr.Env, source string) (Condition, error) {
	program, err := env.Condition(source)
	if err != nil {
		return nil, err
	}
	return &expression{env, program}, nil
}

func (e *expression) Holds(properties []byte) (bool, error) {
	obj, err := e.env.Object(properties, time.Now())
	if err != nil {
		return false, err
	}
	return e.program.Bool(obj)
}

func (e *expression) Properties() []string { return e.program.Properties() }

func (e *expression) String() string { return e.program.String() }

// day is the day by which conditions are decided, "" where it has no say: it is
// in the fingerprint of pictures, so that what was decided yesterday is decided
// again.
func day(conditions ...Condition) string {
	for _, c := range conditions {
		if e, ok := c.(*expression); ok && e.program.UsesToday() {
			return " day=" + expr.Day(time.Now()).Format(time.DateOnly)
		}
	}
	return ""
}
