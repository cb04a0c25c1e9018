package admin_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/rehearse"
	"scimbridge/scim/directory"
	"scimbridge/sync/consent"
	"scimbridge/sync/mirror"
)

// fake is a backend that remembers what was done.
type fake struct {
	token string
	host  string
	ready error
	done  []string
	err   error
	st    admin.Status
	flow  *consent.Flow
	apps  []consent.App
}

func (f *fake) Ready() error         { return f.ready }
func (f *fake) Status() admin.Status { return f.st }
func (f *fake) AdminToken() ([sha256.Size]byte, bool) {
	return sha256.Sum256([]byte(f.token)), f.token != ""
}
func (f *fake) Reload(context.Context) error { f.done = append(f.done, "reload"); return f.err }
func (f *fake) Sync(_ context.Context, s string, full bool) (admin.Round, error) {
	f.done = append(f.done, "sync "+s)
	return admin.Round{Outcome: "published"}, f.err
}
func (f *fake) Approve(_ context.Context, s string, n uint64, by string) (admin.Round, error) {
	f.done = append(f.done, "approve "+s)
	return admin.Round{}, f.err
}
func (f *fake) ApproveClient(_ context.Context, client string, sources []string, by string) (admin.Narrowing, error) {
	f.done = append(f.done, strings.TrimSpace("approve client "+client+" "+strings.Join(sources, " ")))
	return admin.Narrowing{Client: client}, f.err
}
func (f *fake) HeldFrom(client string, list int) ([]*mirror.Diff, error) {
	return []*mirror.Diff{{Source: client, Omitted: list}}, nil
}
func (f *fake) Freeze(_ context.Context, s, by string) error {
	f.done = append(f.done, "freeze "+s)
	return f.err
}
func (f *fake) Unfreeze(_ context.Context, s, by string) (admin.Round, error) {
	f.done = append(f.done, "unfreeze "+s)
	return admin.Round{}, f.err
}
func (f *fake) History(context.Context, string, int) ([]admin.PastRound, error) {
	return []admin.PastRound{
		{Round: 3, Started: time.Unix(1800000600, 0), Outcome: "failed", Users: 12, Error: "<script>alert(1)</script>"},
		{Round: 2, Started: time.Unix(1800000300, 0), Outcome: "published", Users: 14, Changed: 1 << 40},
		{Round: 1, Started: time.Unix(1800000000, 0), Outcome: "published", Users: 10, Full: true},
	}, nil
}
func (f *fake) Rehearse(context.Context, string, bool, int) (admin.Rehearsal, error) {
	return admin.Rehearsal{Round: admin.Round{Outcome: "published"}, Diff: &mirror.Diff{Source: "contoso"}}, nil
}
func (f *fake) RehearseImport(_ context.Context, platform, client string, limit int) (*rehearse.Report, error) {
	return &rehearse.Report{Platform: platform, Client: client, Users: limit}, f.err
}
func (f *fake) Held(context.Context, string, int) (*mirror.Diff, error) { return nil, nil }
func (f *fake) Diff(_ context.Context, _ string, from, to uint64, _ int) (*mirror.Diff, error) {
	return &mirror.Diff{Source: "contoso", From: from, To: to}, nil
}
func (f *fake) Kept(string) ([]admin.Generation, error) { return []admin.Generation{{Number: 3}}, nil }
func (f *fake) Rollback(_ context.Context, source string, generation uint64, by string) (admin.Round, error) {
	return admin.Round{Outcome: "rolled back", Round: generation}, nil
}
func (f *fake) HeldChanges(context.Context, string, int) ([]admin.Change, int, error) {
	return []admin.Change{{Kind: "removed", Type: "User", ID: "u1", Name: "Ada <Lovelace>", Why: "deleted"}}, 7, nil
}
func (f *fake) Explain(_ context.Context, source, text, by string) ([]mirror.Explanation, error) {
	return []mirror.Explanation{{Source: source, Name: text, Why: by}}, nil
}
func (f *fake) Lately(context.Context, string, int) ([]admin.Lately, error) {
	return []admin.Lately{{
		Generation: 41, Published: time.Unix(1800000600, 0), Users: directory.Counts{Added: 2, Changed: 1234}, Omitted: 1200,
		Changes: []admin.Change{{Kind: "changed", Type: "User", ID: "u7", Name: "<Mover & Shaker>", Attributes: []string{"title", "name.familyName"}}},
	}}, nil
}

