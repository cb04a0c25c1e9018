package mapping

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scimbridge/scim/mapping/expr"
)

// A compiledRule is a rule of a configuration or a preset, ready to run.
type compiledRule struct {
	program *expr.Program
	target  place
	made    *expr.Program // when the value is made up from others; nil: never
	// configured rules are of the configuration, the others of a preset.
	configured bool
}

// attribute is the definition of what the rule gives a value to.
func (c *compiledRule) attribute() *definition {
	if c.target.part != nil {
		return c.target.part
	}
	return c.target.attribute
}

// listed says whether the rule gives all values of an attribute of several.
func (c *compiledRule) listed() bool { return c.target.sub == "" && c.target.attribute.multi }

// several says whether the rule may give several values.
func (c *compiledRule) several() bool {
	return c.target.attribute.multi && (c.listed() || c.target.sub == "value")
}

// check says what is wrong with the type of the expression.
func (c *compiledRule) check() (what, mend string) {
	d, got := c.attribute(), c.program.Type()
	fits := got == expr.Any
	switch got {
	case expr.Null:
		return "the expression gives nothing, whoever it is", "put the path under remove"
	case expr.Texts:
		fits = c.several() && (textual(d.kind) || d.kind == complexKind)
	case expr.List:
		fits = c.several()
	case expr.Text:
		fits = textual(d.kind) || d.kind == dateTimeKind || c.listed() && d.kind == complexKind
	case expr.Bool:
		fits = d.kind == booleanKind
	case expr.Int:
		fits = d.kind == integerKind || d.kind == decimalKind
	case expr.Double:
		fits = d.kind == decimalKind
	case expr.Date:
		fits = d.kind == dateTimeKind
	}
	if fits {
		return "", ""
	}
	what = fmt.Sprintf("the expression gives %v, and %s is %s", got, c.target.path(), d.kindName(c.listed()))
	switch {
	case d.kind == stringKind && got == expr.Date:
		mend = `write formatDate(…, "yyyy-MM-dd")`
	case d.kind == stringKind && (got == expr.Int || got == expr.Double || got == expr.Bool):
		mend = "write string(…)"
	case textual(d.kind) && got == expr.Texts:
		mend = "write first(…), or join(…, \", \")"
	case d.kind == booleanKind:
		mend = `write a condition, such as x == "yes"`
	case c.listed() && d.kind == complexKind:
		mend = `write a list such as [{"value": …, "type": "work"}]`
	default:
		mend = "write an expression of that type"
	}
	return what, mend
}

// unknownParts finds the parts that the expression gives to values which have no
// such part. A value with one would be left out for everybody.
func (c *compiledRule) unknownParts(setting string) (faults []Fault) {
	d := c.attribute()
	if d.kind != complexKind {
		return nil
	}
	names := namesOf(d.sub)
	for _, part := range c.program.Parts() {
		if slices.Contains(names, part.Name) {
			continue
		}
		mend := "there are " + strings.Join(names, ", ")
		if near := expr.Nearest(part.Name, names); near != "" {
			mend = "did you mean " + near + "?"
		}
		faults = append(faults, Fault{setting, part.Line, part.Column, c.target.path() + " has no part " + part.Name, mend})
	}
	return faults
}

// textual says whether values of a kind are text in JSON.
func textual(k attributeKind) bool { return k == stringKind || k == referenceKind || k == binaryKind }

// kindName names what an attribute takes.
func (d *definition) kindName(listed bool) string {
	name := map[attributeKind]string{stringKind: "a text", booleanKind: "true or false", integerKind: "a whole number",
		decimalKind: "a number", dateTimeKind: "a date", binaryKind: "a text in base64", referenceKind: "a URL, which is a text",
		complexKind: "a list of values with parts"}[d.kind]
	if listed && d.kind != complexKind {
		return "a list of them, each " + name
	}
	return name
}

// path gives the path without what is in brackets.
func (t target) path() string {
	if t.sub == "" {
		return t.name
	}
	return t.name + "." + t.sub
}

