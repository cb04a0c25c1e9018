package scim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"scimbridge/scim/directory"
)

// A filter is a filter of RFC 7644 §3.4.2.2, compiled against the schemas of
// the types queried. It may be used from many goroutines.
//
// Where the standard leaves room: an attribute without value is not equal to
// anything, so `ne` holds for it; `eq null` is the opposite of `pr`; null, "",
// [] and {} are not present; comparisons with a multi-valued attribute hold if
// they hold for any of its values; an attribute that another of the queried
// types has counts as without value (RFC 7644 §3.4.2.1), one that none has is an
// error.
type filter struct {
	parsed expression
	types  [directory.NumTypes]*typeFilter // nil for types not queried

	room [directory.NumTypes]typeFilter // what types points to
	leaf leaf                           // of the first comparison
}

// A typeFilter is a filter for resources of one type.
type typeFilter struct {
	root  predicate
	slots []string // top-level attributes of the head that root reads
	seeks bool     // needles are tried first
}

// compileFilter compiles a filter for a query over the given types. Its errors
// are invalidFilter with a detail that says where the fault is.
func (a *attributes) compileFilter(types []directory.Type, text string) (*filter, *scimError) {
	e, fault := parseFilter(text)
	if fault != nil {
		return nil, fault.scimError(text)
	}
	f := &filter{parsed: e}
	room := &f.leaf
	for _, t := range types {
		c := compiler{all: a, types: types, of: a.types[t], room: room}
		root := c.compile(e)
		if c.fault != nil {
			return nil, c.fault.scimError(text)
		}
		f.room[t] = typeFilter{root: root, slots: c.slots, seeks: c.needles <= maxNeedles}
		f.types[t] = &f.room[t]
		room = c.room
	}
	return f, nil
}

// key is the filter's canonical text: the same for filters that differ in case
// of names and operators, blanks and needless parentheses only.
func (f *filter) key() []byte {
	if f == nil {
		return nil
	}
	return f.parsed.appendKey(make([]byte, 0, 128))
}

// A compiler turns an expression into a predicate for one type.
type compiler struct {
	all   *attributes
	types []directory.Type // that are queried
	of    *typeAttributes  // of the type compiled for
	slots []string
	fault *filterFault

	needles int   // tests that have one
	room    *leaf // for the next comparison; nil: none
}

// A leaf is what a comparison is compiled to. Most filters are one comparison: all
// of it is made at once.
type leaf struct {
	test   test
	value  valueTest
	lookup lookupPlan
}

// newLeaf gives room for a comparison.
func (c *compiler) newLeaf() (l *leaf) {
	if l, c.room = c.room, nil; l == nil {
		l = new(leaf)
	}
	return l
}

// fail records a fault and gives a predicate to go on with.
func (c *compiler) fail(pos int, format string, args ...any) predicate {
	if c.fault == nil {
		c.fault = &filterFault{pos, fmt.Sprintf(format, args...)}
	}
	return constant(false)
}

// compile compiles an expression whose names are attributes of the resource.
func (c *compiler) compile(e expression) predicate {
	switch e := e.(type) {
	case *conjunction:
		return allOf(each(e.parts, c.compile))
	case *disjunction:
		return anyOf(each(e.parts, c.compile))
	case *negation:
		return noneOf(c.compile(e.of))
	case *valuePath:
		return c.valuePath(e)
	}
	return c.comparison(e.(*comparison))
}

func each(parts []expression, compile func(expression) predicate) []predicate {
	ps := make([]predicate, len(parts))
	for i, part := range parts {
		ps[i] = compile(part)
	}
	return ps
}

// attribute resolves a path. It gives nil where only another of the queried
// types has the attribute.
func (c *compiler) attribute(path word) *attribute {
	attr, why := c.of.find(path.text)
	if attr != nil && attr.returned == never {
		c.fail(path.pos, "%s cannot be filtered by", quote(path.text))
		return nil
	}
	if attr != nil {
		return attr
	}
	if others, _ := c.all.perType(c.types, path.text); others == [directory.NumTypes]*attribute{} {
		c.fail(path.pos, "%s", why)
	}
	return nil
}

