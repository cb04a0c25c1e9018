package scim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// schemaError is the schema of an error body (RFC 7644 §3.12).
const schemaError = "urn:ietf:params:scim:api:messages:2.0:Error"

// A scimError is what a client is told when its request cannot be answered:
// RFC 7644 §3.12, with the headers that belong to the status.
type scimError struct {
	status   int
	scimType string // one of RFC 7644 table 9 or RFC 9865 §2.3; empty for none
	detail   string // for the people who run the client; never names a secret

	header http.Header // further headers of the answer, such as Retry-After; nil for none
}

// newError makes an error with the given HTTP status, scimType (empty for
// none) and detail.
func newError(status int, scimType, detail string) *scimError {
	return &scimError{status: status, scimType: scimType, detail: detail}
}

// Error makes a scimError usable where an error is wanted.
func (e *scimError) Error() string {
	if e.scimType == "" {
		return e.detail
	}
	return e.scimType + ": " + e.detail
}

// with adds a header to the answer and returns e.
func (e *scimError) with(key, value string) *scimError {
	if e.header == nil {
		e.header = make(http.Header)
	}
	e.header.Set(key, value)
	return e
}

// body is the JSON of the error. The status is a string, as RFC 7644 §3.12 has
// it.
func (e *scimError) body() []byte {
	b := append([]byte(nil), `{"schemas":["`+schemaError+`"],"status":"`...)
	b = strconv.AppendInt(b, int64(e.status), 10)
	if e.scimType != "" {
		b = append(append(b, `","scimType":"`...), e.scimType...)
	}
	b = append(b, `","detail":`...)
	return append(appendString(b, e.detail), '}')
}

// appendString appends s as a JSON string in ASCII: clients that take a body
// without charset for ISO 8859-1 read it all the same. Bytes that are not
// UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false) // it is for people to read
	_ = enc.Encode(s)        // a string cannot fail
	for _, r := range strings.TrimSuffix(quoted.String(), "\n") {
		dst = appendRune(dst, r)
	}
	return dst
}

// appendRune appends a rune of a JSON string, escaped if it is not ASCII.
func appendRune(dst []byte, r rune) []byte {
	switch {
	case r < 0x80:
		return append(dst, byte(r))
	case r < 0x10000:
		return appendEscape(dst, r)
	}
	return appendEscape(appendEscape(dst, 0xd800+(r-0x10000)>>10), 0xdc00+(r-0x10000)&0x3ff)
}

// appendEscape appends the \u escape of a UTF-16 code unit.
func appendEscape(dst []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}

// The errors of RFC 7644 table 9 that a reader can cause.

// invalidFilter says that a filter is not one, or asks what cannot be asked.
func invalidFilter(detail string) *scimError {
	return newError(http.StatusBadRequest, "invalidFilter", detail)
}

// invalidPath says that an attribute path names nothing.
func invalidPath(detail string) *scimError {
	return newError(http.StatusBadRequest, "invalidPath", detail)
}

// invalidValue says that a parameter's value cannot be used.
func invalidValue(detail string) *scimError {
	return newError(http.StatusBadRequest, "invalidValue", detail)
}

// invalidSyntax says that the request's body or query string is malformed.
func invalidSyntax(detail string) *scimError {
	return newError(http.StatusBadRequest, "invalidSyntax", detail)
}

// tooMany says that answering would cost more than the server is willing to
// spend.
func tooMany(detail string) *scimError {
	return newError(http.StatusBadRequest, "tooMany", detail)
}

// The errors of RFC 9865 §2.3.

// invalidCursor is the same whether the cursor is forged, foreign, or of
// another query: the client learns nothing of which (RFC 9865 §5.2).
func invalidCursor() *scimError {
	return newError(http.StatusBadRequest, "invalidCursor", "the cursor is not one of this query; start again without a cursor value")
}

// expiredCursor says that the cursor was good once.
func expiredCursor() *scimError {
	return newError(http.StatusBadRequest, "expiredCursor", "the cursor has expired; start again with an empty cursor")
}

// invalidCount says that count changed between the pages of a cursor.
func invalidCount(maxPageSize int) *scimError {
	return newError(http.StatusBadRequest, "invalidCount",
		"count must be between 0 and "+strconv.Itoa(maxPageSize)+" and equal to the count of the first page")
}

// lostWalk ends an import whose picture of the directory is gone. To go on with
// another picture could leave somebody out; to start again can't.
func lostWalk() *scimError {
	return newError(http.StatusServiceUnavailable, "",
		"the picture of the directory that this import began with is no longer kept; start again with startIndex=1")
}

// notFound says that nothing is at the address.
func notFound(detail string) *scimError {
	return newError(http.StatusNotFound, "", detail)
}

// readOnly answers a request to change something.
func readOnly() *scimError {
	return newError(http.StatusNotImplemented, "", "this endpoint is read-only: users and groups are managed in the source directory")
}
