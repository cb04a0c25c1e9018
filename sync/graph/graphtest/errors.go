package graphtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Error codes of Graph that occur in more than one place
// (concepts/errors.md; the directory's own from its answers).
const (
	codeBadRequest   = "Request_BadRequest"
	codeNotFound     = "Request_ResourceNotFound"
	codeUnsupported  = "Request_UnsupportedQuery"
	codeDenied       = "Authorization_RequestDenied"
	codeInvalidToken = "InvalidAuthenticationToken"
	codeNoIdentity   = "Authorization_IdentityNotFound"
	codeExpiredPage  = "Directory_ExpiredPageToken"
)

// refusal is an error answer of Graph before it is written.
type refusal struct {
	status  int
	code    string
	message string
	header  http.Header
	inner   map[string]string // further members of innerError
	html    string            // instead of JSON, when not empty
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, code: code, message: message}
}

func (r *refusal) with(header, value string) *refusal {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(header, value)
	return r
}

func refuseToken(message string) *refusal {
	return refuse(http.StatusUnauthorized, codeInvalidToken, message).with("WWW-Authenticate",
		`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="`+graphAppID+`"`)
}

func refuseDenied() *refusal {
	return refuse(http.StatusForbidden, codeDenied, "Insufficient privileges to complete the operation.")
}

func refuseNotFound(id string) *refusal {
	return refuse(http.StatusNotFound, codeNotFound,
		"Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

func refusePage() *refusal {
	return refuse(http.StatusBadRequest, codeExpiredPage,
		"The specified page token value has expired and can no longer be included in your request.")
}

func refuseDeltaToken() *refusal {
	return refuse(http.StatusBadRequest, codeBadRequest, "Badly formed token.")
}

// refuseThrottled has the shape of the sample in concepts/throttling.md.
func refuseThrottled(retryAfter string) *refusal {
	r := refuse(http.StatusTooManyRequests, "TooManyRequests", "Please retry again later.")
	r.inner = map[string]string{"code": "429", "message": "Please retry after", "status": "429"}
	if retryAfter != "" {
		r.with("Retry-After", retryAfter)
	}
	return r
}

// answer makes the bytes: {"error": {"code", "message", "innerError": {…}}}.
func (r *refusal) answer(requestID, clientRequestID string, now time.Time) *answer {
	a := &answer{status: r.status, header: r.header.Clone(), contentType: "application/json", refused: true}
	if a.header == nil {
		a.header = http.Header{}
	}
	if r.html != "" {
		a.contentType, a.body = "text/html; charset=us-ascii", []byte(r.html)
		return a
	}
	inner := map[string]string{
		"date":              now.UTC().Format("2006-01-02T15:04:05"),
		"request-id":        requestID,
		"client-request-id": clientRequestID,
	}
	for k, v := range r.inner {
		inner[k] = v
	}
	a.body = mustJSON(map[string]any{"error": map[string]any{"code": r.code, "message": r.message, "innerError": inner}})
	return a
}

// answer is a whole HTTP answer, before compression and the faults of the
// line.
type answer struct {
	status      int
	header      http.Header
	contentType string
	body        []byte
	objects     int // for the journal
	refused     bool
	line        *Fault // how the line breaks; nil: it does not
}

func jsonAnswer(body []byte, objects int) *answer {
	return &answer{status: http.StatusOK, header: http.Header{}, body: body, objects: objects,
		contentType: "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"}
}

func countAnswer(n int) *answer {
	return &answer{status: http.StatusOK, header: http.Header{}, contentType: "text/plain", body: strconv.AppendInt(nil, int64(n), 10)}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own values
	}
	return b
}

// htmlError is the kind of page that a gateway before Graph answers with.
func htmlError(status int) string {
	text := http.StatusText(status)
	return "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n" +
		"<HTML><HEAD><TITLE>" + text + "</TITLE></HEAD>\r\n<BODY><h2>" + text + "</h2>\r\n<hr><p>HTTP Error " +
		strconv.Itoa(status) + ". The service is unavailable.</p>\r\n</BODY></HTML>\r\n"
}