// comparison compiles a comparison with an attribute of the resource.
func (c *compiler) comparison(e *comparison) predicate {
	attr := c.attribute(e.path)
	if attr == nil {
		return constant(e.op == opNotEqual && e.value.value != nil || e.op == opEqual && e.value.value == nil)
	}
	return c.compare(attr, e, c.leaf)
}

// compare compiles a comparison with attr; leaf makes the predicate that
// applies a leaf's test to the values of an attribute.
func (c *compiler) compare(attr *attribute, e *comparison, leaf func(*attribute, *leaf) predicate) predicate {
	l := c.newLeaf()
	null := e.op != opPresent && e.value.value == nil
	switch {
	case e.op == opPresent, null && e.op == opNotEqual:
		l.test.op = opPresent
		return leaf(attr, l)
	case null && e.op == opEqual:
		l.test.op = opPresent
		return noneOf(leaf(attr, l))
	}
	value := leafOf(attr)
	if value == nil {
		return c.fail(e.path.pos, "%s is complex and has no value of its own; name one of its sub-attributes", quote(e.path.text))
	}
	if fault := l.test.take(value, e); fault != nil {
		return c.fail(fault.pos, "%s", fault.what)
	}
	return leaf(value, l)
}

// leafOf gives the attribute whose values a comparison with attr reads: attr
// itself, or the value sub-attribute of a complex one (RFC 7644 §3.4.2.2 on
// `emails co "example.com"`); nil where there is none.
func leafOf(attr *attribute) *attribute {
	switch {
	case attr.kind != kindComplex:
		return attr
	case attr.extension:
		return nil
	}
	return attr.sub(nameValue)
}

// leaf makes the predicate that applies a leaf's test to the values of an attribute
// of the resource.
func (c *compiler) leaf(attr *attribute, l *leaf) predicate {
	steps := attr.steps
	switch attr.place {
	case inLinks:
		p := &linksTest{steps: steps[1:], test: &l.test, lookup: l.indexed(c.of.typ, attr)}
		if p.lookup != nil {
			p.id = p.lookup.key
		}
		return p
	case inMeta:
		return c.metaLeaf(attr, steps, &l.test)
	}
	v := &l.value
	*v = valueTest{from: c.slot(steps), steps: steps[1:], test: &l.test, lookup: l.indexed(c.of.typ, attr)}
	if attr.lowPath == nameActive && attr.kind == kindBoolean {
		return &activeTest{*v}
	}
	c.seek(v, attr)
	return v
}

// metaLeaf is leaf for meta and its sub-attributes. The resource type is known
// when the filter is compiled, and lastModified without looking into the JSON.
func (c *compiler) metaLeaf(attr *attribute, steps []string, t *test) predicate {
	switch {
	case attr.parent == nil: // meta pr
		return constant(t.op == opPresent)
	case attr.name == nameResourceType:
		return constant(t.holds([]byte(strconv.Quote(c.of.typ.String()))))
	case attr.name == nameLastModified && t.chronological():
		return &modifiedTest{test: t}
	}
	return &valueTest{from: fromMeta, steps: steps[1:], test: t}
}

// slot gives the place in a subject's values of the top-level attribute that
// steps from the resource begin with.
func (c *compiler) slot(steps []string) int {
	if len(c.slots) == 0 {
		c.slots = steps[:1:1]
		return 0
	}
	for i, s := range c.slots {
		if s == steps[0] {
			return i
		}
	}
	c.slots = append(c.slots, steps[0])
	return len(c.slots) - 1
}

// stepsTo gives the names to follow from base, which may be nil for the
// resource, to attr.
func stepsTo(attr, base *attribute) []string {
	if attr == base {
		return nil
	}
	if attr.parent == nil {
		return []string{attr.name}
	}
	return append(stepsTo(attr.parent, base), attr.name)
}

