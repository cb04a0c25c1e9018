package scim

import (
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"scimbridge/scim/directory"
)

// resource is what a filter reads of a [directory.Resource].
type resource interface {
	Head() []byte
	Meta() []byte
	Linked(id string) bool
	Elements() iter.Seq[[]byte]
	LastModified() time.Time
	SaysActive() (active, known bool)
}

// match says whether the filter holds for a resource of a queried type.
func (f *filter) match(r directory.Resource) bool {
	s := f.subject()
	ok := f.matches(s, r)
	f.release(s)
	return ok
}

// subjects are kept for all filters together: most filters are used once.
var subjects = sync.Pool{New: func() any { return new(subject) }}

// subject gives a subject to try resources with, release takes it back.
func (f *filter) subject() *subject { return subjects.Get().(*subject) }

func (f *filter) release(s *subject) {
	clear(s.values)
	*s = subject{values: s.values}
	subjects.Put(s)
}

func (f *filter) matches(s *subject, r directory.Resource) bool {
	s.held = r
	return f.types[r.Type()].holds(s, &s.held)
}

func (tf *typeFilter) holds(s *subject, r resource) bool {
	s.resource, s.slots, s.loaded, s.seeks = r, tf.slots, false, tf.seeks
	return tf.root.holds(s, nil)
}

// A subject is a resource under test. One is used for many resources in turn,
// so that a scan allocates nothing.
type subject struct {
	held     directory.Resource
	resource resource // &held, but in tests
	slots    []string // the filter's
	values   [][]byte // of the slots, nil where absent; valid once loaded
	loaded   bool
	seeks    bool // the filter's
}

// Where a predicate finds its attribute: in a slot of the subject (0 and up),
// or elsewhere.
const (
	fromMeta    = -1 // a member of meta
	fromElement = -2 // a member of the element that a value path is looking at
)

// value gives what the steps start from.
func (s *subject) value(from int, element []byte) []byte {
	switch from {
	case fromMeta:
		return s.resource.Meta()
	case fromElement:
		return element
	}
	if !s.loaded {
		s.load()
	}
	return s.values[from]
}

// unlikely says that a predicate about the head cannot hold, where that is quicker
// said than the predicate tried.
func (s *subject) unlikely(p predicate) bool {
	return s.seeks && !s.loaded && !p.possible(s.resource.Head())
}

// load finds the values of all slots in one walk over the head.
func (s *subject) load() {
	s.loaded = true
	s.values = s.values[:0]
	for range s.slots {
		s.values = append(s.values, nil)
	}
	head, missing := s.resource.Head(), len(s.slots)
	for i := 0; missing > 0; {
		m, ok := nextMember(head, i)
		if !ok {
			return
		}
		i = m.end
		for slot, name := range s.slots {
			if string(m.name) == name {
				s.values[slot] = m.value
				missing--
				break
			}
		}
	}
}

// A predicate is a compiled filter or part of one. element is the JSON object
// that a value path is looking at; nil outside of one.
type predicate interface {
	holds(s *subject, element []byte) bool

	// plan says how an index can serve the predicate; nil if none can.
	plan() *lookupPlan

	// possible is false where a search of the head says that the predicate holds
	// for no element there (filterneedle.go).
	possible(head []byte) bool
}

// The logical predicates. Parts that are known when the filter is compiled are
// worked out then.

type (
	constant bool
	allParts struct{ parts []predicate }
	anyParts struct{ parts []predicate }
	notPart  struct{ of predicate }
)

func allOf(parts []predicate) predicate { return join(parts, constant(false)) }
func anyOf(parts []predicate) predicate { return join(parts, constant(true)) }

// join makes a conjunction or disjunction: decisive is the constant that
// settles it whatever the others are, its opposite has no part in it.
func join(parts []predicate, decisive constant) predicate {
	var rest []predicate
	for _, p := range parts {
		switch p {
		case decisive:
			return decisive
		case !decisive:
		default:
			rest = append(rest, p)
		}
	}
	switch {
	case len(rest) == 0:
		return !decisive
	case len(rest) == 1:
		return rest[0]
	case bool(decisive):
		return &anyParts{rest}
	}
	return &allParts{rest}
}

