package scim

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"scimbridge/scim/directory"
)

// A text is a string of a filter, made ready for comparison with the strings
// of resources as they lie in their JSON: undecoded, so that comparing needs no
// memory. Where case is ignored both sides are folded as [directory.Fold] does
// it, so that a look-up in an index finds whatever a comparison would.
type text struct {
	fold  bool
	text  string // folded if fold
	runes int    // characters in text
	ascii string // the same where all is ASCII; else empty
}

func newText(s string, caseExact bool) text {
	t := text{fold: !caseExact}
	if t.fold {
		s = directory.Fold(s)
	}
	t.text, t.runes = s, utf8.RuneCountInString(s)
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		t.ascii = s
	}
	return t
}

// A runeReader reads the characters of the inside of a JSON string one by one.
type runeReader struct {
	rest []byte
	fold bool
}

// next gives the next character; false at the end. Half a surrogate pair is
// U+FFFD, as encoding/json has it.
func (r *runeReader) next() (rune, bool) {
	if len(r.rest) == 0 {
		return 0, false
	}
	c := r.rest[0]
	var ch rune
	switch {
	case c == '\\':
		ch = r.escape()
	case c < utf8.RuneSelf:
		ch = rune(c)
		r.rest = r.rest[1:]
	default:
		var n int
		ch, n = utf8.DecodeRune(r.rest)
		r.rest = r.rest[n:]
	}
	if r.fold {
		ch = unicode.ToLower(ch)
	}
	return ch, true
}

// escape reads an escape sequence.
func (r *runeReader) escape() rune {
	if len(r.rest) < 2 {
		r.rest = nil
		return utf8.RuneError
	}
	c := r.rest[1]
	if c != 'u' {
		r.rest = r.rest[2:]
		return unescape(c)
	}
	first := r.codeUnit()
	if !utf16.IsSurrogate(first) {
		return first
	}
	if len(r.rest) >= 6 && r.rest[0] == '\\' && r.rest[1] == 'u' {
		before := r.rest
		if both := utf16.DecodeRune(first, r.codeUnit()); both != utf8.RuneError {
			return both
		}
		r.rest = before
	}
	return utf8.RuneError
}

// codeUnit reads \uXXXX.
func (r *runeReader) codeUnit() rune {
	if len(r.rest) < 6 {
		r.rest = nil
		return utf8.RuneError
	}
	var u rune
	for _, c := range r.rest[2:6] {
		u <<= 4
		switch {
		case c <= '9':
			u |= rune(c - '0')
		default:
			u |= rune(c|0x20-'a') + 10
		}
	}
	r.rest = r.rest[6:]
	return u
}

// unescape gives the character of a two-character escape.
func unescape(c byte) rune {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return rune(c) // quote, backslash, slash
}

// simple says whether the inside of a JSON string is ASCII without escapes, so
// that its bytes are its characters.
func simple(raw []byte) bool {
	for _, c := range raw {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// compare orders the string with the given inside against t: negative, zero or
// positive as it comes before, is equal or comes after, by code points.
func (t *text) compare(raw []byte) int {
	r := runeReader{raw, t.fold}
	for _, want := range t.text {
		ch, ok := r.next()
		switch {
		case !ok || ch < want:
			return -1
		case ch > want:
			return 1
		}
	}
	if len(r.rest) > 0 {
		return 1
	}
	return 0
}

// equals says whether the string with the given inside is t.
func (t *text) equals(raw []byte) bool {
	if t.ascii != "" && len(raw) == len(t.ascii) && simple(raw) {
		return t.hasPrefixASCII(raw)
	}
	return t.compare(raw) == 0
}

// begins says whether the string with the given inside begins with t.
func (t *text) begins(raw []byte) bool {
	r := runeReader{raw, t.fold}
	for _, want := range t.text {
		if ch, ok := r.next(); !ok || ch != want {
			return false
		}
	}
	return true
}

// ends says whether the string with the given inside ends with t.
func (t *text) ends(raw []byte) bool {
	if simple(raw) {
		if len(t.ascii) != t.runes || len(raw) < len(t.ascii) {
			return false
		}
		return t.hasPrefixASCII(raw[len(raw)-len(t.ascii):])
	}
	surplus := -t.runes
	for r := (runeReader{rest: raw}); ; surplus++ {
		if _, ok := r.next(); !ok {
			break
		}
	}
	r := runeReader{raw, t.fold}
	for ; surplus > 0; surplus-- {
		r.next()
	}
	return surplus == 0 && t.compare(r.rest) == 0
}

// contains says whether t is somewhere in the string with the given inside.
func (t *text) contains(raw []byte) bool {
	if simple(raw) {
		return t.containsASCII(raw)
	}
	for r := (runeReader{rest: raw}); ; {
		if t.begins(r.rest) {
			return true
		}
		if _, ok := r.next(); !ok {
			return false
		}
	}
}

func (t *text) containsASCII(raw []byte) bool {
	if len(t.ascii) != t.runes {
		return false
	}
	for i := 0; i+len(t.ascii) <= len(raw); i++ {
		if t.hasPrefixASCII(raw[i:]) {
			return true
		}
	}
	return false
}

// hasPrefixASCII says whether simple raw, which is no shorter than t, begins
// with it.
func (t *text) hasPrefixASCII(raw []byte) bool {
	for i := range len(t.ascii) {
		c := raw[i]
		if t.fold && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != t.ascii[i] {
			return false
		}
	}
	return true
}
