package graphtest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// clock is the time of all login tests.
var clock = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

const clientID = "7d2e0000-1111-4222-8333-444455556666"

type loginWorld struct {
	world
	server *graphtest.Server
}

func newLoginWorld(t *testing.T, app graphtest.App) *loginWorld {
	t.Helper()
	tenant := graphtest.NewTenant(graphtest.Options{Seed: seed, Now: func() time.Time { return clock }})
	app.ClientID = clientID
	tenant.AddApp(app)
	s := graphtest.NewServer(tenant, graphtest.NewTenant(graphtest.Options{Seed: seed + 1, Name: "Other", Domain: "other.example", Now: func() time.Time { return clock }}))
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return &loginWorld{world{t: t, tenant: tenant, url: srv.URL, app: clientID}, s}
}

// ask posts a token request with changes to a good one; an empty value takes a
// field away.
func (w *loginWorld) ask(tenant string, changes map[string]string) (int, map[string]any) {
	w.t.Helper()
	form := url.Values{"client_id": {clientID}, "client_secret": {"s3cret"}, "grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}}
	for k, v := range changes {
		form.Set(k, v)
		if v == "" {
			form.Del(k)
		}
	}
	status, body := w.post(w.url+"/"+tenant+"/oauth2/v2.0/token", form)
	var answer map[string]any
	mustDecode(w.t, body, &answer)
	return status, answer
}

func code(answer map[string]any) float64 {
	if codes, ok := answer["error_codes"].([]any); ok {
		return codes[0].(float64)
	}
	return 0
}

func TestTokenEndpointRefusesAsEntraDoes(t *testing.T) {
	w := newLoginWorld(t, graphtest.App{Secret: "s3cret", Consented: true, Secrets: []graphtest.Secret{{Value: "old", Expires: clock.Add(-time.Hour)}, {Value: "new", Expires: clock.Add(time.Hour)}}})
	own := w.tenant.ID()
	for _, tc := range []struct {
		name, tenant string
		changes      map[string]string
		status       int
		oauth        string
		code         float64
	}{
		{"a good request", own, nil, 200, "", 0},
		{"a good request by the domain", "fernwood.onmicrosoft.com", nil, 200, "", 0},
		{"a second secret", own, map[string]string{"client_secret": "new"}, 200, "", 0},
		{"a wrong secret", own, map[string]string{"client_secret": "x"}, 401, "invalid_client", 7000215},
		{"an expired secret", own, map[string]string{"client_secret": "old"}, 401, "invalid_client", 7000222},
		{"no credential", own, map[string]string{"client_secret": ""}, 401, "invalid_client", 7000218},
		{"an unknown application", own, map[string]string{"client_id": "00000000-0000-4000-8000-000000000000"}, 400, "unauthorized_client", 700016},
		{"a client id that is none", own, map[string]string{"client_id": "me"}, 400, "unauthorized_client", 700038},
		{"another grant type", own, map[string]string{"grant_type": "password"}, 400, "unsupported_grant_type", 70003},
		{"no grant type", own, map[string]string{"grant_type": ""}, 400, "invalid_request", 900144},
		{"no scope", own, map[string]string{"scope": ""}, 400, "invalid_request", 900144},
		{"a single permission as scope", own, map[string]string{"scope": "https://graph.microsoft.com/User.Read.All"}, 400, "invalid_scope", 1002012},
		{"another resource", own, map[string]string{"scope": "https://vault.example/.default"}, 400, "invalid_resource", 500011},
		{"an unknown tenant", "11111111-1111-4111-8111-111111111111", nil, 400, "invalid_request", 90002},
		{"a malformed tenant", "nonsense", nil, 400, "invalid_request", 900023},
		{"organizations", "organizations", nil, 400, "invalid_request", 50059},
		{"a tenant where the application is not", "other.example", nil, 400, "unauthorized_client", 700016},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, answer := w.ask(tc.tenant, tc.changes)
			if got, _ := answer["error"].(string); status != tc.status || got != tc.oauth || code(answer) != tc.code {
				t.Errorf("got %d %v", status, answer)
			}
			if tc.code == 0 {
				return
			}
			text, _ := answer["error_description"].(string)
			if !strings.HasPrefix(text, "AADSTS") || !strings.Contains(text, "\r\nTrace ID: "+answer["trace_id"].(string)+"\r\nCorrelation ID: ") || !strings.HasSuffix(text, "Timestamp: 2026-11-24 04:00:00Z") {
				t.Errorf("error_description: %q", text)
			}
		})
	}
}

