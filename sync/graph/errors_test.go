package graph_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
)

// sentinels that an error may be, one at most.
var sentinels = []error{
	graph.ErrResync, graph.ErrRestartRound, graph.ErrCredentials, graph.ErrPermission, graph.ErrUnavailable, graph.ErrProtocol,
}

func checkSentinel(t *testing.T, err, want error) {
	t.Helper()
	for _, s := range sentinels {
		if errors.Is(err, s) != (s == want) {
			t.Errorf("errors.Is(err, %q) is %v: %v", s, s != want, err)
		}
	}
}

// Where in a round a refusal comes.
const (
	atStart  = "start"  // the first request of a full read
	atCursor = "cursor" // the first of a delta round
	atPage   = "page"   // a nextLink
)

func TestRefusalsMeanWhatTheDocumentationSays(t *testing.T) {
	const cursor = graphURL + "/v1.0/users/delta?$deltatoken=old"
	nested := answer{status: 400, body: `{"error":{"code":"badRequest","message":"x","innererror":{"code":"a","innerError":{"code":"ResyncChangesApplyDifferences"}}}}`}
	inMessage := answer{status: 400, body: `{"error":{"code":"Request_BadRequest","message":"The DeltaToken is invalid."}}`}
	tests := []struct {
		name   string
		answer answer
		at     string
		want   error
		words  string
	}{
		{"410 with a Location, at a cursor", answer{status: 410, header: map[string]string{"Location": graphURL + "/v1.0/users/delta?$deltatoken="}}, atCursor, graph.ErrResync, "a full read is needed"},
		{"410 with a Location elsewhere", answer{status: 410, header: map[string]string{"Location": "https://evil.test/"}}, atPage, graph.ErrResync, "a full read is needed"},
		{"410 at the start", refusal(410, "resyncRequired"), atStart, graph.ErrResync, ""},
		{"410 in the middle", refusal(410, "syncStateNotFound"), atPage, graph.ErrResync, ""},
		{"410 without a body", answer{status: 410}, atPage, graph.ErrResync, ""},
		{"404 syncStateNotFound", refusal(404, "SyncStateNotFound"), atCursor, graph.ErrResync, ""},
		{"400 resyncRequired", refusal(400, "ResyncRequired"), atPage, graph.ErrResync, ""},
		{"409 resyncChangesUploadDifferences", refusal(409, "resyncChangesUploadDifferences"), atPage, graph.ErrResync, ""},
		{"a resync code deep within", nested, atPage, graph.ErrResync, "badRequest/ResyncChangesApplyDifferences"},
		{"any 400 to a cursor", refusal(400, "Request_BadRequest"), atCursor, graph.ErrResync, ""},
		{"an invalid delta token", refusal(400, "Directory_InvalidDeltaToken"), atPage, graph.ErrResync, ""},
		{"a delta token named in the message only", inMessage, atPage, graph.ErrResync, ""},
		{"the same at the start, where we sent none", inMessage, atStart, nil, "a property in the selection"},
		{"an expired page", refusal(400, "Directory_ExpiredPageToken"), atPage, graph.ErrRestartRound, "the round has to begin again"},
		{"an expired page, spelt otherwise", refusal(400, "directory_expiredpagetoken"), atPage, graph.ErrRestartRound, ""},
		{"an expired page at a cursor: the cursor has", refusal(400, "Directory_ExpiredPageToken"), atCursor, graph.ErrResync, ""},
		{"an expired page at the start", refusal(400, "Directory_ExpiredPageToken"), atStart, nil, ""},
		{"another 400 in the middle", refusal(400, "Request_BadRequest"), atPage, nil, "Request_BadRequest"},
		{"an unknown property", refusal(400, "Request_BadRequest"), atStart, nil, "a property in the selection"},
		{"an unsupported query", refusal(400, "Request_UnsupportedQuery"), atStart, nil, ""},
		{"not supported by delta", refusal(501, "NotImplemented"), atStart, nil, "may not be tracked"},
		{"403", refusal(403, "Authorization_RequestDenied"), atStart, graph.ErrPermission, "User.Read.All is missing"},
		{"403 without a body", answer{status: 403}, atPage, graph.ErrPermission, "a proxy or firewall may have given it; if it was Graph, the application permission User.Read.All"},
		{"403 without service principal", refusal(403, "Authorization_IdentityNotFound"), atStart, graph.ErrPermission, "consent was never given"},
		{"401 without service principal", refusal(401, "Authorization_IdentityNotFound"), atStart, graph.ErrPermission, "open the consent link"},
		{"401 again and again", refusal(401, "InvalidAuthenticationToken"), atPage, graph.ErrCredentials, "does not accept a token just issued"},
		{"401 with a claims challenge", refusal(401, "InvalidAuthenticationToken", "WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="e30="`), atPage, graph.ErrCredentials, "Conditional Access"},
		{"404", refusal(404, "Request_ResourceNotFound"), atStart, nil, "Request_ResourceNotFound"},
		{"a proxy's refusal", answer{status: 407, body: "<html>Proxy Authentication Required</html>"}, atStart, graph.ErrUnavailable, "the proxy"},
		{"429 for ever", refusal(429, "TooManyRequests"), atStart, graph.ErrUnavailable, "too many requests"},
		{"503 for ever", refusal(503, "serviceNotAvailable"), atPage, graph.ErrUnavailable, "Microsoft's side"},
		{"no network", answer{err: errors.New("dial tcp: no route to host")}, atStart, graph.ErrUnavailable, "no route to host"},
		{"HTML for ever", answer{body: "<html>"}, atStart, graph.ErrUnavailable, "not a page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, from := &world{graph: always(tt.answer)}, ""
				switch tt.at {
				case atCursor:
					from = cursor
				case atPage:
					w.graph = inTurn(pageTo("1"), tt.answer)
				}
				_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, from))
				if err == nil {
					t.Fatal("no error")
				}
				checkSentinel(t, err, tt.want)
				if !strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "$") {
					t.Errorf("error %q", err)
				}
			})
		})
	}
}

