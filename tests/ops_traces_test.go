package tests

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"scimbridge/sync/graph/graphtest"
)

// A traceCollector takes spans as an OpenTelemetry collector does.
type traceCollector struct {
	mu       sync.Mutex
	spans    []*traces.Span
	resource map[string]string
	header   string
	raw      strings.Builder // all strings of the requests
}

func (c *traceCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var batch collector.ExportTraceServiceRequest
	if err := errors.Join(err, proto.Unmarshal(data, &batch)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.header = r.Method + " " + r.URL.Path + " " + r.Header.Get("api-key")
	c.raw.Write(data)
	for _, rs := range batch.ResourceSpans {
		c.resource = attributes(rs.Resource.Attributes)
		for _, scope := range rs.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func attributes(all []*common.KeyValue) map[string]string {
	got := make(map[string]string)
	for _, kv := range all {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			got[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			got[kv.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			got[kv.Key] = fmt.Sprint(v.BoolValue)
		}
	}
	return got
}

// find gives the first span of a name that has the attributes.
func (c *traceCollector) find(name string, want map[string]string) *traces.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		got := attributes(s.Attributes)
		match := s.Name == name
		for key, value := range want {
			match = match && got[key] == value
		}
		if match {
			return s
		}
	}
	return nil
}

// Rounds, their requests to Microsoft, and requests of clients are spans, where the
// standard variables name a collector; nothing personal and no secret is in them.
func TestTraces(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 8}, 30, 3))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	c := new(traceCollector)
	server := httptest.NewServer(c)
	defer server.Close()
	env := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=the-key-of-the-collector", "OTEL_BSP_SCHEDULE_DELAY=50",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
	}
	if err := b.tryStart(env...); err != nil {
		t.Fatal(err)
	}
	b.ready()
	var someone graphtest.Object
	for u := range tenant.Users() {
		someone = u
		break
	}
	b.get(b.scim+"/Users/"+someone.ID, map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	b.get(b.scim+`/Users?filter=userName+eq+"`+someone.Text("userPrincipalName")+`"`, nil)
	b.get(b.scim+"/Users", map[string]string{"Authorization": "Bearer the-guess-of-somebody"})
	tenant.RemoveUser(someone.ID)
	b.sync("contoso")
	type m = map[string]string
	b.eventually("all spans have come", func() error {
		for name, want := range map[string]m{
			"GET /Users/{id}": {"http.response.status_code": "200", "scim_bridge.client": "importer", "scim_bridge.resources": "1"},
			"GET /Users":      {"http.response.status_code": "401", "scim_bridge.client": ""},
			"round":           {"scim_bridge.source": "contoso", "scim_bridge.full": "false", "scim_bridge.outcome": "published", "scim_bridge.users_changed": "1"},
		} {
			if c.find(name, want) == nil {
				return fmt.Errorf("no span %s with %v", name, want)
			}
		}
		return nil
	})
	round := c.find("round", m{"scim_bridge.full": "true"})
	request := c.find("GET /v1.0/users/delta", m{"http.response.status_code": "200"})
	token := c.find("POST /{id}/oauth2/v2.0/token", m{"http.response.status_code": "200"})
	if round == nil || request == nil || token == nil {
		t.Fatalf("spans are %v, %v, %v", round, request, token)
	}
	if !slices.Equal(round.SpanId, request.ParentSpanId) || !slices.Equal(round.TraceId, token.TraceId) || round.EndTimeUnixNano < request.EndTimeUnixNano {
		t.Errorf("the requests are not within the round: %v, %v", round, request)
	}
	asked := c.find("GET /Users/{id}", nil)
	if len(asked.ParentSpanId) != 0 || fmt.Sprintf("%x", asked.TraceId) == "0af7651916cd43dd8448eb211c80319c" {
		t.Error("a client's trace was taken")
	}
	c.mu.Lock()
	if c.header != "POST /v1/traces the-key-of-the-collector" || c.resource["service.name"] != "scim-bridge" || c.resource["service.version"] == "" || c.resource["deployment.environment.name"] != "test" {
		t.Errorf("sent by %s about %v", c.header, c.resource)
	}
	raw := c.raw.String()
	c.mu.Unlock()
	for _, private := range []string{someone.ID, someone.Text("userPrincipalName"), someone.Text("surname"), bridgeToken, clientSecret, "the-guess-of-somebody", tenant.ID(), "$select"} {
		if private == "" || strings.Contains(raw, private) {
			t.Errorf("the spans have %q", private)
		}
	}
	if strings.Contains(b.logged(), "the-key-of-the-collector") {
		t.Error("the log has the collector's key")
	}
	if b.stop() != 0 {
		t.Error("it did not end well")
	}

	// A collector that is down harms nothing; a setting that is not understood is
	// said.
	server.Close()
	if err := b.tryStart(append(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc")...); err != nil {
		t.Fatal(err)
	}
	b.ready()
	b.expectLog(`no traces are sent.*http/protobuf`)
	if b.stop() != 0 {
		t.Error("it did not end well")
	}
	if err := b.tryStart(append(env, "OTEL_EXPORTER_OTLP_TIMEOUT=100")...); err != nil {
		t.Fatal(err)
	}
	b.ready()
	if got := len(b.list("/Users", 10)); got != 30 {
		t.Errorf("%d are served", got)
	}
	b.expectLog(`traces could not be sent`)
	if b.stop() != 0 {
		t.Error("it did not end well")
	}
}
