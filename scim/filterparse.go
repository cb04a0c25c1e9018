package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Filters are parsed here and not by github.com/scim2/filter-parser, whose
// grammar the tests use as a second opinion. Measured against v2.3.1, it
// refuses filters that RFC 7644 §3.4.2.2 allows or clients send: more than two
// terms or any parentheses inside a value path, lower-case \u escapes, blanks
// around the whole, underscores in URNs, a sub-attribute after a value path. It
// leaves escapes undecoded, takes bytes that are not UTF-8, and its errors name
// the start of the filter wherever the fault is.

// Bounds of a filter. A request line of 8 KiB is as much as HTTP servers
// commonly take; the terms are enough for a client that asks for a page of ids
// one by one, and the depth for any filter written by hand or program.
const (
	maxFilterLength = 8 << 10 // bytes
	maxFilterDepth  = 64      // parentheses and brackets within each other
	maxFilterTerms  = 512     // comparisons
)

// An operator is a comparison operator of RFC 7644 table 3, in lower case.
type operator string

const (
	opEqual        operator = "eq"
	opNotEqual     operator = "ne"
	opContains     operator = "co"
	opStartsWith   operator = "sw"
	opEndsWith     operator = "ew"
	opPresent      operator = "pr"
	opGreater      operator = "gt"
	opGreaterEqual operator = "ge"
	opLess         operator = "lt"
	opLessEqual    operator = "le"
)

// An expression is a parsed filter that has not been held against any schema:
// *conjunction, *disjunction, *negation, *comparison or *valuePath.
type expression interface {
	// appendKey appends the canonical text: names in lower case, operators
	// too, one blank between, all parentheses.
	appendKey(dst []byte) []byte
}

type (
	conjunction struct{ parts []expression }
	disjunction struct{ parts []expression }
	negation    struct{ of expression }

	// A comparison is attribute, operator and value.
	comparison struct {
		path  word
		op    operator
		opPos int
		value literal // none with pr
	}

	// A valuePath is attribute[filter], or attribute[filter].sub op value:
	// then one element must do both.
	valuePath struct {
		path   word
		filter expression
		sub    *comparison // its path is the sub-attribute; nil for none
	}

	// A word is a piece of the filter and the byte offset where it begins.
	word struct {
		text string
		pos  int
	}

	// A literal is a JSON value: string, json.Number, bool or nil.
	literal struct {
		value any
		word
	}
)

// A filterFault is what is wrong with a filter, and at which byte.
type filterFault struct {
	pos  int
	what string
}

// scimError gives the fault as the client sees it. Positions count characters
// from 1.
func (f *filterFault) scimError(filter string) *scimError {
	n := utf8.RuneCountInString(filter[:min(f.pos, len(filter))]) + 1
	return invalidFilter(fmt.Sprintf("filter, character %d: %s", n, f.what))
}

// parseFilter parses a filter by the grammar of RFC 7644 figure 1 with its
// errata 4690. Beyond it: blanks at both ends and beside parentheses, tabs and
// line ends as blanks, any nesting inside a value path, and a sub-attribute
// after one (`emails[type eq "work"].value eq "x"`, which Entra ID sends).
func parseFilter(filter string) (expression, *filterFault) {
	if len(filter) > maxFilterLength {
		return nil, &filterFault{0, fmt.Sprintf("the filter has %d bytes; at most %d are taken", len(filter), maxFilterLength)}
	}
	if i := invalidUTF8(filter); i >= 0 {
		return nil, &filterFault{i, "this is not UTF-8"}
	}
	p := filterParser{src: filter}
	e := p.or(0)
	if p.blanks(); p.fault == nil && p.pos < len(p.src) {
		p.expected(`"and", "or" or the end of the filter`)
	}
	if p.fault != nil {
		return nil, p.fault
	}
	return e, nil
}

// invalidUTF8 gives the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// A filterParser reads a filter from left to right. After the first fault it
// reads no further; what it gives from then on means nothing.
type filterParser struct {
	src   string
	pos   int
	terms int
	fault *filterFault
}

