package scim

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers one request: it finds the route, admits the client, and
// lets the route answer. Whatever goes wrong becomes a SCIM error body.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, started: time.Now()}
	defer h.finish(x)
	if err := h.serve(x); err != nil {
		x.fail(err)
	}
}

// serve answers the request or says why it cannot.
func (h *Handler) serve(x *exchange) *scimError {
	if h.guard.oauth2 && h.isTokenPath(x.r.URL.EscapedPath()) {
		h.token(x)
		return nil
	}
	rt, segments, found := h.find(x, x.r.URL.EscapedPath())
	x.route = rt.name
	if err := h.admit(x, rt.public); err != nil {
		return err
	}
	if !found {
		return notFound("there is no such endpoint; see /ResourceTypes")
	}
	answer, ok := rt.methods[x.r.Method]
	switch {
	case ok:
		return answer(x, segments)
	case rt.always != nil:
		return rt.always
	case slices.Contains(rt.writes, x.r.Method):
		return readOnly()
	case x.r.Method == http.MethodOptions:
		x.w.Header().Set("Allow", rt.allow)
		x.respond(http.StatusNoContent, nil)
		return nil
	}
	return newError(http.StatusMethodNotAllowed, "", "this endpoint does not take "+methodName(x.r.Method)).with("Allow", rt.allow)
}

// methodName keeps odd methods out of error texts.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "this method"
}

// finish turns a panic into an answer, counts the request, and logs it. A
// panic after the first byte tears the connection down, so that no client
// takes half an answer for a whole one.
func (h *Handler) finish(x *exchange) {
	fault := recover()
	if fault != nil && !aborted(fault) {
		h.cfg.Log.Error("panic serving request", "route", x.route, "err", fault, "stack", string(debug.Stack()))
		if !x.wrote {
			x.fail(newError(http.StatusInternalServerError, "", "internal error; the server's log says more"))
			fault = nil
		}
	}
	h.sessions.count(x)
	h.access(x)
	if h.cfg.Tracer != nil {
		h.trace(x)
	}
	if fault != nil {
		panic(http.ErrAbortHandler)
	}
}

// aborted says whether a panic is net/http's own way to drop a connection.
func aborted(fault any) bool {
	err, ok := fault.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// access logs the request: what was asked by whom, never a token, and at Info
// no personal data (ids and filter values are at Debug).
func (h *Handler) access(x *exchange) {
	if !h.cfg.Log.Enabled(x.r.Context(), slog.LevelInfo) {
		return
	}
	ctx := context.WithoutCancel(x.r.Context())
	attrs := []slog.Attr{
		slog.String("client", x.clientName()),
		slog.String("method", x.r.Method),
		slog.String("path", x.route),
		slog.String("query", x.params.names()),
		slog.Int("status", x.status),
		slog.Int("count", x.items),
		slog.Int64("bytes", x.bytes),
		slog.Duration("elapsed", time.Since(x.started)),
	}
	if h.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		attrs = append(attrs,
			slog.String("url", x.url()),
			slog.String("filter", x.params.filter),
			slog.String("detail", x.detail), // may repeat what was asked
			slog.String("agent", x.r.UserAgent()),
			slog.String("from", x.r.RemoteAddr))
	}
	if x.why != nil {
		attrs = append(attrs, slog.Any("why", x.why))
	}
	if x.err != nil {
		attrs = append(attrs, slog.Any("err", x.err))
	}
	h.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// An exchange is one request and what has become of it.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	started time.Time

	route  string  // the route's pattern, such as /Users/{id}
	client *client // nil until admitted, and for anonymous readers of discovery
	params params
	walked stride

	wrote  bool // the header is out
	status int
	items  int   // resources in the answer
	bytes  int64 // of the body
	detail string
	why    error // the credentials were not good, where there is more to say
	err    error // writing the answer failed

	fields   [4]string // behind values of the header
	segments [2]string // behind those of the path
	given    [8]string // behind params.given
}

// field makes the i-th of the header's values without an allocation.
func (x *exchange) field(i int, value string) []string {
	x.fields[i] = value
	return x.fields[i : i+1 : i+1]
}

// url is for logs. To the token endpoint clients may send secrets by mistake.
func (x *exchange) url() string {
	if x.route == tokenPath {
		return x.r.URL.EscapedPath()
	}
	return x.r.URL.RequestURI()
}

// clientName is for logs.
func (x *exchange) clientName() string {
	if x.client == nil {
		return ""
	}
	return x.client.Name
}

// respond writes a whole answer. HEAD gets the header only.
func (x *exchange) respond(status int, body []byte) {
	header := x.w.Header()
	if body != nil {
		header.Set("Content-Type", contentType)
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.begin(status)
	if x.r.Method != http.MethodHead {
		x.write(body)
	}
}

// begin sends the header.
func (x *exchange) begin(status int) {
	x.status, x.wrote = status, true
	x.w.WriteHeader(status)
}

// write sends a part of the body. After the first failure it does nothing.
func (x *exchange) write(p []byte) {
	if x.err != nil || len(p) == 0 {
		return
	}
	n, err := x.w.Write(p)
	x.bytes += int64(n)
	x.err = err
}

// fail answers with an error. Entity headers of the answer that was under way
// go.
func (x *exchange) fail(e *scimError) {
	header := x.w.Header()
	for _, name := range [...]string{"ETag", "Last-Modified", "Content-Location", "Location", "Content-Encoding", "Content-Length"} {
		header.Del(name)
	}
	for name, values := range e.header {
		header[name] = values
	}
	header.Set("Cache-Control", "no-store")
	x.detail = e.detail
	x.respond(e.status, e.body())
}

// find gives the route for a path and the decoded segments after its endpoint
// name. Empty segments count for nothing, so slashes may be doubled or trail;
// endpoint names may be in any case.
func (h *Handler) find(x *exchange, escaped string) (route, []string, bool) {
	rest, ok := h.below(escaped)
	if !ok {
		return route{name: "?"}, nil, false
	}
	segments, ok := decode(x.segments[:0], rest)
	if !ok {
		return route{name: "?"}, nil, false
	}
	rt, used, ok := h.route(segments)
	if !ok {
		return route{name: "?"}, nil, false
	}
	return rt, segments[used:], true
}

// below cuts one of the base paths off.
func (h *Handler) below(path string) (string, bool) {
	for _, prefix := range h.prefixes {
		rest, ok := strings.CutPrefix(path, prefix)
		if ok && (rest == "" || rest[0] == '/') {
			return rest, true
		}
	}
	return "", false
}
