// Package tracing sends traces to an OpenTelemetry collector, where the standard
// environment variables name one, and is nothing at all where they do not:
// no tracer, no goroutine, no cost.
//
// What goes into a span is decided where it is made (sync/mirror, sync/graph,
// scim): names from the configuration, routes, counts and status codes; never a
// person's name, address or id, and never a secret.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// stopTime bounds how long Stop waits for the last spans to be sent.
const stopTime = 3 * time.Second

// Tracing is traces being sent. The nil Tracing sends none.
type Tracing struct{ provider *trace.TracerProvider }

// Start begins to send traces, if the environment asks for it: with
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT set, or
// OTEL_TRACES_EXPORTER=otlp for the default endpoint, and unless
// OTEL_SDK_DISABLED=true. It gives nil where there is nothing to send. Names,
// headers, certificates, sampling, batches and limits are set by the other
// variables of the OpenTelemetry specification.
//
// The error says which variable is wrong. The caller goes on without traces:
// that they can't be sent is no reason to serve nobody.
func Start(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	wanted, err := wanted(os.Getenv)
	if !wanted || err != nil {
		return nil, err
	}
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent", "err", err) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_*: %w", err)
	}
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last and win.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "scim-bridge"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	log.Info("traces are sent", "exporter", "otlp over http")
	return &Tracing{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}, nil
}

// wanted reads whether traces are to be sent.
func wanted(getenv func(string) string) (bool, error) {
	if strings.EqualFold(strings.TrimSpace(getenv("OTEL_SDK_DISABLED")), "true") {
		return false, nil
	}
	endpoint := cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); {
	case exporter == "none", exporter == "" && endpoint == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; known here are otlp and none", exporter)
	}
	protocol := cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if protocol != "http/protobuf" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; only http/protobuf is spoken here (port 4318 of a collector)", protocol)
	}
	return true, nil
}

// Tracer makes spans for a part of the program; nil where no traces are sent.
func (t *Tracing) Tracer(name string) api.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(name)
}

// Stop sends what is left, for a moment.
func (t *Tracing) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the error handler was told
}
