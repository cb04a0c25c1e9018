package graph

import (
	"net/http"
	"strings"
)

// classify decides what a refusal means: its sentinel, and whether it may be
// other in a while.
func (e *Error) classify(from origin) {
	switch {
	case e.throttled(), e.passing():
		e.kind, e.temporary = ErrUnavailable, true
	case e.resync(from):
		e.kind = ErrResync
	case e.stale(from):
		e.kind = ErrRestartRound
	case e.has("Authorization_IdentityNotFound"), e.Status == http.StatusForbidden:
		e.kind = ErrPermission
	case e.Status == http.StatusUnauthorized:
		e.kind = ErrCredentials
	case e.Status < 400:
		e.kind = ErrProtocol // a redirect, or a success that is none
	case e.Code == "":
		e.kind = ErrUnavailable // somebody else than Graph answered
	}
}

// throttled tells whether the request was refused for load (docs of throttling).
func (e *Error) throttled() bool {
	return e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0 ||
		e.Status >= 400 && e.has("TooManyRequests", "ApplicationThrottled", "429")
}

// passing tells whether the fault lies with Graph or the way there, and is
// likely to pass. 509 is Graph's "bandwidth limit exceeded".
func (e *Error) passing() bool {
	switch e.Status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	}
	return e.Status >= 500 || e.Status >= 400 && e.has("ServiceNotAvailable",
		"Directory_ReplicaUnavailable", "Directory_ConcurrencyViolation")
}

// resync tells whether only a full read helps: 410 in all its forms, the codes
// that the documentation of delta queries names, and any 400 to a stored cursor
// or one that names its token. For such a request is Graph's own, to the
// letter; were it made again and again, it would be refused for ever.
func (e *Error) resync(from origin) bool {
	if e.Status == http.StatusGone {
		return true
	}
	if e.Status < 400 || e.Status >= 500 {
		return false
	}
	if e.has("syncStateNotFound", "resyncRequired", "resyncChangesApplyDifferences", "resyncChangesUploadDifferences") {
		return true
	}
	if e.Status != http.StatusBadRequest || from == initial {
		return false
	}
	return from == delta || !e.stale(from) && e.namesToken()
}

// stale tells whether a page link has grown too old. At a cursor the same code
// means that the cursor has.
func (e *Error) stale(from origin) bool {
	return from == following && e.Status == http.StatusBadRequest && e.has("Directory_ExpiredPageToken")
}

// namesToken looks for a complaint about the token of the link. Texts are no
// contract, so this decides only between a failed round and a full read.
func (e *Error) namesToken() bool {
	text := strings.ToLower(strings.Join(e.codes, " ") + " " + e.Message)
	for _, word := range []string{"deltatoken", "delta token", "skiptoken", "skip token", "deltalink", "sync state", "syncstate"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func (e *Error) setback() *setback {
	return &setback{
		err:       e,
		temporary: e.temporary,
		throttled: e.throttled(),
		after:     e.RetryAfter,
	}
}
