package directory

import (
	"bytes"
	"encoding/json"
	"time"
)

// topLevel finds the value of a member in the inside of a JSON object, which
// is valid and compact. It gives nil where there is no such member.
func topLevel(b []byte, name string) []byte {
	for i := 0; i < len(b); {
		nameEnd := skipString(b, i)
		valueEnd := skipValue(b, nameEnd+1)
		if string(b[i+1:nameEnd-1]) == name {
			return b[nameEnd+1 : valueEnd]
		}
		i = valueEnd + 1
	}
	return nil
}

// isString says whether a value is a string.
func isString(value []byte) bool { return len(value) > 1 && value[0] == '"' }

// quotes says whether a string has the text, which needs no escape.
func quotes(value []byte, text string) bool {
	return isString(value) && string(value[1:len(value)-1]) == text
}

// textOf gives the text of a string, and "" for a value that is none. Most have
// no escape in them, and are their own text.
func textOf(value []byte) (text string) {
	if isString(value) && bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	_ = json.Unmarshal(value, &text) // of no value, or of another kind
	return text
}

// splitElements gives the values of the inside of a JSON array, which is valid
// and compact, until yield returns false; then it returns false.
func splitElements(b []byte, yield func([]byte) bool) bool {
	for i := 0; i < len(b); {
		end := skipValue(b, i)
		if !yield(b[i:end]) {
			return false
		}
		i = end + 1
	}
	return true
}

// skipValue gives the index after the value that begins at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// skipString gives the index after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// appendHex appends the sixteen digits of a number.
func appendHex(dst []byte, n uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[n>>shift&0xf])
	}
	return dst
}

const (
	timeFormat = "2006-01-02T15:04:05.000Z"
	timeLen    = uint32(len(timeFormat))
)

// metaOpen is the start of a meta object, up to the value of created.
var metaOpen = [NumTypes]string{
	User:  `{"resourceType":"User","created":"`,
	Group: `{"resourceType":"Group","created":"`,
}

func appendTime(dst []byte, milli int64) []byte {
	return time.UnixMilli(milli).UTC().AppendFormat(dst, timeFormat)
}
