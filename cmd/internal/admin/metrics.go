package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics gives the handler of /metrics: the status in Prometheus' form. No
// counter is kept for it.
func (h *handler) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{h.backend}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 30 * time.Second})
}

// A collector makes metrics of a status. Labels are names from the
// configuration and fixed words only, so that there are never many.
type collector struct{ backend Backend }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("scim_bridge_"+name, help, labels, nil)
}

var (
	buildInfo  = desc("build_info", "Always 1; the version is the label.", "version")
	startTime  = desc("start_time_seconds", "When the daemon started, as Unix time.")
	ready      = desc("ready", "1 if every source is served, else 0.")
	reloadGood = desc("config_last_reload_successful", "1 if the last configuration was taken, 0 if it was refused and an older one is in force.")
	reloadTime = desc("config_last_reload_success_timestamp_seconds", "When a configuration was last taken, as Unix time.")
	reloads    = desc("config_reloads_total", "Configurations read, by result.", "result")
	certExpiry = desc("credential_expiry_timestamp_seconds", "When a certificate or client secret ends, as Unix time, where that is known.", "name")

	duplicates = desc("duplicate_user_names", "UserNames that more than one user has.")

	sourceState  = desc("source_state", "1 for the state in which the source is.", "source", "state")
	waiting      = desc("waiting_for_consent", "1 if all or a part of the source is left out until an administrator consents, else 0.", "source")
	objects      = desc("snapshot_objects", "Users and groups that are served.", "source", "type")
	activeUsers  = desc("snapshot_active_users", "Users that are served as active.", "source")
	generation   = desc("snapshot_generation", "Number of the picture that is served.", "source")
	published    = desc("snapshot_timestamp_seconds", "When what is served last changed, as Unix time.", "source")
	lastSuccess  = desc("last_success_timestamp_seconds", "When a round that read the tenant last ended without failing, as Unix time; 0: none is known.", "source")
	rounds       = desc("rounds_total", "Rounds since the start, by outcome.", "source", "outcome")
	duration     = desc("round_duration_seconds", "How long the last round took.", "source")
	failing      = desc("consecutive_failures", "Rounds that failed in a row until now.", "source")
	held         = desc("safeguard_held", "1 if a round is held until it is approved, else 0.", "source")
	heldSince    = desc("safeguard_held_since_timestamp_seconds", "Since when a round is held, as Unix time; 0: none is.", "source")
	frozen       = desc("frozen", "1 if the source is frozen, else 0.", "source")
	drift        = desc("drift_objects_total", "Objects that a full read found otherwise than deltas had told.", "source")
	hiddenGroups = desc("hidden_groups", "Groups served without members, because they hide them from us.", "source")
	broken       = desc("broken_objects", "Objects of the last round that could not be understood.", "source")
	mappingFails = desc("mapping_failures", "Users or groups for whom a rule of the mapping fails, by attribute.", "source", "type", "attribute")
	mappingKept  = desc("mapping_last_good_kept", "Of mapping_failures, those who are served with the last good value.", "source", "type", "attribute")
	unmapped     = desc("unmapped_values", "Values of the last round that could not be mapped.", "source")
	leftOut      = desc("left_out_objects", "Users and groups that are in the tenant and left out of the scope, by the rule that does it.", "source", "type", "rule")

	graphRequests  = desc("graph_requests_total", "Requests to Microsoft Graph, by answer.", "source", "code")
	graphRetries   = desc("graph_retries_total", "Requests to Microsoft that were tried again.", "source")
	graphThrottled = desc("graph_throttled_seconds_total", "Time waited because Microsoft asked for it.", "source")
	graphPages     = desc("graph_pages_total", "Pages read from Microsoft Graph.", "source")
	graphBytes     = desc("graph_received_bytes_total", "Bytes read from Microsoft Graph, decompressed.", "source")
	graphUnits     = desc("graph_resource_units_total", "What Microsoft Graph charged, in its resource units.", "source")
	graphClock     = desc("graph_clock_offset_seconds", "Microsoft's clock minus ours.", "source")

	requests     = desc("scim_requests_total", "Requests of a client.", "client")
	failures     = desc("scim_request_failures_total", "Requests of a client that were answered with 4xx or 5xx.", "client")
	heldSources  = desc("client_held_sources", "Sources that a client is shown though its list no longer has them, until that is approved.", "client")
	lastRequest  = desc("scim_last_request_timestamp_seconds", "When a client last asked, as Unix time.", "client")
	lastFullPull = desc("scim_last_full_pull_timestamp_seconds", "When a client last read a list to its end, as Unix time.", "client", "endpoint")
	imports      = desc("scim_imports", "A client's remembered imports, by state.", "client", "state")

	issuerKeys    = desc("token_issuer_keys", "Keys of an issuer of access tokens that are good; 0: its tokens can't be judged.", "issuer")
	issuerFetched = desc("token_issuer_fetch_timestamp_seconds", "When an issuer's keys were last fetched, as Unix time; 0: never.", "issuer")

	responses   = desc("scim_responses_total", "Answers of the SCIM listener, by HTTP status; 0: broken off.", "code")
	latency     = desc("scim_request_duration_seconds", "How long requests to the SCIM listener took.")
	inFlight    = desc("scim_requests_in_flight", "Requests that are being answered.")
	connections = desc("scim_connections", "Connections to the SCIM listener.")
	authFailed  = desc("scim_auth_failures_total", "Requests with wrong credentials.")
	overloaded  = desc("scim_overloaded_total", "Requests refused because too many were being answered.")
	stalled     = desc("scim_stalled_connections_total", "Connections cut because the client did not read.")
	dropped     = desc("scim_dropped_connections_total", "Idle connections closed to make room.")
)