// fail records a fault, unless there is one already.
func (p *filterParser) fail(pos int, format string, args ...any) {
	if p.fault == nil {
		p.fault = &filterFault{pos, fmt.Sprintf(format, args...)}
	}
}

// expected says that something else should stand here.
func (p *filterParser) expected(what string) {
	p.fail(p.pos, "expected %s, found %s", what, p.here())
}

// here describes what stands at the position.
func (p *filterParser) here() string {
	if p.pos >= len(p.src) {
		return "the end of the filter"
	}
	end := p.wordEnd()
	if end == p.pos {
		_, n := utf8.DecodeRuneInString(p.src[p.pos:])
		end += n
	}
	return quote(p.src[p.pos:end])
}

func (p *filterParser) blanks() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
}

// peek gives the next byte after blanks, 0 at the end.
func (p *filterParser) peek() byte {
	p.blanks()
	if p.fault != nil || p.pos >= len(p.src) {
		return 0
	}
	return p.src[p.pos]
}

// take eats c after blanks, or says what is missing.
func (p *filterParser) take(c byte) {
	if p.peek() != c {
		p.expected(`"` + string(c) + `"`)
		return
	}
	p.pos++
}

// wordEnd gives where the word at the position ends. A word is anything without
// blanks, quotes, parentheses and brackets: a path, an operator, a literal.
func (p *filterParser) wordEnd() int {
	if n := strings.IndexAny(p.src[p.pos:], " \t\r\n\"()[]"); n >= 0 {
		return p.pos + n
	}
	return len(p.src)
}

// word eats a word after blanks; what says in a fault what should stand here.
func (p *filterParser) word(what string) word {
	w, ok := p.next()
	if !ok {
		p.expected(what)
	}
	return w
}

// next eats a word after blanks; false where there is none.
func (p *filterParser) next() (word, bool) {
	p.blanks()
	w := word{p.src[p.pos:p.wordEnd()], p.pos}
	p.pos += len(w.text)
	return w, w.text != ""
}

// keyword eats the given word, in any case, if it comes next.
func (p *filterParser) keyword(k string) bool {
	p.blanks()
	end := p.wordEnd()
	if p.fault != nil || !strings.EqualFold(p.src[p.pos:end], k) {
		return false
	}
	p.pos = end
	return true
}

// or parses parts joined by "or", which binds weakest.
func (p *filterParser) or(depth int) expression {
	first := p.and(depth)
	if !p.keyword("or") {
		return first
	}
	parts := []expression{first, p.and(depth)}
	for p.keyword("or") {
		parts = append(parts, p.and(depth))
	}
	return &disjunction{parts}
}

// and parses parts joined by "and".
func (p *filterParser) and(depth int) expression {
	first := p.part(depth)
	if !p.keyword("and") {
		return first
	}
	parts := []expression{first, p.part(depth)}
	for p.keyword("and") {
		parts = append(parts, p.part(depth))
	}
	return &conjunction{parts}
}

// part parses a comparison, a value path, or a filter in parentheses with or
// without "not" before it.
func (p *filterParser) part(depth int) expression {
	if p.peek() == '(' {
		return p.parentheses(depth)
	}
	path := p.word("an attribute")
	if strings.EqualFold(path.text, "not") && p.peek() == '(' {
		return &negation{p.parentheses(depth)}
	}
	if p.peek() == '[' {
		return p.valuePath(path, depth)
	}
	return p.comparison(path)
}

func (p *filterParser) parentheses(depth int) expression {
	p.deeper(depth)
	p.take('(')
	e := p.or(depth + 1)
	p.take(')')
	return e
}

// deeper says whether one more level is allowed.
func (p *filterParser) deeper(depth int) {
	if depth >= maxFilterDepth {
		p.fail(p.pos, "more than %d levels of parentheses and brackets", maxFilterDepth)
		p.pos = len(p.src)
	}
}

// valuePath parses what follows the attribute of a value path.
func (p *filterParser) valuePath(path word, depth int) expression {
	p.deeper(depth)
	p.take('[')
	v := &valuePath{path: path, filter: p.or(depth + 1)}
	p.take(']')
	if p.fault == nil && p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		sub := p.word("a sub-attribute")
		v.sub = p.comparison(sub)
	}
	return v
}

