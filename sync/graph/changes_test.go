package graph_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
)

func TestFullReadFollowsThePages(t *testing.T) {
	w := &world{graph: inTurn(pageTo("1", `{"id":"a"}`), pageTo("2"), lastPage(`{"id":"b","mail":"m"}`))}
	c := newClient(t, w, nil)
	changes, cursor, err := read(c.Changes(t.Context(), graph.Users, ""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]graph.Change{{ID: "a"}, {ID: "b", Properties: props("mail", `"m"`)}}, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if want := graphURL + "/v1.0/users/delta?$deltatoken=end"; cursor != want {
		t.Errorf("cursor %q, want %q", cursor, want)
	}
	var urls []string
	for _, req := range w.requests() {
		urls = append(urls, req.URL.String())
	}
	want := []string{
		graphURL + "/v1.0/users/delta?$select=displayName,mail,manager",
		graphURL + "/v1.0/users/delta?$skiptoken=1",
		graphURL + "/v1.0/users/delta?$skiptoken=2",
	}
	if diff := cmp.Diff(want, urls); diff != "" {
		t.Errorf("URLs (-want +got):\n%s", diff)
	}
	if s := c.Status(); s.OK != 3 || s.Pages != 3 || s.Changes != 2 || s.TokenFetches != 1 || s.Retries != 0 || s.LastError != "" || s.TokenExpiry.IsZero() {
		t.Errorf("status %+v", s)
	}
}

func TestRequestsCarryWhatGraphAsksFor(t *testing.T) {
	w := &world{graph: inTurn(pageTo("1"), lastPage())}
	if _, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Groups, "")); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, req := range w.requests() {
		for name, want := range map[string]string{
			"Authorization": `^Bearer token-1$`, "Accept": `^application/json;odata.metadata=minimal$`, "User-Agent": `^scim-bridge/1\.2\.3$`,
			"Prefer": `^odata\.maxpagesize=\d+$`, "X-Ms-Throttle-Priority": `^low$`,
			"Client-Request-Id": `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		} {
			if got := req.Header.Get(name); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %q", name, got)
			}
		}
		ids[req.Header.Get("client-request-id")] = true
	}
	if len(ids) != 2 {
		t.Error("two requests with one id")
	}
	if got, want := w.requests()[0].URL.RawQuery, "$select=displayName,members"; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	want := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"client"}, "client_secret": {secret}, "scope": {graphURL + "/.default"},
	}
	if diff := cmp.Diff([]url.Values{want}, w.logins); diff != "" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
}

func TestDeltaRoundFollowsTheCursorToTheLetter(t *testing.T) {
	const cursor = graphURL + "/v1.0/users/delta?$deltatoken=A%2fb+c~d&x=$y"
	w := &world{graph: always(lastPage())}
	if _, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, cursor)); err != nil {
		t.Fatal(err)
	}
	if got := w.requests()[0].URL.String(); got != cursor {
		t.Errorf("asked for %q", got)
	}
}

func TestRoundStopsWhenTheCallerDoes(t *testing.T) {
	w := &world{graph: func(n int, _ *http.Request) answer { return pageTo(fmt.Sprint(n)) }}
	for _, err := range newClient(t, w, nil).Changes(t.Context(), graph.Users, "") {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := len(w.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestLinksAreFollowedOnlyUnderTheBase(t *testing.T) {
	const base = "https://graph.test/proxy"
	tests := []struct {
		link string
		ok   bool
	}{
		{base + "/v1.0/users/delta?$skiptoken=x", true},
		{"https://graph.test:443/proxy/v1.0/users/delta", true},
		{"https://GRAPH.test/proxy/v1.0/users/microsoft.graph.delta()?$skiptoken=%2F%2e%2e", true},
		{"https://graph.test/proxy", false},
		{"https://graph.test/v1.0/users/delta", false},
		{"https://graph.test/proxyother/v1.0", false},
		{"http://graph.test/proxy/v1.0", false},
		{"https://graph.test:8443/proxy/v1.0", false},
		{"https://graph.test.evil/proxy/v1.0", false},
		{"https://evil/proxy/v1.0?https://graph.test/proxy/", false},
		{"https://graph.test@evil/proxy/v1.0", false},
		{"https://user@graph.test/proxy/v1.0", false},
		{`https://graph.test\@evil/proxy/`, false},
		{base + "/../v1.0", false},
		{base + "/a/%2e%2E/../v1.0", false},
		{base + "/a%2f..%2f..", false},
		{base + "/a%2F..%2F..", false},
		{base + "/%2E%2E/x", false},
		{base + "/a%5C..", false},
		{base + "/x#fragment", false},
		{"/proxy/v1.0/users/delta", false},
		{"//graph.test/proxy/v1.0", false},
		{"https:graph.test/proxy/", false},
		{"", false},
		{"https://graph.test/proxy/\n", false},
	}
	for _, tt := range tests {
		if err := graph.CheckLink(base, tt.link); (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.link, err)
		}
	}
}

