package tracing

import "testing"

func TestWanted(t *testing.T) {
	type env map[string]string
	for name, c := range map[string]struct {
		env    env
		want   bool
		faulty bool
	}{
		"nothing set":             {env{}, false, false},
		"an endpoint":             {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, true, false},
		"one for traces only":     {env{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, true, false},
		"the default endpoint":    {env{"OTEL_TRACES_EXPORTER": "otlp"}, true, false},
		"disabled":                {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "TRUE"}, false, false},
		"not disabled":            {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "1"}, true, false},
		"no exporter":             {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"}, false, false},
		"an exporter not here":    {env{"OTEL_TRACES_EXPORTER": "zipkin"}, false, true},
		"a protocol not here":     {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, true},
		"the protocol for traces": {env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wanted(func(name string) string { return c.env[name] })
			if got != c.want || (err != nil) != c.faulty {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestNoneIsNothing(t *testing.T) {
	tracing, err := Start(t.Context(), "1", nil)
	if tracing != nil || err != nil || tracing.Tracer("x") != nil {
		t.Errorf("got %v, %v", tracing, err)
	}
	tracing.Stop()
}
