package mapping

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// maxDepth is how deeply values may be nested, as in encoding/json.
const maxDepth = 10000

// A kind is the JSON kind of a value.
type kind uint8

// The kinds. A value that says nothing (null, "", [], {}) counts as none: RFC
// 7643 §2.5 treats unassigned, null and empty alike.
const (
	none kind = iota
	textKind
	plainKind // a string of printable ASCII without escapes: its JSON is its text
	numberKind
	trueKind
	falseKind
	arrayKind
	objectKind
)

// String gives the kind as a Problem names it.
func (k kind) String() string {
	switch k {
	case textKind, plainKind:
		return "a string"
	case numberKind:
		return "a number"
	case trueKind, falseKind:
		return "a boolean"
	case arrayKind:
		return "an array"
	case objectKind:
		return "an object"
	}
	return "absent"
}

// isText says whether the value is a string with something in it.
func (k kind) isText() bool { return k == textKind || k == plainKind }

// A span is where a value lies in the JSON that is being read.
type span struct {
	start, end int
	kind       kind
	// orphan marks a property within an object of which the parent is no
	// object; kind is then the parent's.
	orphan bool
}

// A scanner walks JSON text once, strictly (RFC 8259), and remembers nothing.
// Its methods give the position after what they read, or a negative number
// where the text is not JSON: the complement of the position of the fault.
type scanner []byte

// space skips white space.
func (s scanner) space(i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// value reads the value that starts at i.
func (s scanner) value(i, depth int) (span, int) {
	if i >= len(s) || depth > maxDepth {
		return span{}, ^i
	}
	v := span{start: i}
	switch c := s[i]; {
	case c == '"':
		v.kind, v.end = s.text(i)
	case c == '{':
		v.kind, v.end = s.composite(i, depth, objectKind, '}')
	case c == '[':
		v.kind, v.end = s.composite(i, depth, arrayKind, ']')
	case c == 't':
		v.kind, v.end = trueKind, s.literal(i, "true")
	case c == 'f':
		v.kind, v.end = falseKind, s.literal(i, "false")
	case c == 'n':
		v.kind, v.end = none, s.literal(i, "null")
	default:
		v.kind, v.end = numberKind, s.number(i)
	}
	return v, v.end
}

// composite reads an object or an array, of which only the kind and the end
// are wanted.
func (s scanner) composite(i, depth int, k kind, end byte) (kind, int) {
	i = s.space(i + 1)
	if i < len(s) && s[i] == end {
		return none, i + 1
	}
	for {
		if k == objectKind {
			if _, i = s.key(i); i < 0 {
				return k, i
			}
		}
		if _, i = s.value(i, depth+1); i < 0 {
			return k, i
		}
		more := false
		if i, more = s.next(i, end); !more {
			return k, i
		}
	}
}

// key reads the name of a member and its colon.
func (s scanner) key(i int) (span, int) {
	if i >= len(s) || s[i] != '"' {
		return span{}, ^i
	}
	name := span{start: i}
	if name.kind, name.end = s.text(i); name.end < 0 {
		return name, name.end
	}
	if i = s.space(name.end); i >= len(s) || s[i] != ':' {
		return name, ^i
	}
	return name, s.space(i + 1)
}

// name gives a member's name as text.
func (s scanner) name(v span) []byte {
	if v.kind == textKind {
		return appendText(nil, s[v.start:v.end])
	}
	return s[v.start+1 : v.end-1]
}

// next reads what follows a member or an element: a comma, and then there is
// more, or the end of the composite.
func (s scanner) next(i int, end byte) (int, bool) {
	i = s.space(i)
	switch {
	case i >= len(s):
		return ^i, false
	case s[i] == ',':
		return s.space(i + 1), true
	case s[i] == end:
		return i + 1, false
	}
	return ^i, false
}

// text reads a string and tells the plain ones from the others.
func (s scanner) text(i int) (kind, int) {
	start, k := i, plainKind
	for i++; i < len(s); i++ {
		if i += plainPrefix(s[i:]); i == len(s) {
			break
		}
		switch class[s[i]] {
		case closing:
			if i == start+1 {
				return none, i + 1
			}
			return k, i + 1
		case beyond:
			k = textKind
		case control:
			return k, ^i
		case escape:
			k = textKind
			n := s.escape(i)
			if n == 0 {
				return k, ^i
			}
			i += n - 1
		}
	}
	return k, ^i
}

// escape gives the length of the escape sequence at i, or 0 for none.
func (s scanner) escape(i int) int {
	if i+1 >= len(s) {
		return 0
	}
	if s[i+1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, s[i+1]) < 0 {
			return 0
		}
		return 2
	}
	if _, ok := hex4(s, i+2); !ok {
		return 0
	}
	return 6
}

// literal reads one of the three names.
func (s scanner) literal(i int, name string) int {
	if len(s)-i < len(name) || string(s[i:i+len(name)]) != name {
		return ^i
	}
	return i + len(name)
}

// number reads a number by the grammar of RFC 8259 §6.
func (s scanner) number(i int) int {
	if i < len(s) && s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	default:
		if i = s.digits(i); i < 0 {
			return i
		}
	}
	if i < len(s) && s[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits reads at least one digit.
func (s scanner) digits(i int) int {
	start := i
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	if i == start {
		return ^i
	}
	return i
}

// The classes of bytes within a string.
const (
	plain byte = iota
	closing
	escape
	control
	beyond // part of a character outside ASCII
)

// class gives the class of each byte.
var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case c < 0x20:
			t[c] = control
		case c == '"':
			t[c] = closing
		case c == '\\':
			t[c] = escape
		case c >= 0x80:
			t[c] = beyond
		}
	}
	return t
}()

// plainPrefix is the length of the part of text that is of the plain class. It
// looks at eight bytes at a time: most strings are of nothing else.
func plainPrefix(text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		if others := others(binary.LittleEndian.Uint64(text[i:])); others != 0 {
			return i + bits.TrailingZeros64(others)/8
		}
	}
	for ; i < len(text) && class[text[i]] == plain; i++ {
	}
	return i
}

// others marks, by its highest bit, the first of eight bytes that is not of the
// plain class. The bits above it say nothing.
func others(b uint64) uint64 {
	const ones, highest = 0x0101010101010101, 0x8080808080808080
	quote, backslash := b^ones*'"', b^ones*'\\'
	return (b | (b-ones*0x20)&^b | (quote-ones)&^quote | (backslash-ones)&^backslash) & highest
}
