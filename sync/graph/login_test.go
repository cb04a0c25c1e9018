package graph_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
)

// loginRefusal is an error of the token endpoint, in Microsoft's form.
func loginRefusal(status int, code string, number int) answer {
	return answer{
		status: status,
		header: map[string]string{"Content-Type": "application/json; charset=utf-8"},
		body: fmt.Sprintf(`{"error":%q,"error_description":"AADSTS%d: Microsoft's words.\r\nTrace ID: trace-1\r\nCorrelation ID: corr-1\r\nTimestamp: 2026-11-24 10:00:00Z",`+
			`"error_codes":[%d],"timestamp":"2026-11-24 10:00:00Z","trace_id":"trace-1","correlation_id":"corr-1","error_uri":"https://login.test/error?code=%d"}`,
			code, number, number, number),
	}
}

func alwaysLogin(a answer) func(int, url.Values) answer {
	return func(int, url.Values) answer { return a }
}

func TestLoginRefusalsSayWhatToDo(t *testing.T) {
	tests := []struct {
		numbers []int
		code    string
		words   string
	}{
		{[]int{7000215}, "invalid_client", "the secret's value is needed, not its id"},
		{[]int{7000222}, "invalid_client", "expired"},
		{[]int{700027, 700030, 50012}, "invalid_client", "upload it to the app registration"},
		{[]int{700024, 500133}, "invalid_client", "clock"},
		{[]int{70021, 700211, 700212, 700213}, "invalid_request", "issuer, subject and audience"},
		{[]int{700016}, "unauthorized_client", "check client_id and tenant_id"},
		{[]int{7000229}, "unauthorized_client", "open the consent link"},
		{[]int{7000112}, "unauthorized_client", "Enterprise applications"},
		{[]int{90002}, "invalid_request", "check tenant_id and the cloud"},
		{[]int{900023}, "invalid_request", "a GUID or a domain name"},
		{[]int{90038, 900432, 900382}, "invalid_request", "another national cloud"},
		{[]int{500011}, "invalid_resource", "check the cloud"},
		{[]int{53003, 530032}, "access_denied", "Conditional Access"},
		{[]int{65001, 650052, 650056}, "invalid_grant", "open the consent link"},
		{[]int{65004}, "access_denied", "declined"},
		{[]int{90094, 90093, 90095}, "access_denied", "Privileged Role Administrator"},
		{[]int{50011, 900971, 70004}, "invalid_request", "redirect URI"},
		{[]int{50020, 16000}, "interaction_required", "another tenant"},
		{[]int{500021, 500022}, "access_denied", "tenant restrictions"},
		{[]int{7000218}, "invalid_client", "report it"},
		{[]int{7999999}, "invalid_client", "the credential is wrong"},
		{[]int{7999999}, "unauthorized_client", "open the consent link"},
		{[]int{7999999}, "invalid_scope", "check tenant_id, client_id and the cloud"},
	}
	for _, tt := range tests {
		for _, number := range tt.numbers {
			t.Run(fmt.Sprint(number, tt.code), func(t *testing.T) {
				w := &world{login: alwaysLogin(loginRefusal(401, tt.code, number)), graph: always(lastPage())}
				c := newClient(t, w, nil)
				_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
				var got *graph.LoginError
				if !errors.As(err, &got) {
					t.Fatal(err)
				}
				checkSentinel(t, err, graph.ErrCredentials)
				if got.Status != 401 || got.Code != tt.code || !slices.Equal(got.Numbers, []int{number}) || got.TraceID != "trace-1" ||
					got.CorrelationID != "corr-1" || got.Timestamp != "2026-11-24 10:00:00Z" || got.Description != fmt.Sprintf("AADSTS%d: Microsoft's words.", number) {
					t.Errorf("error %+v", got)
				}
				for _, word := range []string{tt.words, "login.test refused the client secret", fmt.Sprintf("(AADSTS%d, %s)", number, tt.code), "trace id trace-1, correlation id corr-1"} {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("no %q in %q", word, err)
					}
				}
				if len(w.logins) != 1 || len(w.requests()) != 0 {
					t.Errorf("%d logins, %d requests", len(w.logins), len(w.requests()))
				}
				if s := c.Status(); s.TokenFetches != 1 || s.TokenFailures != 1 || s.LastError == "" {
					t.Errorf("status %+v", s)
				}
			})
		}
	}
}