func TestRoundRefusesDangerousAnswers(t *testing.T) {
	elsewhere := func(link string) answer {
		return answer{body: `{"value":[],"` + link + `":"https://evil.test/v1.0/users/delta"}`}
	}
	tests := []struct {
		name    string
		cursor  string
		answers []answer
		asked   int
		want    error
	}{
		{"a nextLink to another host", "", []answer{elsewhere("@odata.nextLink")}, 1, graph.ErrProtocol},
		{"a deltaLink to another host", "", []answer{elsewhere("@odata.deltaLink")}, 1, graph.ErrProtocol},
		{"a nextLink to itself", "", []answer{pageTo("1"), pageTo("1")}, 2, graph.ErrProtocol},
		{"a nextLink in a circle", "", []answer{pageTo("1"), pageTo("2"), pageTo("1")}, 3, graph.ErrProtocol},
		{"a nextLink to the cursor", graphURL + "/v1.0/users/delta?$skiptoken=0", []answer{pageTo("0")}, 1, graph.ErrProtocol},
		{"more pages than allowed", "", []answer{pageTo("1"), pageTo("2"), pageTo("3"), pageTo("4")}, 3, graph.ErrProtocol},
		{"a redirect to another host", "", []answer{{status: 302, header: map[string]string{"Location": "https://evil.test/"}}}, 1, graph.ErrProtocol},
		{"a redirect within Graph", "", []answer{{status: 307, header: map[string]string{"Location": graphURL + "/v1.0/x"}}}, 1, graph.ErrProtocol},
		{"a body without end", "", []answer{{body: strings.Repeat(" ", 1<<20)}}, 1, graph.ErrProtocol},
		{"a cursor to another host", "https://evil.test/v1.0/users/delta", []answer{lastPage()}, 0, graph.ErrResync},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{graph: inTurn(tt.answers...)}
			c := newClient(t, w, func(cfg *graph.Config) { cfg.MaxPages, cfg.MaxBody = 3, 1<<20-1 })
			_, cursor, err := read(c.Changes(t.Context(), graph.Users, tt.cursor))
			if !errors.Is(err, tt.want) || cursor != "" {
				t.Errorf("cursor %q, error %v", cursor, err)
			}
			if n := len(w.requests()); n != tt.asked {
				t.Errorf("%d requests instead of %d", n, tt.asked)
			}
		})
	}
}

func TestDeltaLinkMayBeTheOneFollowed(t *testing.T) {
	w := &world{graph: always(lastPage())}
	_, cursor, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, graphURL+"/v1.0/users/delta?$deltatoken=end"))
	if err != nil || cursor == "" {
		t.Errorf("cursor %q, error %v", cursor, err)
	}
}

func TestBrokenObjectsAreReported(t *testing.T) {
	w := &world{graph: always(lastPage(`{"id":"a"}`, `{"id":1}`, `{"id":"b"}`))}
	c := newClient(t, w, nil)
	for page, err := range c.Changes(t.Context(), graph.Users, "") {
		if err != nil || len(page.Changes) != 2 || len(page.Broken) != 1 {
			t.Errorf("page %+v, error %v", page, err)
		}
	}
	if got := c.Status().Broken; got != 1 {
		t.Errorf("status counts %d broken objects", got)
	}
}

// Bodies that fail by themselves are asked for again, and a page is given to
// the caller once only.
func TestRoundSurvivesPassingFaults(t *testing.T) {
	good := lastPage(`{"id":"a"}`)
	reset := errors.New("read: connection reset by peer")
	tests := []struct {
		name  string
		fault answer
	}{
		{"500", refusal(500, "UnknownError")},
		{"500 with HTML", answer{status: 500, body: "<html>oops</html>"}},
		{"502 from a proxy", answer{status: 502, body: "<html>Bad Gateway</html>"}},
		{"503", refusal(503, "serviceNotAvailable")},
		{"503 with Retry-After", refusal(503, "serviceNotAvailable", "Retry-After", "7")},
		{"504", answer{status: 504}},
		{"509", refusal(509, "BandwidthLimitExceeded")},
		{"408", answer{status: 408}},
		{"429", refusal(429, "TooManyRequests")},
		{"429 without a body", answer{status: 429}},
		{"429 with Retry-After", refusal(429, "TooManyRequests", "Retry-After", "2.128")},
		{"a replica that is away, with any status", refusal(400, "Directory_ReplicaUnavailable")},
		{"a concurrency violation", refusal(409, "Directory_ConcurrencyViolation")},
		{"throttling told by the code alone", refusal(403, "ApplicationThrottled")},
		{"a reset before the answer", answer{err: reset}},
		{"a reset in the body", answer{body: good.body[:20], broken: reset}},
		{"a body cut short", answer{body: good.body[:20], broken: io.ErrUnexpectedEOF}},
		{"a body cut short without a word", answer{body: good.body[:len(good.body)-1]}},
		{"an empty body", answer{}},
		{"HTML with status 200", answer{body: "<html>Please sign in to the WiFi</html>"}},
		{"JSON with status 200 that is an error", answer{body: refusal(500, "UnknownError").body}},
		{"a page without links", answer{body: `{"value":[{"id":"x"}]}`}},
		{"no answer in time", answer{after: 1000_000_000_000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{graph: inTurn(pageTo("1"), tt.fault, tt.fault, good)}
				c := newClient(t, w, nil)
				changes, cursor, err := read(c.Changes(t.Context(), graph.Users, ""))
				if err != nil || cursor == "" || len(changes) != 1 {
					t.Errorf("changes %v, cursor %q, error %v", changes, cursor, err)
				}
				if s := c.Status(); s.Retries != 2 || len(w.requests()) != 4 || s.TokenFetches != 1 {
					t.Errorf("%d requests, status %+v", len(w.requests()), s)
				}
			})
		})
	}
}

func TestRoundEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := &world{graph: func(n int, _ *http.Request) answer { return pageTo(fmt.Sprint(n)) }}
		n := 0
		for _, err := range newClient(t, w, nil).Changes(ctx, graph.Users, "") {
			if n++; n == 3 {
				cancel()
			}
			if n == 4 {
				if !errors.Is(err, context.Canceled) || errors.Is(err, graph.ErrUnavailable) {
					t.Errorf("error %v", err)
				}
				continue
			}
			if err != nil {
				t.Errorf("page %d: %v", n, err)
			}
		}
		if n != 4 {
			t.Errorf("%d turns", n)
		}
	})
}