func TestTokenSaysWhatGraphNeeds(t *testing.T) {
	w := newLoginWorld(t, graphtest.App{Secret: "s3cret", Consented: true, Permissions: []string{"User.Read.All"}})
	_, answer := w.ask(w.tenant.ID(), nil)
	if answer["token_type"] != "Bearer" || answer["expires_in"] != 3599.0 {
		t.Errorf("answer: %v", answer)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(answer["access_token"].(string), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	mustDecode(t, raw, &claims)
	if claims["tid"] != w.tenant.ID() || claims["appid"] != clientID || claims["exp"] != float64(clock.Unix()+3599) || compact(claims["roles"]) != `["User.Read.All"]` {
		t.Errorf("claims: %s", raw)
	}
}

func TestLoginFaults(t *testing.T) {
	w := newLoginWorld(t, graphtest.App{Secret: "s3cret", Consented: true})
	for _, c := range graphtest.LoginErrors() {
		w.tenant.Inject(graphtest.LoginRefuses(c))
		status, answer := w.ask(w.tenant.ID(), nil)
		if status < 400 || code(answer) != float64(c) || strings.Contains(answer["error_description"].(string), "%!") {
			t.Errorf("AADSTS%d: %d %v", c, status, answer)
		}
	}
	w.tenant.UpdateApp(clientID, func(a *graphtest.App) { a.Disabled = true })
	if _, answer := w.ask(w.tenant.ID(), nil); code(answer) != 7000112 {
		t.Errorf("disabled: %v", answer)
	}
}

// certificate makes a key and a self-signed certificate.
func certificate(t *testing.T, until time.Time) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: clock.Add(-24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func sign(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	if header["alg"] == "RS256" {
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	} else {
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestCertificateAssertions(t *testing.T) {
	key, cert := certificate(t, clock.Add(time.Hour))
	oldKey, oldCert := certificate(t, clock.Add(-time.Hour))
	strange, _ := certificate(t, clock.Add(time.Hour))
	w := newLoginWorld(t, graphtest.App{Certificates: []*x509.Certificate{cert, oldCert}, Consented: true})
	long, short, oldLong := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw), sha256.Sum256(oldCert.Raw)
	encode := base64.RawURLEncoding.EncodeToString
	at := func(d time.Duration) int64 { return clock.Add(d).Unix() }
	for _, tc := range []struct {
		name           string
		key            *rsa.PrivateKey
		header, claims map[string]any
		code           float64
	}{
		{"PS256 with x5t#S256", key, nil, nil, 0},
		{"RS256 with x5t", key, map[string]any{"alg": "RS256", "x5t": encode(short[:]), "x5t#S256": nil}, nil, 0},
		{"audience as a list", key, nil, map[string]any{"aud": []string{"x", w.url + "/" + w.tenant.ID() + "/oauth2/v2.0/token"}}, 0},
		{"another algorithm", key, map[string]any{"alg": "ES256"}, nil, 50027},
		{"no thumbprint", key, map[string]any{"x5t#S256": nil}, nil, 50027},
		{"an unknown thumbprint", key, map[string]any{"x5t#S256": encode(short[:])}, nil, 700027},
		{"another key's signature", strange, nil, nil, 700027},
		{"an expired certificate", oldKey, map[string]any{"x5t#S256": encode(oldLong[:])}, nil, 700027},
		{"another audience", key, nil, map[string]any{"aud": w.url + "/" + "other.example/oauth2/v2.0/token"}, 700023},
		{"another issuer", key, nil, map[string]any{"iss": "me"}, 700021},
		{"another subject", key, nil, map[string]any{"sub": "me"}, 700021},
		{"expired", key, nil, map[string]any{"nbf": at(-30 * time.Minute), "exp": at(-20 * time.Minute)}, 700024},
		{"not yet valid", key, nil, map[string]any{"nbf": at(20 * time.Minute), "exp": at(29 * time.Minute)}, 700024},
		{"a clock four minutes ahead", key, nil, map[string]any{"nbf": at(4 * time.Minute), "exp": at(9 * time.Minute)}, 0},
		{"without an end", key, nil, map[string]any{"exp": nil}, 700024},
		{"valid for an hour", key, nil, map[string]any{"exp": at(time.Hour)}, 700024},
		{"without jti", key, nil, map[string]any{"jti": nil}, 50027},
		{"a jti used before", key, nil, map[string]any{"jti": "PS256 with x5t#S256"}, 50012},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": encode(long[:])}
			claims := map[string]any{"aud": w.url + "/" + w.tenant.ID() + "/oauth2/v2.0/token", "iss": clientID, "sub": clientID,
				"jti": tc.name, "nbf": at(0), "exp": at(10 * time.Minute)}
			maps.Copy(header, tc.header)
			maps.Copy(claims, tc.claims)
			status, answer := w.ask(w.tenant.ID(), map[string]string{"client_secret": "", "client_assertion": sign(t, tc.key, header, claims),
				"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"})
			if code(answer) != tc.code || (status == 200) != (tc.code == 0) {
				t.Errorf("got %d %v", status, answer)
			}
		})
	}
	if _, answer := w.ask(w.tenant.ID(), map[string]string{"client_secret": "", "client_assertion": "x", "client_assertion_type": "jwt"}); code(answer) != 900144 {
		t.Errorf("another assertion type: %v", answer)
	}
}

func TestFederatedTokens(t *testing.T) {
	key, _ := certificate(t, clock.Add(time.Hour))
	w := newLoginWorld(t, graphtest.App{Consented: true, Federated: []graphtest.FederatedCredential{{
		Issuer: "https://k8s.example", Subject: "system:serviceaccount:sync:bridge", Key: &key.PublicKey}}})
	for _, tc := range []struct {
		name   string
		claims map[string]any
		code   float64
	}{
		{"as registered", nil, 0},
		{"another issuer", map[string]any{"iss": "https://other.example"}, 700211},
		{"another audience", map[string]any{"aud": "api://x"}, 700212},
		{"another subject", map[string]any{"sub": "system:serviceaccount:sync:other"}, 700213},
		{"expired", map[string]any{"exp": clock.Add(-time.Hour).Unix()}, 500133},
	} {
		claims := map[string]any{"iss": "https://k8s.example", "sub": "system:serviceaccount:sync:bridge", "aud": "api://AzureADTokenExchange", "exp": clock.Add(time.Hour).Unix()}
		maps.Copy(claims, tc.claims)
		token := sign(t, key, map[string]any{"alg": "RS256", "typ": "JWT"}, claims)
		_, answer := w.ask(w.tenant.ID(), map[string]string{"client_secret": "", "client_assertion": token,
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"})
		if code(answer) != tc.code {
			t.Errorf("%s: %v", tc.name, answer)
		}
	}
}

const callback = "http://localhost:8881/consent/callback"

// consent posts the page's form and gives the redirect, or the error page.
func (w *loginWorld) consent(tenant string, query url.Values, form url.Values) (*url.URL, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/"+tenant+"/v2.0/adminconsent?"+query.Encode(), strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Code != http.StatusFound {
		return nil, rec.Body.String()
	}
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil {
		w.t.Fatal(err)
	}
	return to, ""
}

func TestAdminConsent(t *testing.T) {
	w := newLoginWorld(t, graphtest.App{Secret: "s3cret", Permissions: []string{"User.Read.All"}, RedirectURIs: []string{callback}})
	good := url.Values{"client_id": {clientID}, "scope": {"https://graph.microsoft.com/.default"}, "redirect_uri": {callback}, "state": {"s 1"}}
	for _, tc := range []struct {
		name, tenant string
		query        map[string]string
		form         url.Values
		want         map[string]string // of the redirect
		page         string            // on the error page
	}{
		{"declined", "organizations", nil, url.Values{"action": {"cancel"}}, map[string]string{"error": "access_denied", "state": "s 1", "admin_consent": "True", "tenant": ""}, ""},
		{"not an administrator", w.tenant.ID(), nil, url.Values{"action": {"accept"}, "role": {"user"}}, nil, "AADSTS90094"},
		{"an account of another tenant", w.tenant.ID(), nil, url.Values{"action": {"accept"}, "account": {"other.example"}}, nil, "AADSTS50020"},
		{"an unregistered redirect URI", "organizations", map[string]string{"redirect_uri": callback + "/"}, url.Values{"action": {"accept"}}, nil, "AADSTS50011"},
		{"an unknown application", "organizations", map[string]string{"client_id": "x"}, url.Values{"action": {"accept"}}, nil, "AADSTS700016"},
		{"common", "common", nil, url.Values{"action": {"accept"}}, nil, "AADSTS90013"},
		{"no scope", "organizations", map[string]string{"scope": ""}, url.Values{"action": {"accept"}}, nil, "AADSTS900144"},
		{"accepted", "organizations", nil, url.Values{"action": {"accept"}}, map[string]string{"admin_consent": "True", "tenant": w.tenant.ID(), "state": "s 1", "error": ""}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			query := maps.Clone(good)
			for k, v := range tc.query {
				query[k] = []string{v}
			}
			to, page := w.consent(tc.tenant, query, tc.form)
			if tc.page != "" {
				if to != nil || !strings.Contains(page, tc.page) {
					t.Fatalf("redirect %v, page %s", to, page)
				}
				return
			}
			if to == nil || !strings.HasPrefix(to.String(), callback+"?") {
				t.Fatalf("redirect %v, page %s", to, page)
			}
			for k, want := range tc.want {
				if got := to.Query().Get(k); got != want {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
			if tc.want["error"] != "" && !strings.HasPrefix(to.Query().Get("error_description"), "AADSTS65004: ") {
				t.Errorf("error_description: %q", to.Query().Get("error_description"))
			}
		})
	}
	if got := w.tenant.Granted(clientID); compact(got) != `["User.Read.All"]` {
		t.Errorf("granted: %v", got)
	}
	if status, _ := w.ask(w.tenant.ID(), nil); status != 200 {
		t.Errorf("token after consent: %d", status)
	}
}

func TestConsentPageNamesAppAndPermissions(t *testing.T) {
	w := newLoginWorld(t, graphtest.App{Name: "Bridge <1>", Permissions: []string{"User.Read.All"}, RedirectURIs: []string{callback}})
	_, body := w.get(w.url + "/organizations/v2.0/adminconsent?" + url.Values{"client_id": {clientID}, "scope": {"https://graph.microsoft.com/.default"}, "redirect_uri": {callback}}.Encode())
	for _, want := range []string{"Bridge &lt;1&gt;", "User.Read.All", "Accept", "Cancel", clientID} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestGrantsSpreadSlowly(t *testing.T) {
	for form, want := range map[graphtest.SpreadForm]float64{graphtest.SpreadNoPrincipal: 7000229, graphtest.SpreadNotFound: 700016, graphtest.SpreadNoRoles: 0} {
		w := newLoginWorld(t, graphtest.App{Secret: "s3cret", Permissions: []string{"User.Read.All"}, RedirectURIs: []string{callback},
			Spread: graphtest.Spread{Requests: 2, Form: form}})
		if _, answer := w.ask(w.tenant.ID(), nil); code(answer) != 7000229 {
			t.Errorf("before consent: %v", answer)
		}
		w.consent(w.tenant.ID(), url.Values{"client_id": {clientID}, "scope": {"https://graph.microsoft.com/.default"}, "redirect_uri": {callback}}, url.Values{"action": {"accept"}})
		for i := range 3 {
			_, answer := w.ask(w.tenant.ID(), nil)
			expect := want
			if i == 2 {
				expect = 0
			}
			if code(answer) != expect {
				t.Errorf("form %d, request %d: %v", form, i+1, answer)
				continue
			}
			if expect == 0 {
				w.token = answer["access_token"].(string)
				res, _ := w.get("/users")
				if (res.StatusCode == 200) != (i == 2) {
					t.Errorf("form %d, request %d: Graph answers %d", form, i+1, res.StatusCode)
				}
			}
		}
	}
}
