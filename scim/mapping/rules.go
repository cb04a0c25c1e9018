package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"
)

// A Rule gives an attribute the value of an expression.
type Rule struct {
	// Path is the attribute: name, name.sub, name[type eq "work"].value, and for
	// those of an extension its URN and a colon before it. A multi-valued
	// attribute named whole takes a list.
	Path string
	// Expression is the value, over user or group: package expr.
	Expression string
	// Place says where the rule stands, for people: "config.yaml:42". It has
	// no effect.
	Place string
	// Setting names the rule in a [Fault].
	Setting string
}

// Rules are what a configuration does to the mapping of one resource type. They
// come after the preset, which comes after the default mapping.
type Rules struct {
	// Remove are paths that are not to be served: an attribute, one of its
	// sub-attributes or types, or the URN of an extension.
	Remove []string
	// Set are rules, each in place of what gave its path before, or added.
	Set []Rule
}

// A Fault is what is wrong with a configured mapping.
type Fault struct {
	// Setting is where: [Rule.Setting] for a rule; else [Config.Setting] and
	// below it preset, remove[2], groups.remove[0]; or [Schema.Setting] and
	// below it urn, attributes[1].name.
	Setting string
	// Line and Column are the place within the expression, from 1; 0 where the
	// fault is not in one.
	Line, Column int
	// Message says what is wrong, Mend what to do about it.
	Message, Mend string
}