// errKind is for a value that is known to be of another type only when it is
// there.
func errType(v any, want string) error {
	kind := "a map"
	switch v.(type) {
	case string:
		kind = "a text"
	case bool:
		kind = "true or false"
	case int64, float64:
		kind = "a number"
	case time.Time:
		kind = "a date"
	case []any:
		kind = "a list"
	}
	return fmt.Errorf("the expression gives %s, not %s", kind, want)
}

// says says whether a value says something.
func says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case time.Time:
		return !v.IsZero()
	}
	return true
}

// appendValue appends the JSON of a value for an attribute that has no parts.
func appendValue(dst []byte, d *definition, v any) ([]byte, error) {
	switch d.kind {
	case booleanKind:
		if b, ok := v.(bool); ok {
			return strconv.AppendBool(dst, b), nil
		}
		return dst, errType(v, "true or false")
	case integerKind:
		switch n := v.(type) {
		case int64:
			return strconv.AppendInt(dst, n, 10), nil
		case float64: // of an extension, whose type JSON does not tell
			if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
				return strconv.AppendInt(dst, int64(n), 10), nil
			}
		}
		return dst, errType(v, "a whole number")
	case decimalKind:
		return appendDecimal(dst, v)
	}
	s, err := textOf(d, v)
	if err != nil {
		return dst, err
	}
	return appendString(dst, []byte(s)), nil
}

// appendDecimal appends a number.
func appendDecimal(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.AppendFloat(dst, v, 'g', -1, 64), nil
		}
	}
	return dst, errType(v, "a number")
}

// textOf gives a value as the text that an attribute takes. Of a directory
// extension the type is known only here, and a number is as good as its digits.
func textOf(d *definition, v any) (string, error) {
	switch x := v.(type) {
	case string:
		return x, d.checkText(x)
	case time.Time:
		if d.kind == dateTimeKind {
			return x.UTC().Format(time.RFC3339Nano), nil
		}
	case int64:
		if d.kind == stringKind {
			return strconv.FormatInt(x, 10), nil
		}
	case float64:
		if d.kind == stringKind {
			return strconv.FormatFloat(x, 'f', -1, 64), nil
		}
	case bool:
		if d.kind == stringKind {
			return strconv.FormatBool(x), nil
		}
	}
	return "", errType(v, d.kindName(false))
}

// checkText refuses a text that is no value of the attribute's type.
func (d *definition) checkText(s string) error {
	var t time.Time
	switch d.kind {
	case dateTimeKind:
		if t.UnmarshalText([]byte(s)) != nil || !strictDateTime([]byte(s)) {
			return errors.New("the text is not a date and time in the form of RFC 3339")
		}
	case binaryKind:
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return errors.New("the text is not base64")
		}
	}
	return nil
}

// appendParts appends one value with parts, from a map or, where the value is
// all that is known, from that alone.
func appendParts(dst []byte, d *definition, v any) ([]byte, error) {
	parts, ok := v.(map[string]any)
	if !ok {
		if find(d.sub, "value") == nil {
			return dst, errType(v, "a map of its parts")
		}
		parts = map[string]any{"value": v}
	}
	known := 0
	mark := len(dst)
	dst = append(dst, '{')
	for i := range d.sub {
		s := &d.sub[i]
		part, given := parts[s.name]
		if !given {
			continue
		}
		known++
		if !says(part) || s.name == "primary" && part == false {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, key(s.name)...)
		var err error
		if dst, err = appendPart(dst, s, part); err != nil {
			return dst[:mark], fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if known < len(parts) {
		return dst[:mark], errors.New("a value has a part that the attribute does not have")
	}
	if dst[len(dst)-1] == '{' {
		return dst[:mark], nil
	}
	return append(dst, '}'), nil
}

// appendPart appends a part of a value: one value, or a list of them.
func appendPart(dst []byte, d *definition, v any) ([]byte, error) {
	if !d.multi {
		return appendValue(dst, d, v)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	dst = append(dst, '[')
	for _, e := range list {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, d, e); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}