func TestErrorHasTheParticulars(t *testing.T) {
	a := answer{
		status: 403,
		header: map[string]string{"request-id": "from-header", "x-ms-throttle-scope": "Tenant_Application/Read/a/t"},
		body:   `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation.","innerError":{"code":"inner","request-id":"from-body"}}}`,
	}
	w := &world{graph: always(a)}
	_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Groups, ""))
	var got *graph.Error
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	id := w.requests()[0].Header.Get("client-request-id")
	want := "reading groups/delta: Graph answered 403 Authorization_RequestDenied/inner: the application permission GroupMember.Read.All is missing, or consent to it; " +
		"list it in the app registration and open the consent link (Insufficient privileges to complete the operation) [request-id from-header, client-request-id " + id + "]"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if got.Request != "groups/delta" || got.Status != 403 || got.Code != "Authorization_RequestDenied" || got.InnerCode != "inner" ||
		got.RequestID != "from-header" || got.ClientRequestID != id || got.Permission != "GroupMember.Read.All" || got.ThrottleScope == "" {
		t.Errorf("error %+v", got)
	}
}

func TestParseErrorBodies(t *testing.T) {
	tests := []struct {
		name, body                       string
		code, inner, message, requestIDs string
	}{
		{"the documented form", `{"error":{"code":"invalidRange","message":"Overlap.","innerError":{"requestId":"r","date":"d"}}}`, "invalidRange", "", "Overlap.", ""},
		{"throttling", `{"error":{"code":"TooManyRequests","innerError":{"code":"429","date":"d","message":"Please retry after","request-id":"r","status":"429"},"message":"Please retry again later."}}`, "TooManyRequests", "429", "Please retry again later.", "r"},
		{"a number for a code", `{"error":{"code":429,"message":null}}`, "429", "", "", ""},
		{"an old spelling", `{"error":{"code":"a","innererror":{"code":"b","InnerError":{"code":"c"}}}}`, "a", "c", "", ""},
		{"an object for a message", `{"error":{"code":"a","message":{"lang":"en","value":"x"}}}`, "a", "", "", ""},
		{"lines and spaces", `{"error":{"code":"a","message":" one\r\n two "}}`, "a", "", "one two", ""},
		{"an OAuth error", `{"error":"invalid_token","error_description":"x"}`, "", "", "", ""},
		{"HTML", `<html></html>`, "", "", "", ""},
		{"a cut body", `{"error":{"code":"a"`, "", "", "", ""},
		{"nothing", ``, "", "", "", ""},
		{"null", `{"error":null}`, "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := graph.ParseError([]byte(tt.body))
			if e.Code != tt.code || e.InnerCode != tt.inner || e.Message != tt.message || e.RequestID != tt.requestIDs {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestErrorBodyIsBounded(t *testing.T) {
	w := &world{graph: always(answer{status: 404, body: `{"error":{"code":"` + strings.Repeat("x", 10_000) + `","message":"` + strings.Repeat("é", 10_000) + `"}}`})}
	_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, ""))
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
	w.graph = always(answer{status: 404, body: strings.Repeat("x", 10<<20)})
	if _, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, "")); err == nil || len(err.Error()) > 2000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := graph.New(graph.Config{
		GraphURL: "graph.test", LoginURL: "https://user:pass@login.test", TenantID: "a/b", RequestsPerSecond: -1, Version: "1\n2",
		Select: map[graph.Kind][]string{graph.Users: {"mail,manager"}, 7: nil},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"graph url", "login url", "tenant id", "client id", "credential", "version", "negative", "mail,manager", "Kind(7)"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not named in:\n%v", word, err)
		}
	}
	if strings.Contains(err.Error(), "pass@") {
		t.Error("the error shows a password")
	}
}

