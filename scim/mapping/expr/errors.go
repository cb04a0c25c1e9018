package expr

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// An Error is a fault of an expression.
type Error struct {
	// Line and Column are its place in the source, both from 1; the column
	// counts characters.
	Line, Column int
	// Message says what is wrong.
	Message string
	// Mend says what to do about it.
	Mend string
}

// Error gives place, message and mend in one line.
func (e Error) Error() string {
	text := fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
	if e.Mend != "" {
		text += "; " + e.Mend
	}
	return text
}

// Errors are the faults of one expression, in the order of its text.
type Errors []Error

// Error gives them one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// sorted gives the faults in the order of the text.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}

// What CEL says that can be said better.
var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	noField    = regexp.MustCompile(`^undefined field '([^']*)'`)
	expecting  = regexp.MustCompile(`,? expecting .*$|(, )?expected .*$`)
)

// noOperator finds the words and signs that other languages have for operators:
// SCIM's and Graph's filters, SQL.
var noOperator = regexp.MustCompile(`'(\w+|=) ?'$`)

var operators = map[string]string{
	"=": "== for equal", "eq": "== in place of eq", "ne": "!= in place of ne", "and": "&& in place of and", "or": "|| in place of or",
	"not": "! in place of not", "gt": "> in place of gt", "ge": ">= in place of ge", "lt": "< in place of lt", "le": "<= in place of le",
	"co": `x.contains("…")`, "sw": `x.startsWith("…")`, "ew": `x.endsWith("…")`, "like": `x.startsWith("…"), x.contains("…") or x.matches("…")`,
}

// explain turns the complaints of CEL into faults in plain words.
func (e *Env) explain(issues *cel.Issues) Errors {
	var faults Errors
	for _, issue := range issues.Errors() {
		f := Error{Line: max(issue.Location.Line(), 1), Column: max(issue.Location.Column()+1, 1)}
		f.Message, f.Mend = e.say(issue.Message)
		if !slices.Contains(faults, f) {
			faults = append(faults, f)
		}
	}
	// What is no expression has one fault; the others follow from it.
	if faults = faults.sorted(); strings.HasPrefix(issues.Errors()[0].Message, "Syntax error") {
		faults = faults[:1]
	}
	return faults
}

// say gives a complaint of CEL in other words, and a mend.
func (e *Env) say(message string) (what, mend string) {
	if m := undeclared.FindStringSubmatch(message); m != nil {
		name := m[1]
		if other := e.kind.other(); name == other || strings.HasPrefix(name, other+".") {
			return fmt.Sprintf("the expression is about a %s, and speaks of a %s", e.kind, other), fmt.Sprintf("write %s in place of %s", e.kind, other)
		}
		mend = "write a property as " + e.kind.String() + ".NAME, and a text in quotes"
		if near := Nearest(name, e.names()); near != "" {
			mend = "did you mean " + near + "?"
		} else if e.types.root.field(name) != nil {
			mend = fmt.Sprintf("did you mean %s.%s?", e.kind, name)
		}
		return name + " is neither a variable nor a function", mend
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%s can't be applied to %s", operator(m[1]), plainTypes(m[2])), usage(m[1])
	}
	if m := noField.FindStringSubmatch(message); m != nil {
		return "there is no property " + m[1], "see docs/mapping.md for what an expression can read"
	}
	if message == "comprehension exceeds nesting limit" {
		return "loops (map, filter, exists, all) are nested too deeply", "nest at most three"
	}
	if strings.Contains(message, "recursion") || strings.Contains(message, "expression code point size") {
		return "the expression is nested too deeply, or too long", "take it apart, or use a lookup table"
	}
	if text, ok := strings.CutPrefix(message, "Syntax error: "); ok {
		text = strings.ReplaceAll(expecting.ReplaceAllString(text, ""), "'<EOF>'", "its end")
		if m := noOperator.FindStringSubmatch(text); m != nil && operators[strings.ToLower(m[1])] != "" {
			return "this is no expression: " + text, "write " + operators[strings.ToLower(m[1])]
		}
		return "this is no expression: " + text, "check quotes, brackets and operators around this place"
	}
	return plainTypes(message), "see docs/mapping.md for the types and functions"
}

// other is the name of the variable of the other kind.
func (k Kind) other() string {
	if k == Group {
		return User.String()
	}
	return Group.String()
}

// names lists the variables and functions.
func (e *Env) names() []string {
	names := []string{e.kind.String(), "today"}
	for name := range e.cel.Functions() {
		if !strings.ContainsAny(name, "_@.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// operator gives the name of an operator or a function.
func operator(name string) string {
	switch name {
	case "!_":
		return "!"
	case "-_":
		return "-"
	case "@in":
		return "in"
	case "_?_:_":
		return "? :"
	case "_[_]":
		return "[ ]"
	}
	return strings.TrimSuffix(strings.TrimPrefix(name, "_"), "_")
}

// plainTypes names the types of CEL and Graph as the document does.
func plainTypes(text string) string {
	return strings.NewReplacer(
		"timestamp", "date", "list(string)", "list of texts", "string", "text", "bool", "true-or-false",
		"graph.", "").Replace(text)
}

// usage shows how a function is called.
func usage(name string) string {
	for _, f := range Functions() {
		if f.Name == name {
			return "write " + f.Usage
		}
	}
	switch name {
	case "_?_:_":
		return `write condition ? a : b, such as has(x) ? x : "none", with a and b of one type`
	case "_[_]":
		return "write .NAME for a part of a property; brackets take the place in a list, from 0"
	}
	return "compare and combine values of one type; default(x, y) gives a value where there is none"
}

// A valueError says why an expression gives no value. It holds no value of the
// object, unlike what CEL itself says.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }

// failing gives a valueError as a value of CEL.
func failing(format string, args ...any) ref.Val {
	return types.WrapErr(&valueError{fmt.Sprintf(format, args...)})
}

// plainErrors are the errors of CEL that can be said in other words, by how they
// begin.
var plainErrors = []struct{ begin, say string }{
	{"no such overload", "a value is of another type than the expression takes"},
	{"no such key", "a map does not have the key"},
	{"type conversion error", "a value can't be turned into the other type"},
	{"timestamp", "a text is no date in the form of RFC 3339"},
	{"parsing time", "a text is no date in the form of RFC 3339"},
	{"index out of bounds", "a list is shorter than the expression takes it for"},
	{"division by zero", "it divides by zero"},
	{"modulus by zero", "it divides by zero"},
	{"integer overflow", "a number becomes too large"},
}

// plain gives an error of an evaluation in plain words, and without values,
// which may be personal data.
func plain(err error) error {
	var cancelled interpreter.EvalCancelledError
	var own *valueError
	switch {
	case errors.As(err, &cancelled):
		return &valueError{"the expression takes too long: it has a loop over too many values"}
	case errors.As(err, &own):
		return own
	}
	for _, p := range plainErrors {
		if strings.Contains(err.Error(), p.begin) {
			return &valueError{p.say}
		}
	}
	return &valueError{"it can't be evaluated"}
}

// Nearest gives the name that was probably meant, or "".
func Nearest(name string, names []string) string {
	best, distance := "", max(1, (len(name)+1)/3)+1
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := edits(strings.ToLower(name), strings.ToLower(n), distance); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// edits is how many letters have to be changed, added, left out or swapped with
// their neighbour to make one word another; from limit on it may say less.
func edits(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