// valuePath compiles attribute[filter] and attribute[filter].sub op value.
func (c *compiler) valuePath(e *valuePath) predicate {
	attr := c.attribute(e.path)
	if attr == nil {
		return constant(false)
	}
	if attr.kind != kindComplex {
		return c.fail(e.path.pos, "%s is not complex; it takes no filter in brackets", quote(e.path.text))
	}
	inner := c.compileIn(attr, e.filter)
	if e.sub != nil {
		inner = allOf([]predicate{inner, c.comparisonIn(attr, e.sub)})
	}
	steps := attr.steps
	switch attr.place {
	case inLinks:
		return newLinkedElement(inner)
	case inMeta:
		return &elementTest{from: fromMeta, steps: steps[1:], filter: inner}
	}
	return &elementTest{from: c.slot(steps), steps: steps[1:], filter: inner}
}

// compileIn compiles an expression whose names are sub-attributes of attr.
func (c *compiler) compileIn(attr *attribute, e expression) predicate {
	in := func(e expression) predicate { return c.compileIn(attr, e) }
	switch e := e.(type) {
	case *conjunction:
		return allOf(each(e.parts, in))
	case *disjunction:
		return anyOf(each(e.parts, in))
	case *negation:
		return noneOf(in(e.of))
	case *valuePath:
		return c.fail(e.path.pos, "brackets within brackets")
	}
	return c.comparisonIn(attr, e.(*comparison))
}

// comparisonIn compiles a comparison with a sub-attribute of attr.
func (c *compiler) comparisonIn(attr *attribute, e *comparison) predicate {
	sub := attr
	for name := range strings.SplitSeq(e.path.text, ".") {
		if sub = sub.sub(name); sub == nil || sub.returned == never {
			return c.fail(e.path.pos, "%s has no sub-attribute %s", quote(attr.path()), quote(e.path.text))
		}
	}
	return c.compare(sub, e, func(value *attribute, l *leaf) predicate {
		v := &l.value
		*v = valueTest{from: fromElement, steps: stepsTo(value, attr), test: &l.test, lookup: l.indexed(c.of.typ, value)}
		c.seek(v, value)
		return v
	})
}

// take makes t the test of a comparison with a value that is not null.
func (t *test) take(attr *attribute, e *comparison) *filterFault {
	t.op, t.kind = e.op, attr.kind
	if !applies(e.op, attr.kind) {
		return &filterFault{e.opPos, fmt.Sprintf("%q does not apply to %s, which is of type %v", e.op, quote(e.path.text), attr.kind)}
	}
	if !t.setValue(attr, e.value.value) {
		return &filterFault{e.value.pos, fmt.Sprintf("%s is of type %v; %s is not", quote(e.path.text), attr.kind, quote(e.value.text))}
	}
	return nil
}

// applies says whether an operator makes sense for a data type (RFC 7644 table
// 3: no order among booleans and binaries; text operators need text, which
// dateTimes are on the wire).
func applies(op operator, k kind) bool {
	switch op {
	case opGreater, opGreaterEqual, opLess, opLessEqual:
		return k != kindBoolean && k != kindBinary
	case opContains, opStartsWith, opEndsWith:
		return k != kindBoolean && k != kindInteger && k != kindDecimal
	}
	return true
}

// setValue takes a literal into the test, if it is of the attribute's type.
func (t *test) setValue(attr *attribute, value any) (ok bool) {
	switch attr.kind {
	case kindBoolean:
		t.yes, ok = value.(bool)
		return ok
	case kindInteger, kindDecimal:
		n, isNumber := value.(json.Number)
		if isNumber {
			t.number = parseNumber(string(n))
		}
		return isNumber
	}
	s, ok := value.(string)
	if !ok {
		return false
	}
	t.literal = s
	t.text = newText(s, attr.caseExact)
	if attr.kind == kindDateTime && t.chronological() {
		t.time, ok = parseTime(s)
	}
	return ok
}
