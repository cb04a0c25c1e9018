package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// traitsOf reads what the rules go by out of an object's properties. Everybody
// is asked for hers whenever all are rendered, so what is not wanted is passed
// over, not decoded.
// They are good for as long as the properties are not changed.
func traitsOf(properties []byte) (userTraits, error) {
	var plain userTraits
	if scanTraits(properties, &plain) {
		return plain, nil
	}
	var t userTraits
	if err := json.Unmarshal(properties, &t); err != nil {
		return t, fmt.Errorf("reading its properties: %w", err)
	}
	return t, nil
}

// scanTraits reads the traits of a compact JSON object.
func scanTraits(b []byte, t *userTraits) bool { return eachPlain(b, t.take) }

// eachPlain gives the properties of a compact JSON object, which is how objects are
// stored, one after the other. It gives up, with false, at anything that is not plain,
// and where yield does.
func eachPlain(b []byte, yield func(name, value []byte) bool) bool {
	if len(b) < 2 || b[0] != '{' {
		return false
	}
	for i := 1; ; {
		name, next, ok := plainString(b, i)
		if !ok || next >= len(b) || b[next] != ':' {
			return false
		}
		end := valueEnd(b, next+1)
		if end < 0 || end >= len(b) || !yield(name, b[next+1:end]) {
			return false
		}
		if b[end] == '}' {
			return end == len(b)-1
		}
		if b[end] != ',' {
			return false
		}
		i = end + 1
	}
}

// take keeps a property that is a trait.
func (t *userTraits) take(name, value []byte) bool {
	switch string(name) {
	case "id":
		text, ok := takeText(value)
		t.ID = text
		return ok
	case "userPrincipalName":
		text, ok := takeText(value)
		t.UserPrincipalName = text
		return ok
	case "userType":
		text, ok := takeText(value)
		t.UserType = text
		return ok
	case "accountEnabled":
		t.AccountEnabled = string(value) == "true"
		return string(value) == "true" || string(value) == "false"
	case "assignedLicenses":
		t.AssignedLicenses = value
	}
	return true
}

// takeText gives a value that is a plain string.
func takeText(value []byte) (string, bool) {
	text, end, ok := plainString(value, 0)
	return string(text), ok && end == len(value)
}

// plainString gives the ASCII string without escapes whose quote is at i, and
// the index after it.
func plainString(b []byte, i int) (text []byte, next int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, false
	}
	for j := i + 1; j < len(b); j++ {
		switch c := b[j]; {
		case c == '"':
			return b[i+1 : j], j + 1, true
		case c == '\\' || c < ' ' || c > '~':
			return nil, 0, false
		}
	}
	return nil, 0, false
}

// valueEnd gives the index after the value that begins at i; -1 where it does
// not end.
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return -1
			}
			i--
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return i // of a number or a word at the end of the object
			}
		case ',':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return -1
}

// stringEnd gives the index after the string whose quote is at i; -1 where it
// does not end.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		quote := bytes.IndexByte(b[i:], '"')
		if quote < 0 {
			return -1
		}
		// A quote is escaped by an odd number of backslashes.
		i += quote
		n := 0
		for b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i + 1
		}
	}
	return -1
}
