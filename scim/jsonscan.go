package scim

import "bytes"

// The scanner below reads JSON that this program rendered itself: valid,
// compact, and with the members of an object at most once. It therefore checks
// nothing, allocates nothing, and only finds where values begin and end. It
// must never see what a client sent.

// A member is one name and value of a JSON object, as slices of the object.
type member struct {
	name  []byte // without quotes, escapes as they are (attribute names have none)
	value []byte
	start int // of the name's opening quote, in the scanned bytes
	end   int // just after the value
}

// nextMember reads the member that begins at b[i], a comma before it skipped.
// It gives false at the end of the object's members. b holds the members only:
// no braces around them.
func nextMember(b []byte, i int) (member, bool) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	if i >= len(b) || b[i] != '"' {
		return member{}, false
	}
	nameEnd := skipString(b, i)
	valueEnd := skipValue(b, nameEnd+1)
	return member{b[i+1 : nameEnd-1], b[nameEnd+1 : valueEnd], i, valueEnd}, true
}

// findMember gives the member with the given name.
func findMember(members []byte, name string) (member, bool) {
	for i := 0; ; {
		m, ok := nextMember(members, i)
		if !ok || string(m.name) == name {
			return m, ok
		}
		i = m.end
	}
}

// lookup gives the value of the member with the given name, or nil.
func lookup(members []byte, name string) []byte {
	m, _ := findMember(members, name)
	return m.value
}

// inside takes the braces or brackets off a JSON object or array.
func inside(value []byte) []byte {
	if len(value) < 2 {
		return nil
	}
	return value[1 : len(value)-1]
}

// nextElement reads the element of an array that begins at b[i], a comma before
// it skipped, and gives it and where it ends; nil at the end. b holds the
// elements only: no brackets around them.
func nextElement(b []byte, i int) ([]byte, int) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	if i >= len(b) {
		return nil, i
	}
	end := skipValue(b, i)
	return b[i:end], end
}

// isArray, isObject and isString tell JSON values apart by their first byte.
func isArray(value []byte) bool  { return len(value) > 0 && value[0] == '[' }
func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }
func isString(value []byte) bool { return len(value) > 1 && value[0] == '"' }

// skipValue gives where the value that begins at b[i] ends.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// skipString gives where the string that begins at b[i] ends. Strings are
// mostly short and seldom hold escapes, so the closing quote is searched for
// first and the backslashes before it counted after.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			break
		}
		i += n
		if !escaped(b, i) {
			return i + 1
		}
	}
	return len(b)
}

// escaped says whether an odd number of backslashes comes before b[i].
func escaped(b []byte, i int) bool {
	odd := false
	for i--; i >= 0 && b[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// skipNested gives where the object or array that begins at b[i] ends.
func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(b)
}