func (f *fake) Lookup(_ context.Context, text string) ([]admin.Found, error) {
	if text == "ada" {
		return []admin.Found{{Source: "contoso", ID: "u1", Name: "Ada", SCIM: `{"x":"</pre>"}`, Graph: "{}", Values: []admin.Value{
			{Path: "title", JSON: `"<Countess>"`, Rule: "jobTitle"}, {Path: "nickName", Rule: "user.mailNickname.upper()", Origin: "config.yaml:7", Problem: "no such overload"},
		}}}, nil
	}
	return nil, nil
}
func (f *fake) ConfigYAML() string { return "scim: {}\n" }

func (f *fake) ConsentFlow() *consent.Flow                         { return f.flow }
func (f *fake) ConsentApps(context.Context) ([]consent.App, error) { return f.apps, f.err }
func (f *fake) AdminURL() string                                   { return "https://admin.example.com" }
func (f *fake) Test(context.Context, string) (*consent.Report, error) {
	f.done = append(f.done, "test")
	return &consent.Report{Source: "contoso", Steps: []consent.Step{{Name: "token", Detail: "<b>", Mend: "mend it"}}}, f.err
}
func (f *fake) ConsentApp(_ context.Context, source string) (consent.App, error) {
	for _, app := range f.apps {
		if app.Source == source {
			return app, nil
		}
	}
	return consent.App{}, admin.ErrNoSource
}
func (f *fake) PublicHost() string { return f.host }

// newFake has everything that the page can show.
func newFake() *fake {
	now := time.Unix(1800001000, 0)
	return &fake{st: admin.Status{
		Version: "1.2.3", Now: now, Started: now.Add(-time.Hour), PublicURL: "https://scim.example.com/scim/v2",
		NotReady: "a reason", ConfigError: "config.yaml:1: a fault", ConfigFailed: now, ConfigLoaded: now.Add(-time.Hour),
		ReloadHistory: []admin.ReloadStatus{{At: now, Error: "a fault"}, {At: now, Changes: "interval: 1m -> 2m"}},
		Credentials:   []admin.CredentialStatus{{Name: "scim.tls", Expires: now.Add(240 * time.Hour)}, {Name: "sources.old", Expires: now.Add(-time.Hour)}},
		Sources: []admin.SourceStatus{
			{Name: "contoso", State: "held", Users: 12345, HeldRound: 3, HeldSince: now, Held: "too many", Graph: &admin.GraphStatus{Requests: map[string]uint64{"2xx": 5}}, Rounds: map[string]uint64{"published": 2},
				LeftOutUsers: map[string]int{"users.where": 1234, "users.exclude": 1}, LeftOutGroups: map[string]int{"groups.exclude": 2}, LeftOutAt: now, LostGroups: []string{"no-group-1", "no-group-2"}},
			{Name: "failing", State: "failing", Failures: 2, FailedSince: now, Error: "no answer", Graph: &admin.GraphStatus{}},
			{Name: "frozen", State: "frozen", Frozen: now, Graph: &admin.GraphStatus{}, Mapping: []admin.MappingProblem{{Type: "User", Attribute: "userName", Count: 2, Kept: 1, Example: "an-id", Reason: "it is no text"}}},
			{Name: "importing", State: "first import", ProgressUsers: 1000, Graph: &admin.GraphStatus{}},
			{Name: "left", State: "no longer in the file", Users: 3},
			{Name: "off", State: "disabled"},
		},
		Clients: []admin.ClientStatus{{Name: "okta", Requests: 10, Failures: 1, LastRequest: now, Agent: "Okta SCIM", Imports: []admin.Import{
			{Endpoint: "/Users", Kind: "full", Started: now.Add(-time.Minute), LastRequest: now, Pages: 3, Resources: 30, Total: 30, State: admin.Finished, View: "contoso.1"},
			{Endpoint: "/Groups", Kind: "filtered", Filtered: true, Started: now, LastRequest: now, State: admin.BrokenOff},
		}}, {Name: "idle", Held: []admin.HeldSource{{Source: "north<wind>", Users: 1234, Groups: 1}}}},
		Endpoint: admin.EndpointStatus{Responses: map[int]uint64{200: 9, 401: 1, 0: 1}, Latency: admin.Histogram{Count: 11, Sum: 1.5, Within: map[float64]uint64{0.1: 5, 1: 11}}},
	}}
}

