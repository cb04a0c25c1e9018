package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LoginError is a refusal by Microsoft's login. errors.Is tells it from others:
// it is [ErrCredentials], unless the fault is Microsoft's or somebody's on the
// way, then [ErrUnavailable].
//
// Code decides; the numbers explain, for Microsoft may change them
// (learn.microsoft.com/entra/identity-platform/reference-error-codes).
type LoginError struct {
	Status        int    // HTTP status; 0: nothing was sent
	Code          string // OAuth's error code: "invalid_client", …
	Numbers       []int  // Microsoft's AADSTS numbers, the telling one first
	Description   string // in Microsoft's words, without the ids below
	TraceID       string // the ids and the time are what Microsoft's support asks for
	CorrelationID string
	Timestamp     string

	// ClockOffset is the login's clock minus ours, in whole seconds; 0 also
	// where the answer had no date.
	ClockOffset time.Duration

	// Presented describes what was presented, where that helps to find the
	// fault: a certificate's thumbprint, a federated token's issuer.
	Presented string

	host       string
	credential string // what kind was presented
	kind       error
	temporary  bool
	retryAfter time.Duration
}

// skewed is from when on a difference of clocks is worth a word; Microsoft
// allows five minutes.
const skewed = 2 * time.Minute

// Unwrap gives [ErrCredentials] or [ErrUnavailable].
func (e *LoginError) Unwrap() error { return e.kind }

// Error says what happened and what to do next.
func (e *LoginError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s refused the %s", firstOf(e.host, "the login"), firstOf(e.credential, "credential"))
	if e.kind == ErrUnavailable {
		b.Reset()
		fmt.Fprintf(&b, "%s could not answer", firstOf(e.host, "the login"))
	}
	fmt.Fprintf(&b, " (%s): %s", e.label(), e.explain())
	if e.Presented != "" {
		fmt.Fprintf(&b, "; presented was %s", e.Presented)
	}
	if off := e.ClockOffset.Round(10 * time.Second); off >= skewed {
		fmt.Fprintf(&b, "; this machine's clock is %s behind", off)
	} else if off <= -skewed {
		fmt.Fprintf(&b, "; this machine's clock is %s ahead", -off)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, " (%s)", strings.TrimSuffix(e.Description, "."))
	}
	if e.TraceID != "" || e.CorrelationID != "" {
		fmt.Fprintf(&b, " [trace id %s, correlation id %s, %s]", e.TraceID, e.CorrelationID, e.Timestamp)
	}
	return b.String()
}

// label is the shortest name of the refusal.
func (e *LoginError) label() string {
	var parts []string
	if len(e.Numbers) > 0 {
		parts = append(parts, "AADSTS"+strconv.Itoa(e.Numbers[0]))
	}
	if e.Code != "" {
		parts = append(parts, e.Code)
	}
	if len(parts) == 0 {
		parts = append(parts, "status "+strconv.Itoa(e.Status))
	}
	return strings.Join(parts, ", ")
}

// explain puts the refusal in plain words.
func (e *LoginError) explain() string {
	for _, number := range e.Numbers {
		if words := loginWords[number]; words != "" {
			return words
		}
	}
	switch {
	case e.Status == 0:
		return "the credential cannot be used"
	case e.Code == "" && e.Status < 400:
		return "a redirect, which is not followed; check the login address and the proxy"
	case e.Code == "" && !e.temporary:
		return "not Microsoft's own form of an error; check the login address and the proxy"
	case e.temporary:
		return "a fault on Microsoft's side; it is tried again"
	case e.Code == "invalid_client":
		return "the credential is wrong; check client_id, tenant_id and the credential"
	case e.Code == "unauthorized_client":
		return "the application is not known in the tenant, or disabled; check client_id and tenant_id, or open the consent link"
	}
	return "check tenant_id, client_id and the cloud"
}

// parseLoginError reads an answer of the token endpoint that has no token.
func parseLoginError(resp *http.Response, body []byte) *LoginError {
	e := readLoginBody(body)
	e.Status = resp.StatusCode
	e.ClockOffset, _ = clockOffset(resp.Header)
	e.retryAfter = retryAfter(resp.Header)
	e.classify()
	return e
}

// readLoginBody reads the body as far as it is Microsoft's.
func readLoginBody(body []byte) *LoginError {
	var raw struct {
		Error         loose   `json:"error"`
		Description   loose   `json:"error_description"`
		Codes         []loose `json:"error_codes"`
		Timestamp     loose   `json:"timestamp"`
		TraceID       loose   `json:"trace_id"`
		CorrelationID loose   `json:"correlation_id"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return &LoginError{}
	}
	e := &LoginError{
		Code:          clip(string(raw.Error)),
		TraceID:       clip(string(raw.TraceID)),
		CorrelationID: clip(string(raw.CorrelationID)),
		Timestamp:     clip(string(raw.Timestamp)),
	}
	text, _, _ := strings.Cut(string(raw.Description), "Trace ID:")
	e.Description = clip(text)
	e.Numbers = numbersIn(e.Description)
	for _, code := range raw.Codes {
		if n, err := strconv.Atoi(string(code)); err == nil && !slices.Contains(e.Numbers, n) {
			e.Numbers = append(e.Numbers, n)
		}
	}
	return e
}

// numbersIn finds the AADSTS numbers of a text.
func numbersIn(text string) (numbers []int) {
	for _, part := range strings.Split(text, "AADSTS")[1:] {
		end := 0
		for end < len(part) && isDigit(part[end]) {
			end++
		}
		if n, err := strconv.Atoi(part[:end]); err == nil && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// classify decides whether the refusal is one, or a fault that passes.
func (e *LoginError) classify() {
	passing := e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout ||
		e.Code == "temporarily_unavailable" || e.Code == "server_error" ||
		slices.ContainsFunc(e.Numbers, func(n int) bool { return n == 90033 || n == 90090 || n == 50196 })
	switch {
	case passing:
		e.kind, e.temporary = ErrUnavailable, true
	case e.Code == "":
		e.kind = ErrUnavailable // somebody else than the login answered
	default:
		e.kind = ErrCredentials
	}
}
