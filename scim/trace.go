package scim

import (
	"net/http"

	is "go.opentelemetry.io/otel/attribute" // the package has attributes of its own
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// trace makes a span of a request that has been answered. It is a trace of its
// own: a client's traceparent is not taken, since anybody may write one. No id,
// filter or name is in it.
func (h *Handler) trace(x *exchange) {
	method := methodName(x.r.Method)
	if method != x.r.Method {
		method = "_OTHER" // as OpenTelemetry's conventions have it
	}
	_, span := h.cfg.Tracer.Start(x.r.Context(), method+" "+x.route, trace.WithNewRoot(), trace.WithTimestamp(x.started),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			is.String("http.request.method", method),
			is.String("http.route", x.route),
			is.Int("http.response.status_code", x.status),
			is.Int64("http.response.body.size", x.bytes),
			is.String("scim_bridge.client", x.clientName()),
			is.Int("scim_bridge.resources", x.items),
		))
	if x.status >= http.StatusInternalServerError || x.err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