// request asks the handler. header is name, value, …
func request(h http.Handler, method, target, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8881"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func newHandler(t *testing.T, f *fake) http.Handler {
	return admin.New(admin.Config{Backend: f, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
}

const html = "text/html,application/xhtml+xml"

func TestWhoIsLetIn(t *testing.T) {
	for name, c := range map[string]struct {
		token, host string
		path        string
		header      []string
		want        int
	}{
		"health is open":                         {"secret", "", "/healthz", nil, 200},
		"readiness is open":                      {"secret", "", "/readyz", nil, 200},
		"metrics are not":                        {"secret", "", "/metrics", nil, 401},
		"nor is the status":                      {"secret", "", "/api/v1/status", nil, 401},
		"nor the page":                           {"secret", "", "/", []string{"Accept", html}, 401},
		"with the token":                         {"secret", "", "/api/v1/status", []string{"Authorization", "Bearer secret"}, 200},
		"with another":                           {"secret", "", "/api/v1/status", []string{"Authorization", "Bearer secre"}, 401},
		"with the token as a password":           {"secret", "", "/api/v1/status", []string{"Authorization", "Basic secret"}, 401},
		"with a cookie of nobody's":              {"secret", "", "/", []string{"Cookie", "scim-bridge-session=x"}, 401},
		"without a token, by localhost":          {"", "", "/", nil, 200},
		"without a token, by an address":         {"", "", "/", []string{"Host", "127.0.0.1:8881"}, 200},
		"without a token, by an IPv6 address":    {"", "", "/", []string{"Host", "[::1]:8881"}, 200},
		"a name that was made to lead here":      {"", "", "/", []string{"Host", "evil.example:8881"}, 421},
		"the name of the public URL":             {"", "bridge.example", "/", []string{"Host", "bridge.example"}, 200},
		"another name beside the public URL's":   {"", "bridge.example", "/", []string{"Host", "evil.example"}, 421},
		"no name at all":                         {"", "", "/", []string{"Host", ""}, 421},
		"the command line over the Unix socket":  {"", "", "/api/v1/status", []string{"Host", "scim-bridge"}, 200},
		"a name that leads here is asked by one": {"secret", "", "/", []string{"Host", "evil.example", "Authorization", "Bearer secret"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.token, f.host = c.token, c.host
			if res := request(newHandler(t, f), http.MethodGet, c.path, "", c.header...); res.StatusCode != c.want {
				t.Errorf("got %s, want %d: %.300s", res.Status, c.want, body(t, res))
			}
		})
	}
}

func TestBrowserSignsIn(t *testing.T) {
	f := newFake()
	f.token = "secret"
	h := newHandler(t, f)
	if page := body(t, request(h, http.MethodGet, "/", "", "Accept", html)); !strings.Contains(page, `action="/login"`) || strings.Contains(page, "contoso") {
		t.Fatalf("without a session the page is %.500s", page)
	}
	if res := request(h, http.MethodPost, "/login", "token=wrong"); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 {
		t.Errorf("a wrong token gives %s and %v", res.Status, res.Cookies())
	}
	res := request(h, http.MethodPost, "/login", "token=secret", "X-Forwarded-Proto", "https")
	if len(res.Cookies()) != 1 {
		t.Fatalf("the token gives %s and %v", res.Status, res.Cookies())
	}
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(cookie.Value, "secret") {
		t.Errorf("the cookie is %v", cookie)
	}
	session := []string{"Accept", html, "Cookie", cookie.Name + "=" + cookie.Value}
	if page := body(t, request(h, http.MethodGet, "/", "", session...)); !strings.Contains(page, "contoso") || !strings.Contains(page, `action="/logout"`) {
		t.Errorf("with a session the page is %.500s", page)
	}
	f.token = "other"
	if res := request(h, http.MethodGet, "/", "", session...); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the token changed the session gives %s", res.Status)
	}
	f.token = "secret"
	request(h, http.MethodPost, "/logout", "", session...)
	if res := request(h, http.MethodGet, "/", "", session...); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out the session gives %s", res.Status)
	}
	var last int
	for range 10 {
		last = request(h, http.MethodPost, "/login", "token=wrong").StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the tenth wrong token gives %d", last)
	}
}

