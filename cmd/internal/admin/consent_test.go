package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
)

// newConsentFake has a source that waits for consent, and one with a managed
// identity.
func newConsentFake(t *testing.T) *fake {
	t.Helper()
	f := newFake()
	app := func(source string, credential graph.Credential) consent.App {
		return consent.App{
			Source: source, RedirectURI: "https://admin.example.com/consent/callback", Wants: consent.Wants{Groups: true},
			Graph: graph.Config{GraphURL: "https://graph.invalid", LoginURL: "https://login.invalid", ClientID: "7d2e0000-1111-4222-8333-444455556666", Credential: credential},
		}
	}
	f.apps = []consent.App{app("contoso", graph.ClientSecret("the-client-secret")), app("machine", graph.ManagedIdentity{})}
	f.apps[1].Graph.LoginURL = "http://127.0.0.1:1" // nobody listens there
	f.flow = consent.New(consent.Config{App: func(ctx context.Context, source string) (consent.App, error) { return f.ConsentApp(ctx, source) }})
	t.Cleanup(f.flow.Close)
	return f
}

// Where the listener asks for a token, of the consent pages only those are open
// that prove themselves by what is in their address.
func TestConsentPagesOfAGuardedListener(t *testing.T) {
	f := newConsentFake(t)
	f.token = "the-admin-token"
	h := newHandler(t, f)
	off, err := f.flow.HandOff(t.Context(), "contoso", "/consent/ask/")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/consent", 401, "Token (the content of"},
		{"GET", "/consent/contoso", 401, "Token (the content of"},
		{"POST", "/consent/handoff", 401, ""},
		{"POST", "/consent/answer", 401, ""},
		{"POST", "/api/v1/sources/contoso/consent", 401, ""},
		{"GET", "/api/v1/sources/contoso/consent?since=2026-01-01T00:00:00Z", 401, "Token"},
		{"POST", "/api/v1/sources/contoso/test", 401, ""},
		{"GET", "/consent/callback?state=AAAAAAAAAAAAAAAAAAAAAA&admin_consent=True&tenant=f4bcc169-979a-407e-bf35-9b1cb79d2dc9", 400, "Nobody asked for this answer"},
		{"GET", "/consent/outcome/AAAAAAAAAAAAAAAAAAAAAA", 404, "Nothing is known of this consent"},
		{"GET", "/consent/ask/AAAAAAAAAAAAAAAAAAAAAA", 410, "The link has expired"},
		{"GET", off.URL, 200, "Your consent is asked for"},
	} {
		res := request(h, x.method, x.path, "", "Accept", html)
		if text := body(t, res); res.StatusCode != x.status || !strings.Contains(text, x.says) {
			t.Errorf("%s %s gives %d, want %d with %q:\n%.400s", x.method, x.path, res.StatusCode, x.status, x.says, text)
		}
		if got := res.Header.Get("Referrer-Policy") + " " + res.Header.Get("Cache-Control"); got != "no-referrer no-store" {
			t.Errorf("%s %s has the headers %s", x.method, x.path, got)
		}
	}
	res := request(h, "GET", off.URL+"/go", "", "Accept", html)
	if to, err := url.Parse(res.Header.Get("Location")); err != nil || res.StatusCode != 302 || to.Host != "login.invalid" || len(to.Query().Get("state")) != 22 {
		t.Errorf("the hand-off leads to %v with %d", to, res.StatusCode)
	}
}

// Nothing happens by a request that a browser makes for another site.
func TestConsentFromAnotherSite(t *testing.T) {
	f := newConsentFake(t)
	h := newHandler(t, f)
	for _, path := range []string{"/consent/handoff", "/consent/answer", "/api/v1/sources/contoso/consent", "/api/v1/sources/contoso/handoff", "/api/v1/consent/answer", "/api/v1/sources/contoso/test"} {
		res := request(h, http.MethodPost, path, "source=contoso", "Accept", html, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site gives %d", path, res.StatusCode)
		}
	}
	// A GET begins a consent: by a link, not by an image of another site's page.
	for _, site := range []string{"cross-site", "same-site"} {
		if res := request(h, "GET", "/consent/contoso?again=1", "", "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "no-cors"); res.StatusCode != http.StatusForbidden {
			t.Errorf("an image (%s) gives %d", site, res.StatusCode)
		}
	}
	if res := request(h, "GET", "/consent/contoso?again=1", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); res.StatusCode != http.StatusFound {
		t.Errorf("a link gives %d", res.StatusCode)
	}
	if len(f.done) != 0 {
		t.Errorf("it did %v", f.done)
	}
}

func TestConsentPages(t *testing.T) {
	f := newConsentFake(t)
	h := newHandler(t, f)
	for _, x := range []struct {
		method, path, form string
		status             int
		says               []string
	}{
		{"GET", "/consent", "", 200, []string{"contoso", "User.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6", "https://admin.example.com/consent/callback", "az rest --method POST"}},
		{"GET", "/consent/nobody", "", 404, []string{"There is no such source"}},
		{"GET", "/consent/machine", "", 200, []string{"A managed identity has no consent page", "appRoleAssignments"}},
		{"POST", "/consent/handoff", "source=contoso", 200, []string{"https://admin.example.com/consent/ask/", "The answer comes back by itself"}},
		{"POST", "/consent/handoff", "source=nobody", 404, nil},
		{"POST", "/consent/answer", "answer=hello", 400, []string{"This is no answer of Microsoft", "/consent/callback?"}},
		{"POST", "/api/v1/sources/contoso/test", "", 200, []string{"Test of contoso", "&lt;b&gt;", "✗", "mend it", "Test again"}},
	} {
		res := request(h, x.method, x.path, x.form, "Accept", html)
		text := body(t, res)
		for _, want := range x.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s %s lacks %q:\n%s", x.method, x.path, want, text)
			}
		}
		if res.StatusCode != x.status || strings.Contains(text, "the-client-secret") || strings.Contains(text, "<script") || strings.Contains(text, "<<<<") {
			t.Errorf("%s %s gives %d, want %d:\n%s", x.method, x.path, res.StatusCode, x.status, text)
		}
	}
	if res := request(h, "GET", "/consent/contoso?again=1", "", "Accept", html); res.StatusCode != 302 || !strings.HasPrefix(res.Header.Get("Location"), "https://login.invalid/organizations/v2.0/adminconsent?") {
		t.Errorf("asking leads to %s with %d", res.Header.Get("Location"), res.StatusCode)
	}
}