func TestLoginErrorForms(t *testing.T) {
	date := func(offset time.Duration) http.Header {
		return http.Header{"Date": {time.Now().Add(offset).UTC().Format(http.TimeFormat)}}
	}
	tests := []struct {
		name    string
		status  int
		header  http.Header
		body    string
		want    error
		numbers []int
		words   string
	}{
		{"codes only", 400, nil, `{"error":"invalid_client","error_codes":[7000215]}`, graph.ErrCredentials, []int{7000215}, "value is needed"},
		{"numbers in the text only", 400, nil, `{"error":"invalid_client","error_description":"AADSTS50012: a; AADSTS700027: b. AADSTS x"}`, graph.ErrCredentials, []int{50012, 700027}, "upload"},
		{"codes that are strings", 400, nil, `{"error":"x","error_codes":["90002"]}`, graph.ErrCredentials, []int{90002}, "tenant was not found"},
		{"a bare code", 400, nil, `{"error":"invalid_client"}`, graph.ErrCredentials, nil, "the credential is wrong"},
		{"HTML of a proxy", 403, nil, `<html>Forbidden</html>`, graph.ErrUnavailable, nil, "the proxy"},
		{"nothing", 404, nil, ``, graph.ErrUnavailable, nil, "the proxy"},
		{"a redirect", 302, nil, ``, graph.ErrUnavailable, nil, "a redirect, which is not followed"},
		{"Microsoft's fault by number", 400, nil, `{"error":"invalid_request","error_codes":[90033]}`, graph.ErrUnavailable, []int{90033}, "Microsoft's side"},
		{"Microsoft's fault by code", 400, nil, `{"error":"temporarily_unavailable"}`, graph.ErrUnavailable, nil, "Microsoft's side"},
		{"503", 503, nil, `<html>`, graph.ErrUnavailable, nil, "Microsoft's side"},
		{"our clock is behind", 401, date(time.Hour), `{"error":"invalid_client","error_codes":[700024]}`, graph.ErrCredentials, []int{700024}, "this machine's clock is 1h0m0s behind"},
		{"our clock is ahead", 401, date(-10 * time.Minute), `{"error":"invalid_client","error_codes":[700024]}`, graph.ErrCredentials, []int{700024}, "this machine's clock is 10m0s ahead"},
		{"our clock is right", 401, date(0), `{"error":"invalid_client"}`, graph.ErrCredentials, nil, "invalid_client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := graph.ParseLoginError(tt.status, tt.header, tt.body)
			checkSentinel(t, e, tt.want)
			if !slices.Equal(e.Numbers, tt.numbers) || !strings.Contains(e.Error(), tt.words) {
				t.Errorf("numbers %v, error %q", e.Numbers, e)
			}
			if tt.name == "our clock is right" && strings.Contains(e.Error(), "clock") {
				t.Errorf("error %q", e)
			}
		})
	}
}

func TestPassingLoginFaultsAreRetried(t *testing.T) {
	for _, fault := range []answer{
		{status: 503}, {status: 429, header: map[string]string{"Retry-After": "5"}}, {err: errors.New("connection reset")}, {body: "<html>"},
		{body: `{"token_type":"Bearer"}`}, loginRefusal(400, "temporarily_unavailable", 90033), {after: time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{graph: always(lastPage()), login: func(n int, _ url.Values) answer {
				if n <= 2 {
					return fault
				}
				return token("t", 3599)
			}}
			c := newClient(t, w, nil)
			if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
				t.Error(err)
			}
			if s := c.Status(); s.TokenFetches != 3 || s.TokenFailures != 2 || s.Retries != 2 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestTokenIsSharedByAllWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := token("t", 3599)
		slow.after = 3 * time.Second
		w := &world{graph: always(lastPage()), login: alwaysLogin(slow)}
		c := newClient(t, w, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				if i == 0 { // whoever caused the fetch may leave: it goes on for the others
					_, _, err := read(c.Changes(ctx, graph.Users, ""))
					if !errors.Is(err, context.Canceled) {
						t.Errorf("cancelled: %v", err)
					}
					return
				}
				time.Sleep(time.Second)
				if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		cancel()
		group.Wait()
		if len(w.logins) != 1 || len(w.requests()) != 19 {
			t.Errorf("%d logins for %d requests", len(w.logins), len(w.requests()))
		}
	})
}