func TestActions(t *testing.T) {
	paths := map[string]string{
		"/api/v1/reload": "reload", "/api/v1/sources/contoso/sync": "sync contoso", "/api/v1/sources/contoso/approve": "approve contoso",
		"/api/v1/sources/contoso/freeze": "freeze contoso", "/api/v1/sources/contoso/unfreeze": "unfreeze contoso",
		"/api/v1/clients/okta/approve": "approve client okta",
	}
	for path, want := range paths {
		f := newFake()
		h := newHandler(t, f)
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
			if res := request(h, method, path, ""); res.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %s", method, path, res.Status)
			}
		}
		for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			if res := request(h, http.MethodPost, path, "", foreign...); res.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s with %v: %s", path, foreign, res.Status)
			}
		}
		if len(f.done) != 0 {
			t.Errorf("%s: %v was done", path, f.done)
		}
		if res := request(h, http.MethodPost, path, ""); res.StatusCode != http.StatusOK || len(f.done) != 1 || f.done[0] != want {
			t.Errorf("POST %s: %s, did %v", path, res.Status, f.done)
		}
		if res := request(h, http.MethodPost, path, "", "Accept", html, "Sec-Fetch-Site", "same-origin"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
			t.Errorf("POST %s by a browser: %s to %q", path, res.Status, res.Header.Get("Location"))
		}
		f.err = errors.New("not <now>")
		if res := request(h, http.MethodPost, path, "", "Accept", html); res.StatusCode != http.StatusConflict || !strings.Contains(body(t, res), "not &lt;now&gt;") {
			t.Errorf("POST %s by a browser, failing: %s", path, res.Status)
		}
	}
	if res := request(newHandler(t, newFake()), http.MethodPost, "/api/v1/sources/contoso/approve", "round=x"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("approving round x: %s", res.Status)
	}
	f := newFake()
	if res := request(newHandler(t, f), http.MethodPost, "/api/v1/clients/okta/approve", "source=a&source=b"); res.StatusCode != http.StatusOK || f.done[0] != "approve client okta a b" {
		t.Errorf("approving what the page showed: %s, did %v", res.Status, f.done)
	}
	f.err = fmt.Errorf("%w %q", admin.ErrNoClient, "okta")
	if res := request(newHandler(t, f), http.MethodPost, "/api/v1/clients/okta/approve", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("approving for nobody: %s", res.Status)
	}
	if res := request(newHandler(t, f), http.MethodGet, "/api/v1/clients/okta/held?list=7", ""); res.StatusCode != http.StatusOK || !strings.Contains(body(t, res), `"source": "okta"`) {
		t.Errorf("what is held from a client: %s", res.Status)
	}
}

