package mirror

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"scimbridge/scim/mapping/expr"
)

// expression is a [Condition] in the language of package expr.
type expression struct {
	env     *expr.Env
	program *expr.Program
	tables  string // stands for the tables that it may look into
}

// Where compiles a condition, with the errors of [expr.Env.Condition].
func Where(cfg expr.Config, source string) (Condition, error) {
	env, err := expr.NewEnv(cfg)
	if err != nil {
		return nil, err
	}
	program, err := env.Condition(source)
	if err != nil {
		return nil, err
	}
	e := &expression{env: env, program: program}
	if strings.Contains(source, "lookup") {
		text, err := json.Marshal(cfg.Tables) // names in order
		if err != nil {
			return nil, fmt.Errorf("summing up the tables: %w", err)
		}
		e.tables = fmt.Sprintf(" tables=%x", sha256.Sum256(text))
	}
	return e, nil
}

func (e *expression) Holds(properties []byte) (bool, error) {
	obj, err := e.env.Object(properties, time.Now())
	if err != nil {
		return false, err
	}
	return e.program.Bool(obj)
}

func (e *expression) Properties() []string { return e.program.Properties() }

// Terms are what of it Graph can be told.
func (e *expression) Terms() []expr.Term { return e.program.Terms() }

func (e *expression) String() string { return e.program.String() }

// inputs stand for what else than the object decides a condition: the day, and
// tables; "" where nothing does. They are in the fingerprint of pictures, so that
// what was decided by others is decided again.
func inputs(conditions ...Condition) string {
	var b strings.Builder
	for _, c := range conditions {
		e, ok := c.(*expression)
		if !ok {
			continue
		}
		if e.program.UsesToday() {
			b.WriteString(" day=" + expr.Day(time.Now()).Format(time.DateOnly))
		}
		b.WriteString(e.tables)
	}
	return b.String()
}