// Error gives setting, message and mend in one line.
func (f Fault) Error() string {
	at := f.Setting
	if f.Line > 0 {
		at += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	return at + ": " + f.Message + "; " + f.Mend
}

// Faults are all faults of a configured mapping.
type Faults []Fault

// Error gives them one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A table is the rows of one resource type while they are put together.
type table struct {
	typ        directory.Type
	catalogue  catalogue
	env        *expr.Env
	rows       []Row
	own        map[*compiledRule]bool // those of the rules that are being applied
	configured bool                   // these are of the configuration
	faults     Faults
}

// newTable begins with the default mapping.
func newTable(t directory.Type, c catalogue, tables map[string]map[string]string) (*table, error) {
	kind, rows := expr.User, userRows()
	if t == directory.Group {
		kind, rows = expr.Group, groupRows()
	}
	env, err := expr.NewEnv(expr.Config{Object: kind, Tables: tables})
	if err != nil {
		return nil, err
	}
	return &table{typ: t, catalogue: c, env: env, rows: rows, own: map[*compiledRule]bool{}}, nil
}

func (b *table) fault(setting, message, mend string) {
	b.faults = append(b.faults, Fault{Setting: setting, Message: message, Mend: mend})
}

// apply takes in rules that come from one place.
func (b *table) apply(rules Rules, setting string) {
	for i, path := range rules.Remove {
		b.remove(path, fmt.Sprintf("%sremove[%d]", setting, i))
	}
	first := map[string]bool{}
	b.own, b.configured = map[*compiledRule]bool{}, true
	for _, rule := range rules.Set {
		if first[rule.Path] {
			b.fault(rule.Setting, "the path is there twice", "keep one of the two")
			continue
		}
		first[rule.Path] = true
		b.set(rule)
	}
}

// covers says whether a path that is removed or set takes in that of a row.
func (p target) covers(row target) bool {
	return p.schema == row.schema && p.name == row.name &&
		(p.label == "" || p.label == row.label) && (!p.primary || row.primary) && (p.sub == "" || p.sub == row.sub)
}

// remove takes rows out.
func (b *table) remove(path, setting string) {
	if e := b.catalogue.entry(b.typ, path); path != "" && e != nil {
		before := len(b.rows)
		b.rows = slices.DeleteFunc(b.rows, func(r Row) bool { return strings.HasPrefix(r.Path, path+":") })
		if before == len(b.rows) {
			b.fault(setting, "nothing of "+path+" is mapped", "remove the line")
		}
		return
	}
	p, err := b.catalogue.resolve(b.typ, path)
	if err != nil {
		b.fault(setting, err.what, err.mend)
		return
	}
	if what := protected(b.typ, p); what != "" {
		b.fault(setting, path+" can't be removed: "+what, "remove the line")
		return
	}
	before := len(b.rows)
	b.rows = slices.DeleteFunc(b.rows, func(r Row) bool {
		to, err := parseTarget(r.Path)
		return err == nil && p.covers(to)
	})
	if before == len(b.rows) {
		b.fault(setting, path+" is not mapped", "remove the line")
	}
}

// protected says why an attribute can't be removed.
func protected(t directory.Type, p place) string {
	switch {
	case !p.entry.core:
		return ""
	case p.attribute.added || p.name == "meta":
		return "the directory adds it"
	case p.name == "userName", t == directory.Group && p.name == "displayName":
		return "SCIM requires it"
	case p.name == "active":
		return "without it no platform sees that somebody has left"
	}
	return ""
}

// set compiles a rule and puts it in the place of what gave its path before.
func (b *table) set(rule Rule) {
	p, err := b.catalogue.resolve(b.typ, rule.Path)
	if err == nil {
		err = mappable(b.typ, p)
	}
	if err != nil {
		b.fault(rule.Setting, err.what, err.mend)
		return
	}
	program, compileErr := b.env.Compile(rule.Expression)
	if compileErr != nil {
		b.expressionFaults(rule, compileErr)
		return
	}
	row := Row{Type: b.typ, Path: rule.Path, Transform: Expression, Expression: rule.Expression, Origin: rule.Place,
		rule: &compiledRule{program: program, target: p, configured: b.configured}}
	if what, mend := row.rule.check(); what != "" {
		b.faults = append(b.faults, Fault{rule.Setting, 1, 1, what, mend})
		return
	}
	if unknown := row.rule.unknownParts(rule.Setting); len(unknown) > 0 {
		b.faults = append(b.faults, unknown...)
		return
	}
	if other := b.rival(p); other != "" {
		b.fault(rule.Setting, fmt.Sprintf("the rules for %s and %s shut each other out: one of them gives all values", other, rule.Path),
			"put the values of both into one list for "+p.name+", or remove one of the two")
		return
	}
	b.own[row.rule] = true
	b.place(row, p)
}

// rival gives the path of a rule of the same place that p would silently put
// out of force, or that would do so to p: one for all values of an attribute
// beside one for some of them.
func (b *table) rival(p place) string {
	for _, row := range b.rows {
		if !b.own[row.rule] {
			continue
		}
		to := row.rule.target.target
		if p.schema == to.schema && p.name == to.name && (p.whole() || to.whole()) {
			return row.Path
		}
	}
	return ""
}

// whole says whether the path takes in all of its attribute.
func (t target) whole() bool { return t.label == "" && t.sub == "" }

// expressionFaults takes over what is wrong with an expression.
func (b *table) expressionFaults(rule Rule, err error) {
	var all expr.Errors
	if !errors.As(err, &all) {
		b.fault(rule.Setting, err.Error(), "rewrite the expression")
		return
	}
	for _, e := range all {
		b.faults = append(b.faults, Fault{rule.Setting, e.Line, e.Column, e.Message, e.Mend})
	}
}

// mappable says why a rule can't have a path.
func mappable(t directory.Type, p place) *pathError {
	complex := p.attribute.kind == complexKind
	switch {
	case p.attribute.added || p.name == "meta" && p.entry.core:
		return &pathError{p.name + " can't be mapped: the directory gives it its value", "remove the line"}
	case p.label != "" && !(complex && p.attribute.multi && find(p.attribute.sub, "type") != nil):
		return &pathError{p.name + " has no values of several types", "write " + p.name}
	case p.label != "" && p.sub == "":
		return &pathError{"it is not said which part of the value is meant", `write ` + p.name + `[type eq "` + p.label + `"].` + p.attribute.sub[0].name}
	case p.label != "" && p.sub == "type", p.label != "" && p.sub == "primary":
		return &pathError{"the brackets say the " + p.sub + " already", "write the value behind them"}
	case p.label != "" && find(p.attribute.sub, "value") != nil && p.sub != "value":
		return &pathError{fmt.Sprintf("a part of a value other than value can be given only together with the others, in a list for all of %s", p.name),
			p.name + `: '[{"value": …, "` + p.sub + `": …, "type": "` + p.label + `"}]'`}
	case p.primary && (p.sub != "value" || find(p.attribute.sub, "primary") == nil):
		return &pathError{p.name + " has no primary value", fmt.Sprintf(`write %s[type eq "%s"].%s`, p.name, p.label, p.sub)}
	case p.label == "" && p.attribute.multi && p.sub != "":
		return &pathError{"it is not said of which value " + p.sub + " is a part", fmt.Sprintf(`write %s[type eq "work"].%s, or %s with a list`, p.name, p.sub, p.name)}
	case complex && !p.attribute.multi && p.sub == "":
		return &pathError{p.name + " consists of parts", "give them one by one: " + p.name + "." + strings.Join(namesOf(p.attribute.sub), ", "+p.name+".")}
	}
	return nil
}

// place puts a row in the place of those that it steps in for, or where the
// schemas have its attribute. Rules of one place stand beside each other, in
// whichever order they are written.
func (b *table) place(row Row, p place) {
	at := -1
	for i := len(b.rows) - 1; i >= 0; i-- {
		to, err := parseTarget(b.rows[i].Path)
		if err != nil || b.own[b.rows[i].rule] || !(p.covers(to) || p.disagrees(to)) {
			continue
		}
		at, b.rows = i, slices.Delete(b.rows, i, i+1)
	}
	if at < 0 && p.label != "" && p.sub != "value" {
		at = b.behind(p.target) // parts of one value stand together
	}
	if at < 0 {
		at = len(b.rows)
		for i := range b.rows {
			if q, err := b.catalogue.resolve(b.typ, b.rows[i].Path); err == nil && b.rows[i].Transform != Created && p.before(q) {
				at = i
				break
			}
		}
	}
	b.rows = slices.Insert(b.rows, at, row)
}

// behind gives the place behind the last part of the value of a type, or -1.
func (b *table) behind(p target) int {
	p.sub = ""
	for i := len(b.rows) - 1; i >= 0; i-- {
		if to, err := parseTarget(b.rows[i].Path); err == nil && p.covers(to) {
			return i + 1
		}
	}
	return -1
}

// disagrees says whether a row would contradict the one of p: a reference to
// the default manager beside another one, parts of values beside the whole.
func (p target) disagrees(row target) bool {
	if p.schema != row.schema || p.name != row.name {
		return false
	}
	return p.whole() || row.whole() || p.schema == EnterpriseUserSchema && p.name == "manager" && p.sub == "value" && row.sub == "$ref"
}

// before says whether the schemas have p before q. Values of one attribute keep
// the order in which they are given.
func (p place) before(q place) bool {
	a, b := p.order, q.order
	if p.attribute.multi {
		a[2], b[2] = 0, 0
	}
	return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2])) < 0
}