// comparison parses what follows the attribute of a comparison.
func (p *filterParser) comparison(path word) *comparison {
	if p.terms++; p.terms > maxFilterTerms {
		p.fail(path.pos, "more than %d comparisons", maxFilterTerms)
	}
	c := &comparison{path: path}
	w, ok := p.next()
	if !ok {
		p.expected("an operator after " + quote(path.text))
	}
	c.op, c.opPos = operator(strings.ToLower(w.text)), w.pos
	switch c.op {
	case opPresent:
	case opEqual, opNotEqual, opContains, opStartsWith, opEndsWith, opGreater, opGreaterEqual, opLess, opLessEqual:
		c.value = p.literal()
	default:
		p.fail(w.pos, "%s is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le", quote(w.text))
	}
	return c
}

// literal parses the value of a comparison. The words true, false and null may
// be in any case, as ABNF literals are.
func (p *filterParser) literal() literal {
	if p.peek() == '"' {
		return p.text()
	}
	w := p.word("a value")
	l := literal{word: w}
	switch low := strings.ToLower(w.text); {
	case p.fault != nil:
	case low == "true", low == "false":
		l.value = low == "true"
	case low == "null":
		l.value = nil
	case strings.IndexByte("-0123456789", w.text[0]) >= 0 && json.Valid([]byte(w.text)):
		l.value = json.Number(w.text)
	default:
		p.fail(w.pos, "%s is no value; a value is a string in double quotes, a number, true, false or null", quote(w.text))
	}
	return l
}

// text parses a JSON string.
func (p *filterParser) text() literal {
	start := p.pos
	end := start + 1
	for end < len(p.src) && p.src[end] != '"' {
		if p.src[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.src) {
		p.fail(start, "the string that begins here has no closing quote")
		return literal{}
	}
	p.pos = end + 1
	l := literal{word: word{p.src[start:p.pos], start}}
	if inside := l.text[1 : len(l.text)-1]; verbatim(inside) {
		l.value = inside
		return l
	}
	var s string
	if err := json.Unmarshal([]byte(l.text), &s); err != nil {
		p.fail(start, "%s is no JSON string: wrong escape or control character", quote(l.text))
	}
	l.value = s
	return l
}

// verbatim says whether the inside of a JSON string, which is UTF-8 without a
// quote, is the string itself: it has no escapes and no control characters.
func verbatim(inside string) bool {
	for i := range len(inside) {
		if c := inside[i]; c < ' ' || c == '\\' {
			return false
		}
	}
	return true
}

// The canonical texts.

func (e *conjunction) appendKey(dst []byte) []byte { return appendJoined(dst, e.parts, " and ") }
func (e *disjunction) appendKey(dst []byte) []byte { return appendJoined(dst, e.parts, " or ") }

func appendJoined(dst []byte, parts []expression, by string) []byte {
	dst = append(dst, '(')
	for i, part := range parts {
		if i > 0 {
			dst = append(dst, by...)
		}
		dst = part.appendKey(dst)
	}
	return append(dst, ')')
}

func (e *negation) appendKey(dst []byte) []byte {
	dst = append(dst, "not("...)
	return append(e.of.appendKey(dst), ')')
}

func (e *comparison) appendKey(dst []byte) []byte {
	dst = append(dst, strings.ToLower(e.path.text)...)
	dst = append(append(dst, ' '), e.op...)
	if e.op == opPresent {
		return dst
	}
	if s, ok := e.value.value.(string); ok && plain(s) {
		return append(append(append(dst, ` "`...), s...), '"')
	}
	value, _ := json.Marshal(e.value.value) // what was parsed from JSON can be written as JSON
	return append(append(dst, ' '), value...)
}

// plain says whether json.Marshal puts the string between quotes as it is.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= utf8.RuneSelf, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

func (e *valuePath) appendKey(dst []byte) []byte {
	dst = append(dst, strings.ToLower(e.path.text)...)
	dst = append(e.filter.appendKey(append(dst, '[')), ']')
	if e.sub != nil {
		dst = e.sub.appendKey(append(dst, '.'))
	}
	return dst
}