// ask makes a round and gives the token that it was made with.
func ask(t *testing.T, c *graph.Client, w *world) string {
	t.Helper()
	if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
		t.Error(err)
	}
	requests := w.requests()
	return strings.TrimPrefix(requests[len(requests)-1].Header.Get("Authorization"), "Bearer ")
}

func TestTokenIsRenewedMinutesBeforeItsEnd(t *testing.T) {
	tests := []struct {
		lifetime int
		good     time.Duration // still used
		stale    time.Duration // renewed
	}{
		{3599, 54 * time.Minute, 55 * time.Minute},
		{300, 224 * time.Second, 226 * time.Second},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			w := &world{graph: always(lastPage()), login: func(n int, _ url.Values) answer { return token(fmt.Sprint(n), tt.lifetime) }}
			c := newClient(t, w, nil)
			ask(t, c, w)
			time.Sleep(tt.good)
			if got := ask(t, c, w); got != "1" {
				t.Errorf("after %v token %s", tt.good, got)
			}
			time.Sleep(tt.stale - tt.good)
			if got := ask(t, c, w); got != "2" {
				t.Errorf("after %v token %s", tt.stale, got)
			}
		})
	}
}

func TestGoodTokenOutlivesALoginThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: always(lastPage()), login: func(n int, _ url.Values) answer {
			if n == 1 || n > 3 {
				return token(fmt.Sprint(n), 3599)
			}
			return answer{status: 503}
		}}
		c := newClient(t, w, nil)
		ask(t, c, w)
		time.Sleep(56 * time.Minute)
		for range 5 {
			if got := ask(t, c, w); got != "1" {
				t.Errorf("token %s", got)
			}
		}
		if len(w.logins) != 2 {
			t.Errorf("%d logins at once", len(w.logins))
		}
		time.Sleep(31 * time.Second)
		if got := ask(t, c, w); got != "1" || len(w.logins) != 3 {
			t.Errorf("token %s, %d logins", got, len(w.logins))
		}
		time.Sleep(time.Minute)
		if got := ask(t, c, w); got != "4" {
			t.Errorf("token %s", got)
		}
	})
}

// Whoever joins a renewal that was begun in good time, and fails once the token
// has expired, is not left with one try at the login.
func TestRenewalThatFailsTooLateIsTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: always(lastPage()), login: func(n int, _ url.Values) answer {
			if n == 2 {
				return answer{status: 503, after: 10 * time.Second}
			}
			return token(fmt.Sprint(n), 20)
		}}
		c := newClient(t, w, nil)
		ask(t, c, w)
		time.Sleep(16 * time.Second)
		var group sync.WaitGroup
		group.Go(func() { ask(t, c, w) })
		time.Sleep(5 * time.Second)
		if got := ask(t, c, w); got != "3" {
			t.Errorf("token %s", got)
		}
		group.Wait()
	})
}

func TestRefusedTokenIsFetchedAgainOnce(t *testing.T) {
	denied := refusal(401, "InvalidAuthenticationToken")
	t.Run("and the page is read", func(t *testing.T) {
		w := &world{graph: inTurn(pageTo("1"), denied, pageTo("2"), denied, lastPage())}
		c := newClient(t, w, nil)
		if got := ask(t, c, w); got != "token-3" {
			t.Errorf("token %s", got)
		}
	})
	t.Run("then it is a refusal", func(t *testing.T) {
		w := &world{graph: always(denied)}
		_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, ""))
		checkSentinel(t, err, graph.ErrCredentials)
		if len(w.logins) != 2 || len(w.requests()) != 2 {
			t.Errorf("%d logins, %d requests", len(w.logins), len(w.requests()))
		}
	})
	t.Run("and the new one may be refused by the login", func(t *testing.T) {
		w := &world{graph: always(denied), login: func(n int, _ url.Values) answer {
			if n == 1 {
				return token("t", 3599)
			}
			return loginRefusal(401, "invalid_client", 7000222)
		}}
		_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, ""))
		checkSentinel(t, err, graph.ErrCredentials)
		if !strings.Contains(err.Error(), "expired") {
			t.Errorf("error %v", err)
		}
	})
}