func TestPageShowsEverythingAndEscapesIt(t *testing.T) {
	h := newHandler(t, newFake())
	res := request(h, http.MethodGet, "/", "", "Accept", html)
	page := body(t, res)
	for _, want := range []string{
		"a reason", "config.yaml:1: a fault", "12,345", "Approve round 3", "Ada &lt;Lovelace&gt;", "and 7 more", "2 rounds failed", "no answer", "Frozen", "The mapping fails", "an-id", "it is no text",
		"1,000 users", "Drop 3 users", "disabled", "okta", "30 of 30", "broken off", "expired", "ends in 10 days", "interval: 1m -&gt; 2m",
		"&lt;script&gt;alert(1)", "10 to 14", "No request since the start", "users: 2 added, 1,234 changed", "&lt;Mover &amp; Shaker&gt;", "title, name.familyName", "and 1,200 more",
		"The list of sources of client idle is shorter", "north&lt;wind&gt; (1,234 users, 1 group)", "Take it from idle", `name="source" value="north&lt;wind&gt;"`, "Dashed: groups, 0", "Left out by the scope: 1 user by users.exclude, 1,234 users by users.where, 2 groups by groups.exclude; counted", "the tenant does not have no-group-1, no-group-2. Correct the list",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "style=") || strings.Contains(page, "onclick") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page has what the content policy forbids, or text that is not escaped")
	}
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the content policy is %q", policy)
	}
	if found := body(t, request(h, http.MethodGet, "/lookup?q=ada", "")); !strings.Contains(found, "&lt;/pre&gt;") || strings.Count(found, "<pre") != 2 ||
		!strings.Contains(found, "&lt;Countess&gt;") || !strings.Contains(found, "jobTitle") || !strings.Contains(found, "config.yaml:7") || !strings.Contains(found, "no such overload") {
		t.Errorf("the look-up shows %.3000s", found)
	}
	if none := body(t, request(h, http.MethodGet, "/lookup?q="+url.QueryEscape("<b>"), "")); !strings.Contains(none, "&lt;b&gt;") {
		t.Errorf("an empty look-up shows %.3000s", none)
	}
	for file, want := range map[string]int{"page.css": 200, "page.js": 200, "page.html": 404, "..%2fadmin.go": 404} {
		if res := request(h, http.MethodGet, "/assets/"+file, ""); res.StatusCode != want {
			t.Errorf("asset %s: %s", file, res.Status)
		}
	}
}

func TestMetrics(t *testing.T) {
	text := body(t, request(newHandler(t, newFake()), http.MethodGet, "/metrics", ""))
	for _, want := range []string{
		`scim_bridge_build_info{version="1.2.3"} 1`, `scim_bridge_ready 0`, `scim_bridge_config_last_reload_successful 0`,
		`scim_bridge_snapshot_objects{source="contoso",type="user"} 12345`, `scim_bridge_safeguard_held{source="contoso"} 1`,
		`scim_bridge_safeguard_held{source="failing"} 0`, `scim_bridge_consecutive_failures{source="failing"} 2`,
		`scim_bridge_rounds_total{outcome="published",source="contoso"} 2`, `scim_bridge_graph_requests_total{code="2xx",source="contoso"} 5`,
		`scim_bridge_client_held_sources{client="okta"} 0`, `scim_bridge_client_held_sources{client="idle"} 1`,
		`scim_bridge_scim_requests_total{client="okta"} 10`, `scim_bridge_scim_last_full_pull_timestamp_seconds{client="okta",endpoint="/Users"} 1.800001e+09`,
		`scim_bridge_scim_request_duration_seconds_bucket{le="0.1"} 5`, `scim_bridge_scim_responses_total{code="401"} 1`,
		`scim_bridge_credential_expiry_timestamp_seconds{name="scim.tls"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, absent := range []string{`last_success_timestamp_seconds{source="off"}`, `endpoint="/Groups"`} {
		if strings.Contains(text, absent) {
			t.Errorf("the metrics have %s", absent)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: the metrics' form was not checked: promtool is not installed")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestRehearsal(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/api/v1/rehearse?as=sap&client=x&limit=7": {http.StatusOK, `"platform": "sap"`},
		"/api/v1/rehearse":                         {http.StatusBadRequest, "as names no platform"},
		"/api/v1/rehearse?as=sap&limit=-1":         {http.StatusBadRequest, "is no number"},
	} {
		res := request(newHandler(t, newFake()), http.MethodGet, path, "")
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want.status || !strings.Contains(string(body), want.body) {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, body, err)
		}
	}
	busy := newFake()
	busy.err = errors.New("another rehearsal is under way")
	if res := request(newHandler(t, busy), http.MethodGet, "/api/v1/rehearse?as=okta", ""); res.StatusCode != http.StatusConflict {
		t.Errorf("while one is under way: %d", res.StatusCode)
	}
}
