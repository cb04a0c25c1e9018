package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// What a caller decides upon, to be asked for with errors.Is. The errors
// themselves carry the words for people, and most are an [*Error] or a
// [*LoginError] with the particulars.
var (
	// ErrResync: the cursor is no longer valid; only a full read, into an empty
	// draft, gives a true picture again.
	ErrResync = errors.New("the delta link is no longer valid")

	// ErrRestartRound: a page link within the round has expired; the round can
	// be begun again with the cursor it began with.
	ErrRestartRound = errors.New("a page link of the round has expired")

	// ErrCredentials: Microsoft's login refused the credential, or Graph a token
	// that was just issued.
	ErrCredentials = errors.New("the credential was refused")

	// ErrPermission: the application lacks a permission in the tenant, or the
	// administrator's consent.
	ErrPermission = errors.New("a permission is missing")

	// ErrUnavailable: Graph, the login or the network did not give an answer
	// that can be used, however often asked.
	//
	//lint:ignore ST1005 it begins with a name
	ErrUnavailable = errors.New("Microsoft Graph is not available")

	// ErrProtocol: an answer that breaks the rules of delta queries, such as a
	// link to another host or in a circle. Asking again is not expected to help.
	//
	//lint:ignore ST1005 it begins with a name
	ErrProtocol = errors.New("Microsoft Graph's answer cannot be followed")
)

// Error is a refusal by Graph: an answer with a status other than 200.
//
// Status and codes decide, never the message (learn.microsoft.com/graph/errors).
type Error struct {
	Request   string // what was asked for, for example "users/delta"
	Status    int    // HTTP status
	Code      string // error.code; empty where the body was not Graph's
	InnerCode string // the innermost innerError.code
	Message   string // error.message, in Microsoft's words

	RequestID       string        // Graph's id of the request, for Microsoft's support
	ClientRequestID string        // ours
	RetryAfter      time.Duration // how long Graph asks to wait; 0: it does not say
	ThrottleScope   string        // x-ms-throttle-scope: whose limit was met
	Permission      string        // the least permission that the request takes

	kind      error // the sentinel, nil for refusals without one
	codes     []string
	temporary bool
	redirect  string // host of a Location that was not followed
	claims    bool   // a claims challenge came with a 401
}

// Unwrap gives the sentinel that the refusal stands for, if any.
func (e *Error) Unwrap() error { return e.kind }

// Error says what happened and what to do next.
func (e *Error) Error() string {
	var b strings.Builder
	status := strings.TrimSpace(fmt.Sprint(e.Status, " ", e.Code))
	if e.InnerCode != "" && e.InnerCode != e.Code {
		status += "/" + e.InnerCode
	}
	fmt.Fprintf(&b, "Graph answered %s: %s", status, e.explain())
	if e.Message != "" {
		fmt.Fprintf(&b, " (%s)", strings.TrimSuffix(e.Message, "."))
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [request-id %s, client-request-id %s]", e.RequestID, e.ClientRequestID)
	}
	return b.String()
}

// explain puts the refusal in plain words.
func (e *Error) explain() string {
	switch {
	case e.kind == ErrResync:
		return "the delta link is no longer valid; a full read is needed"
	case e.kind == ErrRestartRound:
		return "the page link grew too old; the round has to begin again"
	case e.has("Authorization_IdentityNotFound"):
		return "the application is not known in this tenant: consent was never given, or was withdrawn; open the consent link"
	case e.Status == http.StatusForbidden && e.Code == "":
		return "not Graph's own form of an error, so that a proxy or firewall may have given it; if it was Graph, " + e.explainForbidden()
	case e.Status == http.StatusForbidden:
		return e.explainForbidden()
	case e.Status == http.StatusUnauthorized && e.claims:
		return "the token was revoked, or a Conditional Access policy asks for more; check the sign-in logs of the service principal"
	case e.Status == http.StatusUnauthorized:
		return "it does not accept a token just issued; check that tenant, cloud and Graph address belong together"
	case e.throttled() && e.RetryAfter > 0:
		return fmt.Sprintf("too many requests; it asks to wait %s", e.RetryAfter.Round(time.Millisecond))
	case e.throttled():
		return "too many requests"
	case e.redirect != "":
		return fmt.Sprintf("a redirect to %s, which is not followed; check the Graph address and the proxy", e.redirect)
	case e.Status == http.StatusBadRequest && e.Code != "":
		return "it does not accept the request; a property in the selection may not exist or not be tracked"
	case e.Status == http.StatusNotImplemented:
		return "it does not support the request; a property in the selection may not be tracked by delta queries"
	case e.Code == "" && !e.temporary:
		return "not Graph's own form of an error; check the Graph address and the proxy"
	case e.temporary:
		return "a fault on Microsoft's side, or on the way there"
	}
	return "the request was refused"
}

func (e *Error) explainForbidden() string {
	if e.Permission == "" {
		return "a permission is missing; list it in the app registration and open the consent link"
	}
	return fmt.Sprintf("the application permission %s is missing, or consent to it; list it in the app registration and open the consent link", e.Permission)
}

// has tells whether one of the codes, nested ones included, is among names.
// Graph is not consistent in their case.
func (e *Error) has(names ...string) bool {
	for _, code := range e.codes {
		for _, name := range names {
			if strings.EqualFold(code, name) {
				return true
			}
		}
	}
	return false
}

// readError reads an answer that is not a page.
func readError(resp *http.Response, cl *call, id string) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what there is must do
	e := parseError(body)
	e.Request, e.Permission = cl.what, cl.needs
	e.Status = resp.StatusCode
	e.RequestID = firstOf(resp.Header.Get("request-id"), e.RequestID)
	e.ClientRequestID = id
	e.RetryAfter = retryAfter(resp.Header)
	e.ThrottleScope = resp.Header.Get("x-ms-throttle-scope")
	e.claims = strings.Contains(resp.Header.Get("WWW-Authenticate"), "insufficient_claims")
	if loc, err := resp.Location(); err == nil && e.Status < 400 {
		e.redirect = loc.Host
	}
	e.classify(cl.from)
	return e
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// graphFault is the error object in an answer's body, and what is nested in it.
// encoding/json matches names in any case, as innererror needs.
type graphFault struct {
	Code       loose       `json:"code"`
	Message    loose       `json:"message"`
	RequestID  loose       `json:"request-id"`
	InnerError *graphFault `json:"innerError"`
}

// loose is a string that may as well come as another scalar.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*l = loose(s)
	case len(b) > 0 && (isDigit(b[0]) || b[0] == '-'):
		*l = loose(b)
	}
	return nil
}

// parseError reads the body of an error as far as it is one: HTML of a proxy,
// an empty or a cut one give an Error without code.
func parseError(body []byte) *Error {
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	var fault graphFault
	if json.Unmarshal(body, &envelope) != nil || json.Unmarshal(envelope.Error, &fault) != nil {
		return &Error{}
	}
	e := &Error{Code: clip(string(fault.Code)), Message: clip(string(fault.Message))}
	for f := &fault; f != nil; f = f.InnerError {
		if f.Code != "" {
			e.codes = append(e.codes, string(f.Code))
			if f != &fault {
				e.InnerCode = clip(string(f.Code))
			}
		}
		e.RequestID = firstOf(e.RequestID, clip(string(f.RequestID)))
	}
	return e
}

// clip bounds a text from outside and keeps it on one line.
func clip(s string) string {
	const limit = 500
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