func TestForgetToken(t *testing.T) {
	w := &world{graph: always(lastPage())}
	c := newClient(t, w, nil)
	if got := ask(t, c, w); got != "token-1" {
		t.Errorf("token %s", got)
	}
	c.ForgetToken()
	if s := c.Status(); !s.TokenExpiry.IsZero() {
		t.Error("the token is still there")
	}
	if got := ask(t, c, w); got != "token-2" {
		t.Errorf("token %s", got)
	}
}

func TestForgottenFetchIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: always(lastPage()), login: func(n int, _ url.Values) answer {
			a := token(fmt.Sprint(n), 3599)
			if n == 1 {
				a.after = 10 * time.Second
			}
			return a
		}}
		c := newClient(t, w, nil)
		var group sync.WaitGroup
		group.Go(func() { ask(t, c, w) })
		time.Sleep(time.Second)
		c.ForgetToken() // consent was just given: the token on its way does not know
		if got := ask(t, c, w); got != "2" {
			t.Errorf("token %s", got)
		}
		group.Wait()
		if got := ask(t, c, w); got != "2" {
			t.Errorf("later token %s", got)
		}
	})
}

// A token keeps the permissions that it was issued with: what was granted after
// a refusal for want of one takes a new token. Nobody asks for one who is refused
// for another reason, nor twice for the same refusal.
func TestATokenThatLacksAPermissionIsNotUsedAgain(t *testing.T) {
	for _, tt := range []struct {
		code   string
		logins int
	}{{"Authorization_RequestDenied", 2}, {"authorization_requestdenied", 2}, {"AccessDenied", 1}} {
		t.Run(tt.code, func(t *testing.T) {
			w := &world{graph: inTurn(refusal(403, tt.code), lastPage())}
			c := newClient(t, w, nil)
			if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err == nil {
				t.Fatal("the refusal is no error")
			}
			if len(w.logins) != 1 {
				t.Errorf("%d logins during the refusal", len(w.logins))
			}
			if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
				t.Fatal(err)
			}
			if len(w.logins) != tt.logins {
				t.Errorf("%d logins until the next round, want %d", len(w.logins), tt.logins)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"roles":["User.Read.All","GroupMember.Read.All"],"tid":"t"}`))
	w := &world{login: alwaysLogin(token("h."+payload+".s", 3599))}
	claims, err := newClient(t, w, nil).Claims(t.Context())
	if diff := cmp.Diff([]string{"User.Read.All", "GroupMember.Read.All"}, claims.Roles); diff != "" || err != nil {
		t.Errorf("error %v, roles (-want +got):\n%s", err, diff)
	}
	for _, opaque := range []string{"opaque", "a.b", "a.!.c", "a.e30x.c"} {
		w.login = alwaysLogin(token(opaque, 3599))
		if _, err := newClient(t, w, nil).Claims(t.Context()); err == nil || strings.Contains(err.Error(), opaque) {
			t.Errorf("%q: %v", opaque, err)
		}
	}
}

func TestSecretShowsNowhere(t *testing.T) {
	s := graph.ClientSecret(secret)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credential", s)
	encoded, _ := json.Marshal(map[string]any{"credential": s})
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%#v", graph.Config{Credential: s}), log.String(), string(encoded)} {
		if strings.Contains(text, secret) {
			t.Errorf("shown in %q", text)
		}
	}
}

// testCertificate makes a self-signed certificate.
func testCertificate(t *testing.T) (certPEM, keyPEM []byte, leaf *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scim-bridge"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), leaf
}

func TestCertificateSignsAsMicrosoftAsks(t *testing.T) {
	certPEM, keyPEM, leaf := testCertificate(t)
	cert, err := graph.NewCertificate(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{graph: always(lastPage())}
	c := newClient(t, w, func(cfg *graph.Config) { cfg.Credential = cert })
	ask(t, c, w)
	c.ForgetToken()
	ask(t, c, w)

	seen := map[any]bool{}
	for _, form := range w.logins {
		if form.Has("client_secret") || form.Get("client_id") != "client" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("form %v", form)
		}
		header, claims := verify(t, form.Get("client_assertion"), leaf)
		thumbprint := sha256.Sum256(leaf.Raw)
		wantHeader := map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])}
		if diff := cmp.Diff(wantHeader, header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		seen[claims["jti"]] = true
		now := float64(time.Now().Unix())
		nbf, exp := claims["nbf"].(float64), claims["exp"].(float64)
		if claims["aud"] != loginURL+"/contoso.example/oauth2/v2.0/token" || claims["iss"] != "client" || claims["sub"] != "client" ||
			nbf > now || nbf < now-60 || exp-nbf < 300 || exp-nbf > 600 || claims["iat"] != nbf {
			t.Errorf("claims %v", claims)
		}
	}
	if len(seen) != 2 {
		t.Errorf("jti used twice: %v", seen)
	}
}

func verify(t *testing.T, jwt string, leaf *x509.Certificate) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("JWT %q", jwt)
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPSS(leaf.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], raw[2], &rsa.PSSOptions{SaltLength: 32}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(json.Unmarshal(raw[0], &header), json.Unmarshal(raw[1], &claims)); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

func TestRefusedCertificateIsDescribed(t *testing.T) {
	certPEM, keyPEM, _ := testCertificate(t)
	cert, err := graph.NewCertificate(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{login: alwaysLogin(loginRefusal(401, "invalid_client", 700027))}
	_, err = newClient(t, w, func(cfg *graph.Config) { cfg.Credential = cert }).Claims(t.Context())
	if err == nil || !strings.Contains(err.Error(), cert.Thumbprint()) || len(cert.Thumbprint()) != 40 {
		t.Errorf("error %v", err)
	}
}

func TestNewCertificateRefuses(t *testing.T) {
	certPEM, keyPEM, _ := testCertificate(t)
	_, otherKey, _ := testCertificate(t)
	for name, pair := range map[string][2][]byte{
		"a foreign key": {certPEM, otherKey}, "no certificate": {nil, keyPEM}, "no key": {certPEM, nil}, "the wrong way round": {keyPEM, certPEM},
	} {
		if _, err := graph.NewCertificate(pair[0], pair[1]); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestFederatedTokenIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{graph: always(lastPage())}
	c := newClient(t, w, func(cfg *graph.Config) { cfg.Credential = graph.FederatedToken(path) })
	for _, jwt := range []string{"first", "second"} {
		write(jwt + "\n")
		c.ForgetToken()
		ask(t, c, w)
		form := w.logins[len(w.logins)-1]
		if form.Get("client_assertion") != jwt || form.Has("client_secret") {
			t.Errorf("form %v", form)
		}
	}
	for _, text := range []string{" \n", strings.Repeat("x", 70<<10)} {
		write(text)
		c.ForgetToken()
		_, err := c.Claims(t.Context())
		checkSentinel(t, err, graph.ErrCredentials)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := c.Claims(t.Context())
	checkSentinel(t, err, graph.ErrCredentials)
	if len(w.logins) != 2 {
		t.Errorf("%d logins", len(w.logins))
	}
}

func TestRefusedFederatedTokenIsDescribed(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://issuer","sub":"system:sa:x","aud":["api://AzureADTokenExchange"]}`))
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("h."+payload+".signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &world{login: alwaysLogin(loginRefusal(401, "invalid_client", 700213))}
	_, err := newClient(t, w, func(cfg *graph.Config) { cfg.Credential = graph.FederatedToken(path) }).Claims(t.Context())
	for _, word := range []string{"https://issuer", "system:sa:x", "api://AzureADTokenExchange"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("no %q in %q", word, err)
		}
	}
	if strings.Contains(err.Error(), "signature\"") || strings.Contains(err.Error(), payload) {
		t.Errorf("the error shows the token: %v", err)
	}
}