func noneOf(p predicate) predicate {
	if c, ok := p.(constant); ok {
		return !c
	}
	return &notPart{p}
}

func (c constant) holds(*subject, []byte) bool { return bool(c) }

func (p *allParts) holds(s *subject, element []byte) bool {
	for _, part := range p.parts {
		if !part.holds(s, element) {
			return false
		}
	}
	return true
}

func (p *anyParts) holds(s *subject, element []byte) bool {
	for _, part := range p.parts {
		if part.holds(s, element) {
			return true
		}
	}
	return false
}

func (p *notPart) holds(s *subject, element []byte) bool { return !p.of.holds(s, element) }

// A valueTest applies a test to the values that steps lead to.
type valueTest struct {
	from   int
	steps  []string
	test   *test
	lookup *lookupPlan
	needle *needle // nil: none
}

func (p *valueTest) holds(s *subject, element []byte) bool {
	if p.from >= 0 && s.unlikely(p) {
		return false
	}
	return p.test.any(s.value(p.from, element), p.steps)
}

// An activeTest is the valueTest of active, which most rows answer without a look
// into the JSON.
type activeTest struct{ valueTest }

var jsonTrue, jsonFalse = []byte("true"), []byte("false")

func (p *activeTest) holds(s *subject, element []byte) bool {
	switch active, known := s.resource.SaysActive(); {
	case !known:
		return p.valueTest.holds(s, element)
	case active:
		return p.test.holds(jsonTrue)
	}
	return p.test.holds(jsonFalse)
}

// A modifiedTest compares meta.lastModified.
type modifiedTest struct{ test *test }

func (p *modifiedTest) holds(s *subject, _ []byte) bool {
	return ordered(p.test.op, s.resource.LastModified().Compare(p.test.time))
}

// A linksTest applies a test to a user's groups or a group's members.
type linksTest struct {
	steps  []string
	test   *test
	lookup *lookupPlan
	id     string // the test is equality of value with this; empty for other tests
}

func (p *linksTest) holds(s *subject, _ []byte) bool {
	if p.id != "" {
		return s.resource.Linked(p.id)
	}
	return p.any(s)
}

// any tries the elements one by one. It is apart from holds because what a loop
// over an iterator returns is allocated.
func (p *linksTest) any(s *subject) bool {
	empty := true
	for e := range s.resource.Elements() {
		if p.test.any(e, p.steps) {
			return true
		}
		empty = false
	}
	return empty && p.test.holds(nil)
}

// An elementTest says whether an element of a complex attribute fulfils a
// filter.
type elementTest struct {
	from   int
	steps  []string
	filter predicate
}

func (p *elementTest) holds(s *subject, _ []byte) bool {
	if p.from >= 0 && s.unlikely(p) {
		return false
	}
	return p.any(s, s.value(p.from, nil), p.steps)
}

func (p *elementTest) any(s *subject, value []byte, steps []string) bool {
	switch {
	case isArray(value):
		elements := inside(value)
		for e, i := nextElement(elements, 0); e != nil; e, i = nextElement(elements, i) {
			if p.any(s, e, steps) {
				return true
			}
		}
		return false
	case !isObject(value):
		return false
	case len(steps) > 0:
		return p.any(s, lookup(inside(value), steps[0]), steps[1:])
	}
	return p.filter.holds(s, value)
}

// A linkedElement is an elementTest for groups and members.
type linkedElement struct {
	filter predicate
	ids    []string // the filter holds for elements with one of these values only; empty if unknown
	whole  bool     // … and for every such element
}

func newLinkedElement(filter predicate) *linkedElement {
	p := &linkedElement{filter: filter}
	if plan := filter.plan(); plan != nil {
		p.ids = plan.ids(nil)
	}
	v, ok := filter.(*valueTest)
	p.whole = ok && v.lookup != nil
	return p
}

func (p *linkedElement) holds(s *subject, _ []byte) bool {
	if len(p.ids) > 0 && !p.anyLinked(s) {
		return false
	}
	return p.whole || p.any(s)
}

