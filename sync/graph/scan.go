package graph

import (
	"encoding/json"
	"fmt"
)

// maxDepth bounds how deeply values may be nested. Directory objects need four
// levels or so; encoding/json allows 10,000.
const maxDepth = 200

// scanner reads JSON tokens from a body that is in memory as a whole. It
// accepts exactly what RFC 8259 calls JSON, and copies nothing.
type scanner struct {
	data   []byte
	pos    int
	spaced bool // whitespace was passed since the flag was last cleared
}

// syntaxError is a body that is not JSON, or is cut off.
type syntaxError struct {
	offset int
	what   string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("not valid JSON at byte %d: %s", e.offset, e.what)
}

func (s *scanner) fail(what string) error {
	if s.pos >= len(s.data) {
		what = "the body ends too early"
	}
	return &syntaxError{s.pos, what}
}

// peek passes whitespace and gives the next byte, 0 at the end of the body.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		if c > ' ' || !isSpace(c) {
			return c
		}
		s.spaced = true
		s.pos++
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// expect passes whitespace and then exactly the byte c.
func (s *scanner) expect(c byte) error {
	if s.peek() != c || s.pos >= len(s.data) {
		return s.fail("expected " + string(rune(c)))
	}
	s.pos++
	return nil
}

// more is called before each element of a list that ends with the byte end, the
// opening one just passed. It passes the comma or the end, and tells which.
func (s *scanner) more(end byte, first bool) (bool, error) {
	switch c := s.peek(); {
	case c == end:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.pos++
		if s.peek() == end {
			return false, s.fail("a comma before the end of a list")
		}
		return true, nil
	}
	return false, s.fail("expected a comma or the end of a list")
}

// key passes an object's next key and its colon, and gives the key decoded.
func (s *scanner) key() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("expected a key")
	}
	key, err := s.text()
	if err != nil {
		return nil, err
	}
	return key, s.expect(':')
}

// text passes a string, on whose opening quote the scanner stands, and gives it
// decoded. The bytes belong to the body unless the string has escapes.
func (s *scanner) text() ([]byte, error) {
	start := s.pos
	escaped, err := s.skipString()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return s.data[start+1 : s.pos-1], nil
	}
	var decoded string
	if err := json.Unmarshal(s.data[start:s.pos], &decoded); err != nil {
		return nil, &syntaxError{start, "a string that cannot be decoded"}
	}
	return []byte(decoded), nil
}

// plain marks the bytes that stand for themselves within a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < len(t); c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// skipString passes a string and tells whether it has escapes.
func (s *scanner) skipString() (escaped bool, err error) {
	data, i := s.data, s.pos+1
	for {
		for i < len(data) && plain[data[i]] {
			i++
		}
		s.pos = i
		if i >= len(data) {
			return false, s.fail("")
		}
		switch data[i] {
		case '"':
			s.pos++
			return escaped, nil
		case '\\':
			escaped = true
			if err := s.skipEscape(); err != nil {
				return false, err
			}
			i = s.pos
		default:
			return false, s.fail("a control character in a string")
		}
	}
}

func (s *scanner) skipEscape() error {
	s.pos++
	if s.pos >= len(s.data) {
		return s.fail("")
	}
	switch s.data[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if s.pos >= len(s.data) || !isHex(s.data[s.pos]) {
				return s.fail("a broken \\u escape")
			}
			s.pos++
		}
		return nil
	}
	return s.fail("an unknown escape")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// skip passes one value of any type, on whose first byte the scanner stands.
func (s *scanner) skip(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.skipString()
		return err
	case c == '{' || c == '[':
		return s.skipNested(c, depth)
	case c == 't':
		return s.skipLiteral("true")
	case c == 'f':
		return s.skipLiteral("false")
	case c == 'n':
		return s.skipLiteral("null")
	case c == '-' || isDigit(c):
		return s.skipNumber()
	}
	return s.fail("expected a value")
}

// skipNested passes an object or an array, open being its first byte.
func (s *scanner) skipNested(open byte, depth int) error {
	if depth >= maxDepth {
		return s.fail("values are nested too deeply")
	}
	s.pos++
	end := open + 2 // as in ASCII: [ and ], { and }
	for first := true; ; first = false {
		more, err := s.more(end, first)
		if err != nil || !more {
			return err
		}
		if open == '{' {
			if err := s.skipKey(); err != nil {
				return err
			}
		}
		if err := s.skip(depth + 1); err != nil {
			return err
		}
	}
}

func (s *scanner) skipKey() error {
	if s.peek() != '"' {
		return s.fail("expected a key")
	}
	if _, err := s.skipString(); err != nil {
		return err
	}
	return s.expect(':')
}

func (s *scanner) skipLiteral(word string) error {
	for i := range len(word) {
		if s.pos >= len(s.data) || s.data[s.pos] != word[i] {
			return s.fail("expected " + word)
		}
		s.pos++
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// skipNumber passes a number by the grammar of RFC 8259 §6.
func (s *scanner) skipNumber() error {
	s.pass('-')
	if !s.pass('0') && !s.digits() {
		return s.fail("expected a digit")
	}
	if s.pass('.') && !s.digits() {
		return s.fail("expected a digit")
	}
	if s.pass('e') || s.pass('E') {
		_ = s.pass('+') || s.pass('-')
		if !s.digits() {
			return s.fail("expected a digit")
		}
	}
	return nil
}

// pass passes the byte c where it is next.
func (s *scanner) pass(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && isDigit(s.data[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

// compact appends a valid JSON value to dst without the whitespace between its
// tokens.
func compact(dst, value []byte) []byte {
	s := scanner{data: value}
	for s.peek() != 0 {
		start := s.pos
		if value[start] == '"' {
			_, _ = s.skipString() // valid: it was scanned before
		} else {
			s.pos++
		}
		dst = append(dst, value[start:s.pos]...)
	}
	return dst
}