func TestOrganization(t *testing.T) {
	w := &world{graph: always(answer{body: `{"value":[{"id":"t","displayName":"Contoso","verifiedDomains":[{"name":"contoso.example","isDefault":true,"isInitial":false,"type":"Managed"},{"name":"c.onmicrosoft.com","isInitial":true}]}]}`})}
	c := newClient(t, w, nil)
	got, err := c.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := graph.Organization{ID: "t", DisplayName: "Contoso", Domains: []graph.Domain{{Name: "contoso.example", Default: true}, {Name: "c.onmicrosoft.com", Initial: true}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("organization (-want +got):\n%s", diff)
	}
	w.graph = always(answer{body: `{"value":[]}`})
	_, err = c.Organization(t.Context())
	checkSentinel(t, err, graph.ErrProtocol)
	w.graph = always(refusal(403, "Authorization_RequestDenied"))
	_, err = c.Organization(t.Context())
	checkSentinel(t, err, graph.ErrPermission)
	if !strings.Contains(err.Error(), "Organization.Read.All") {
		t.Errorf("error %v", err)
	}
}

func TestCount(t *testing.T) {
	for body, want := range map[string]int{"294": 294, "\uFEFF0\r\n": 0} {
		w := &world{graph: always(answer{body: body})}
		got, err := newClient(t, w, nil).Count(t.Context(), graph.Groups)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", body, got, err)
		}
		req := w.requests()[0]
		if req.URL.Path != "/v1.0/groups/$count" || req.Header.Get("ConsistencyLevel") != "eventual" {
			t.Errorf("request %v %v", req.URL, req.Header)
		}
	}
	for _, body := range []string{"", "-1", "1e3", `{"value":3}`} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{graph: always(answer{body: body})}
			_, err := newClient(t, w, nil).Count(t.Context(), graph.Users)
			checkSentinel(t, err, graph.ErrUnavailable)
		})
	}
}

func TestKindNames(t *testing.T) {
	if got := graph.Users.String() + graph.Groups.String() + graph.Kind(9).String(); got != "usersgroupsKind(9)" {
		t.Error(got)
	}
}
