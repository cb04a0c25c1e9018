package mirror

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"scimbridge/sync/store"
)

// trace begins a span of a round, in which those of its requests lie, and gives
// what ends it when the report is complete.
func (m *Mirror) trace(ctx context.Context, report *Report) (context.Context, func()) {
	if m.cfg.Tracer == nil {
		return ctx, func() {}
	}
	ctx, span := m.cfg.Tracer.Start(ctx, "round", trace.WithAttributes(attribute.String("scim_bridge.source", m.cfg.Name)))
	return ctx, func() {
		span.SetAttributes(
			attribute.Int64("scim_bridge.round", int64(report.Round)),
			attribute.String("scim_bridge.outcome", string(report.Outcome)),
			attribute.Bool("scim_bridge.full", report.Full()),
			attribute.Int("scim_bridge.pages", report.Pages),
			attribute.Int("scim_bridge.users_changed", moved(report.Users)),
			attribute.Int("scim_bridge.groups_changed", moved(report.Groups)),
		)
		if report.Err != nil {
			span.SetStatus(codes.Error, "the log says why") // the error may name somebody
		}
		span.End()
	}
}

func moved(t store.Tally) int { return t.Added + t.Changed + t.Removed }