// any tries the elements one by one.
func (p *linkedElement) any(s *subject) bool {
	for e := range s.resource.Elements() {
		if p.filter.holds(s, e) {
			return true
		}
	}
	return false
}

func (p *linkedElement) anyLinked(s *subject) bool {
	for _, id := range p.ids {
		if s.resource.Linked(id) {
			return true
		}
	}
	return false
}

// A test is a comparison of one value with a literal.
type test struct {
	op      operator
	kind    kind
	literal string
	text    text      // of strings, references, binaries, and dateTimes with a text operator
	time    time.Time // of dateTimes
	number  number    // of numbers
	yes     bool      // of booleans
}

// chronological says whether the test takes a dateTime as a time and not as
// text.
func (t *test) chronological() bool {
	return t.op != opContains && t.op != opStartsWith && t.op != opEndsWith && t.op != opPresent
}

// any says whether the test holds for any of the values that steps lead to from
// value. Where they lead nowhere it is asked about the absent value.
func (t *test) any(value []byte, steps []string) bool {
	switch {
	case isArray(value) && len(value) > len("[]"):
		elements := inside(value)
		for e, i := nextElement(elements, 0); e != nil; e, i = nextElement(elements, i) {
			if t.any(e, steps) {
				return true
			}
		}
		return false
	case len(steps) == 0:
		return t.holds(value)
	case isObject(value):
		return t.any(lookup(inside(value), steps[0]), steps[1:])
	}
	return t.holds(nil)
}

// holds says whether the test holds for one JSON value; nil is the absent one.
func (t *test) holds(value []byte) bool {
	if !present(value) && (t.op == opPresent || string(value) != `""`) {
		return t.op == opNotEqual
	}
	switch {
	case t.op == opPresent:
		return true
	case t.kind == kindBoolean:
		return (string(value) == strconv.FormatBool(t.yes)) == (t.op == opEqual)
	case t.kind == kindInteger, t.kind == kindDecimal:
		return ordered(t.op, parseNumber(string(value)).compare(t.number))
	case !isString(value):
		return t.op == opNotEqual
	case t.kind == kindDateTime && t.chronological():
		at, ok := parseTime(string(inside(value)))
		return ok && ordered(t.op, at.Compare(t.time)) || !ok && t.op == opNotEqual
	}
	return t.holdsText(inside(value))
}

// present says whether a value counts as one: not null, "", [] or {}.
func present(value []byte) bool {
	switch string(value) {
	case "", "null", `""`, "[]", "{}":
		return false
	}
	return true
}

// holdsText tests the inside of a string.
func (t *test) holdsText(raw []byte) bool {
	switch t.op {
	case opEqual:
		return t.text.equals(raw)
	case opNotEqual:
		return !t.text.equals(raw)
	case opContains:
		return t.text.contains(raw)
	case opStartsWith:
		return t.text.begins(raw)
	case opEndsWith:
		return t.text.ends(raw)
	}
	return ordered(t.op, t.text.compare(raw))
}

// ordered says whether a value that compares like cmp with the literal
// fulfils the operator.
func ordered(op operator, cmp int) bool {
	switch op {
	case opEqual:
		return cmp == 0
	case opNotEqual:
		return cmp != 0
	case opGreater:
		return cmp > 0
	case opGreaterEqual:
		return cmp >= 0
	case opLess:
		return cmp < 0
	case opLessEqual:
		return cmp <= 0
	}
	return false
}

// A number is a JSON number: whole ones exactly as far as 64 bits go.
type number struct {
	whole bool
	int   int64
	float float64
}

// parseNumber reads a JSON number. One beyond what a float64 holds is infinite.
func parseNumber(s string) number {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return number{true, n, float64(n)}
		}
	}
	f, _ := strconv.ParseFloat(s, 64) // infinite when out of range
	return number{float: f}
}

func (n number) compare(m number) int {
	switch {
	case n.whole && m.whole && n.int != m.int:
		if n.int < m.int {
			return -1
		}
		return 1
	case n.whole && m.whole, n.float == m.float:
		return 0
	case n.float < m.float:
		return -1
	}
	return 1
}