// Describe implements prometheus.Collector: what there is depends on the
// configuration, so the collector is an unchecked one.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	st := c.backend.Status()
	m := sink{out}
	m.gauge(buildInfo, 1, st.Version)
	m.gauge(startTime, unix(st.Started))
	m.gauge(ready, one(st.NotReady == ""))
	m.gauge(reloadGood, one(st.ConfigError == ""))
	m.gauge(reloadTime, unix(st.ConfigLoaded))
	m.counter(reloads, float64(st.Reloads), "taken")
	m.counter(reloads, float64(st.FailedReloads), "refused")
	shared := 0
	if st.DuplicateNames != nil {
		shared = st.DuplicateNames.Total
	}
	m.gauge(duplicates, float64(shared))
	for _, c := range st.Credentials {
		m.gauge(certExpiry, unix(c.Expires), c.Name)
	}
	for i := range st.Sources {
		m.source(&st.Sources[i])
	}
	for i := range st.Clients {
		m.client(&st.Clients[i])
	}
	for _, i := range st.Issuers {
		m.gauge(issuerKeys, float64(i.Keys), i.Issuer)
		m.gauge(issuerFetched, unix(i.Fetched), i.Issuer)
	}
	m.endpoint(&st.Endpoint)
}

// A sink takes metrics.
type sink struct{ out chan<- prometheus.Metric }

func (m sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	m.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (m sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	m.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (m sink) source(s *SourceStatus) {
	m.gauge(sourceState, 1, s.Name, s.State)
	m.gauge(waiting, one(s.Waiting != "" || s.State == "waiting for consent"), s.Name)
	m.gauge(objects, float64(s.Users), s.Name, "user")
	m.gauge(objects, float64(s.Groups), s.Name, "group")
	m.gauge(activeUsers, float64(s.ActiveUsers), s.Name)
	m.gauge(generation, float64(s.Generation), s.Name)
	m.gauge(published, unix(s.Published), s.Name)
	m.gauge(held, one(s.HeldRound != 0), s.Name)
	m.gauge(heldSince, unix(s.HeldSince), s.Name)
	m.gauge(frozen, one(!s.Frozen.IsZero()), s.Name)
	if s.Graph == nil {
		return // it is not pulled: an old last_success would be an alarm
	}
	m.gauge(lastSuccess, unix(s.LastSuccess), s.Name)
	for outcome, n := range s.Rounds {
		m.counter(rounds, float64(n), s.Name, outcome)
	}
	m.gauge(duration, s.LastElapsed.Seconds(), s.Name)
	m.gauge(failing, float64(s.Failures), s.Name)
	m.counter(drift, float64(s.Drift), s.Name)
	m.gauge(broken, float64(s.Broken), s.Name)
	m.gauge(hiddenGroups, float64(s.HiddenGroups), s.Name)
	m.gauge(unmapped, float64(s.Problems), s.Name)
	for _, p := range s.Mapping {
		m.gauge(mappingFails, float64(p.Count), s.Name, p.Type, p.Attribute)
		m.gauge(mappingKept, float64(p.Kept), s.Name, p.Type, p.Attribute)
	}
	for rule, n := range s.LeftOutUsers {
		m.gauge(leftOut, float64(n), s.Name, "user", rule)
	}
	for rule, n := range s.LeftOutGroups {
		m.gauge(leftOut, float64(n), s.Name, "group", rule)
	}
	for code, n := range s.Graph.Requests {
		m.counter(graphRequests, float64(n), s.Name, code)
	}
	m.counter(graphRetries, float64(s.Graph.Retries), s.Name)
	m.counter(graphThrottled, s.Graph.Throttled.Seconds(), s.Name)
	m.counter(graphPages, float64(s.Graph.Pages), s.Name)
	m.counter(graphBytes, float64(s.Graph.Bytes), s.Name)
	m.counter(graphUnits, float64(s.Graph.Units), s.Name)
	m.gauge(graphClock, s.Graph.Clock.Seconds(), s.Name)
}

func (m sink) client(c *ClientStatus) {
	m.counter(requests, float64(c.Requests), c.Name)
	m.counter(failures, float64(c.Failures), c.Name)
	m.gauge(lastRequest, unix(c.LastRequest), c.Name)
	m.gauge(heldSources, float64(len(c.Held)), c.Name)
	states := map[string]int{}
	done := map[string]time.Time{}
	for _, i := range c.Imports {
		states[i.State]++
		if i.State == Finished && !i.Filtered && i.LastRequest.After(done[i.Endpoint]) {
			done[i.Endpoint] = i.LastRequest
		}
	}
	for endpoint, at := range done {
		m.gauge(lastFullPull, unix(at), c.Name, endpoint)
	}
	for _, state := range []string{Finished, UnderWay, BrokenOff} {
		m.gauge(imports, float64(states[state]), c.Name, state)
	}
}

func (m sink) endpoint(e *EndpointStatus) {
	for code, n := range e.Responses {
		m.counter(responses, float64(n), strconv.Itoa(code))
	}
	m.out <- prometheus.MustNewConstHistogram(latency, e.Latency.Count, e.Latency.Sum, e.Latency.Within)
	m.gauge(inFlight, float64(e.InFlight))
	m.gauge(connections, float64(e.Connections))
	m.counter(authFailed, float64(e.AuthFailures))
	m.counter(overloaded, float64(e.Overloaded))
	m.counter(stalled, float64(e.Stalled))
	m.counter(dropped, float64(e.Dropped))
}

// The states of an import.
const (
	Finished  = "finished"
	UnderWay  = "under way"
	BrokenOff = "broken off"
)

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
