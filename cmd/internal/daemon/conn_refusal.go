package daemon

import (
	"bytes"
	"fmt"
	"net/http"
)

const plainHeader = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// What is no HTTP request reaches no handler: net/http writes a line of plain text
// on the connection itself, in one piece. Such a piece begins like one of these; no
// answer of a handler does, for theirs have a date.
var plainRefusals = []struct {
	prefix string
	status int
	detail string
}{
	{"HTTP/1.1 400 Bad Request" + plainHeader, http.StatusBadRequest,
		"this is no HTTP request that can be read; percent-encode what is in the URL (a blank is %20, a quotation mark %22)"},
	{"HTTP/1.1 400 Bad Request: missing required Host header\r\n", http.StatusBadRequest,
		"the request has no Host header, which HTTP/1.1 requires"},
	{"HTTP/1.1 400 Bad Request: ", http.StatusBadRequest,
		"the request's header has a name or a value that HTTP does not allow"},
	{"HTTP/1.1 431 Request Header Fields Too Large" + plainHeader, http.StatusRequestHeaderFieldsTooLarge, "the request's header is larger than 64 KiB"},
	{"HTTP/1.1 501 Not Implemented" + plainHeader, http.StatusNotImplemented,
		"the request's body has a transfer coding that is not known here; send it with Content-Length or chunked"},
	{"HTTP/1.1 505 ", http.StatusHTTPVersionNotSupported, "this version of HTTP is not spoken here; use HTTP/1.1"},
	{"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.", http.StatusBadRequest,
		"this endpoint speaks HTTPS; begin its URL with https://"},
}

// inSCIM gives a SCIM error that says what p says, where p is one of those lines that
// net/http writes; else nil. Under TLS p is encrypted and passes as it is.
func inSCIM(p []byte) []byte {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) || len(p) < 10 || p[9] < '4' {
		return nil
	}
	for _, r := range plainRefusals {
		// A piece of a body can begin like some of them, but JSON has no bare line end.
		if !bytes.HasPrefix(p, []byte(r.prefix)) || !bytes.Contains(p, []byte("\r\n")) {
			continue
		}
		body := errorBody(r.status, r.detail)
		return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nCache-Control: no-store\r\nConnection: close\r\n"+
			"Content-Length: %d\r\nContent-Type: application/scim+json\r\n\r\n%s",
			r.status, http.StatusText(r.status), len(body), body)
	}
	return nil
}
