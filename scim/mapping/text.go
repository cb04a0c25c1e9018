package mapping

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendText appends the text of a JSON string, given with its quotes and
// known to be valid JSON. What is no character (bytes that are not UTF-8, half
// a surrogate pair) becomes U+FFFD, as in encoding/json.
func appendText(dst, raw []byte) []byte {
	raw = raw[1 : len(raw)-1]
	for len(raw) > 0 {
		c := raw[0]
		switch {
		case c == '\\' && raw[1] == 'u':
			r, n := unicodeEscape(raw)
			dst, raw = utf8.AppendRune(dst, r), raw[n:]
		case c == '\\':
			dst, raw = append(dst, unescaped(raw[1])), raw[2:]
		case c < utf8.RuneSelf:
			dst, raw = append(dst, c), raw[1:]
		default:
			r, n := utf8.DecodeRune(raw)
			dst, raw = utf8.AppendRune(dst, r), raw[n:]
		}
	}
	return dst
}

// unicodeEscape gives the character of the \u escape that raw starts with, or
// of the pair of them, and their length.
func unicodeEscape(raw []byte) (rune, int) {
	r, _ := hex4(raw, 2)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		low, _ := hex4(raw, 8)
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// unescaped gives the character that an escape of two characters stands for.
func unescaped(c byte) byte {
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
	return c
}

// hex4 reads four hexadecimal digits at i.
func hex4(s []byte, i int) (rune, bool) {
	if len(s)-i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendString appends text as a JSON string in ASCII, always the same way for
// the same text: the short escapes where JSON has them, else \u with small
// hexadecimal digits, in pairs beyond the basic plane.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		if n := plainPrefix(text); n > 0 {
			dst, text = append(dst, text[:n]...), text[n:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		dst, text = appendEscape(dst, r), text[n:]
	}
	return append(dst, '"')
}

// appendEscape appends a character that can't stand for itself.
func appendEscape(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf {
		if i := strings.IndexByte("\"\\\b\f\n\r\t", byte(r)); i >= 0 {
			return append(dst, '\\', `"\bfnrt`[i])
		}
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnit(appendUnit(dst, high), low)
	}
	return appendUnit(dst, r)
}

// appendUnit appends one UTF-16 code unit as an escape.
func appendUnit(dst []byte, u rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u',
		digits[u>>12&0xf], digits[u>>8&0xf], digits[u>>4&0xf], digits[u&0xf])
}
