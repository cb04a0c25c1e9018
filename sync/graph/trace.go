package graph

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// A traced transport makes a span of every request, retries and logins included,
// from its beginning to the end of its answer's body. Queries and ids are not in
// it: they are personal data, or tokens of a kind.
type traced struct {
	http.RoundTripper
	tracer trace.Tracer
}

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(req *http.Request) (*http.Response, error) {
	path := template(req.URL.Path)
	ctx, span := t.tracer.Start(req.Context(), req.Method+" "+path, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", req.Method),
		attribute.String("server.address", req.URL.Hostname()),
		attribute.String("url.template", path),
	))
	res, err := t.RoundTripper.RoundTrip(req.WithContext(ctx))
	if err != nil {
		span.SetAttributes(attribute.String("error.type", "no answer"))
		span.SetStatus(codes.Error, "no answer") // the error may quote the URL
		span.End()
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", res.StatusCode))
	if id := res.Header.Get("request-id"); id != "" {
		span.SetAttributes(attribute.String("microsoft.request_id", id)) // what Microsoft's support asks for
	}
	if res.StatusCode >= 400 {
		span.SetStatus(codes.Error, "")
	}
	res.Body = &tracedBody{res.Body, span}
	return res, nil
}

// A tracedBody ends its request's span when it is closed.
type tracedBody struct {
	io.ReadCloser
	span trace.Span
}

// Close implements io.Closer.
func (b *tracedBody) Close() error {
	defer b.span.End()
	return b.ReadCloser.Close()
}

// segments are the parts of paths that say what is asked; all others say about
// whom.
var segments = []string{
	"v1.0", "beta", "users", "groups", "delta", "members", "transitiveMembers", "manager", "organization", "servicePrincipals", "applications",
	"appRoleAssignments", "appRoleAssignedTo", "directoryObjects", "subscriptions", "$batch", "$count", "oauth2", "v2.0", "token", "metadata", "identity", "msi",
}

// template gives a path with {id} for everything that is no fixed word.
func template(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part != "" && !slices.Contains(segments, part) {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
