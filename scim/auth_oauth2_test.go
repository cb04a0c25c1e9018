package scim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
)

const (
	formType  = "application/x-www-form-urlencoded"
	goodToken = "grant_type=client_credentials&client_id=ping+one&client_secret=s%3Acret%2B"
)

// newTokenTenant has a client that fetches tokens, and one that does not.
func newTokenTenant(t *testing.T) *tenant {
	w := newTenant(t, 3, 0)
	w.cfg.Clients = []scim.Client{
		{Name: "ping", OAuth2: &scim.OAuth2{ClientID: "ping one", Secret: sha256.Sum256([]byte("s:cret+"))}},
		{Name: "okta", Tokens: sums("secret")},
		{Name: "inside", OAuth2: &scim.OAuth2{ClientID: "inside", Secret: sha256.Sum256([]byte("inner"))},
			Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	}
	w.reload()
	return w
}

// fetch asks for a token.
func (w *tenant) fetch(path, body string, header ...string) *httptest.ResponseRecorder {
	return w.request("POST", path, body, append([]string{"Authorization", "", "Content-Type", formType}, header...)...)
}

// accessToken reads the token out of an answer that must have one.
func accessToken(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	var got struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if got.TokenType != "Bearer" || got.ExpiresIn != 3600 {
		t.Errorf("%+v", got)
	}
	want := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
	for name, value := range want {
		if rec.Header().Get(name) != value {
			t.Errorf("%s is %q", name, rec.Header().Get(name))
		}
	}
	return got.AccessToken
}

func TestTokenEndpoint(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const grant = "grant_type=client_credentials"
	for _, tt := range []struct {
		name, path, body string
		header           []string
		status           int
		code             string
	}{
		{"client_secret_post", "/oauth2/token", goodToken, nil, 200, ""},
		{"below the base", "/scim/v2/oauth2/token", goodToken, nil, 200, ""},
		{"with a trailing slash", "/oauth2/token/", goodToken, nil, 200, ""},
		{"a charset", "/oauth2/token", goodToken, []string{"Content-Type", formType + "; charset=utf-8"}, 200, ""},
		{"a scope", "/oauth2/token", goodToken + "&scope=scim", nil, 200, ""},
		{"client_secret_basic", "/oauth2/token", grant, []string{"Authorization", basic("ping+one:s%3Acret%2B")}, 200, ""},
		{"client_secret_basic without the encoding", "/oauth2/token", grant, []string{"Authorization", basic("ping one:s:cret+")}, 200, ""},
		{"client_secret_basic and client_id", "/oauth2/token", grant + "&client_id=ping+one", []string{"Authorization", basic("ping+one:s%3Acret%2B")}, 200, ""},
		{"both ways", "/oauth2/token", goodToken, []string{"Authorization", basic("ping+one:s%3Acret%2B")}, 400, "invalid_request"},
		{"two ids", "/oauth2/token", grant + "&client_id=pong", []string{"Authorization", basic("ping+one:s%3Acret%2B")}, 400, "invalid_request"},
		{"a wrong secret", "/oauth2/token", grant + "&client_id=ping+one&client_secret=x", nil, 401, "invalid_client"},
		{"a wrong id", "/oauth2/token", grant + "&client_id=pong&client_secret=s%3Acret%2B", nil, 401, "invalid_client"},
		{"a wrong secret by Basic", "/oauth2/token", grant, []string{"Authorization", basic("ping+one:x")}, 401, "invalid_client"},
		{"no secret", "/oauth2/token", grant + "&client_id=ping+one", nil, 401, "invalid_client"},
		{"no credentials", "/oauth2/token", grant, nil, 401, "invalid_client"},
		{"no base64", "/oauth2/token", grant, []string{"Authorization", "Basic %%"}, 401, "invalid_client"},
		{"a bearer token", "/oauth2/token", grant, []string{"Authorization", "Bearer secret"}, 401, "invalid_client"},
		{"another client's token as secret", "/oauth2/token", grant + "&client_id=okta&client_secret=secret", nil, 401, "invalid_client"},
		{"no grant type", "/oauth2/token", strings.TrimPrefix(goodToken, grant), nil, 400, "invalid_request"},
		{"another grant type", "/oauth2/token", strings.Replace(goodToken, "client_credentials", "password", 1), nil, 400, "unsupported_grant_type"},
		{"a parameter twice", "/oauth2/token", goodToken + "&client_id=x", nil, 400, "invalid_request"},
		{"a secret in the URL", "/oauth2/token?client_secret=s", goodToken, nil, 400, "invalid_request"},
		{"JSON", "/oauth2/token", `{}`, []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"a bad escape", "/oauth2/token", goodToken + "&x=%", nil, 400, "invalid_request"},
		{"too long a body", "/oauth2/token", goodToken + "&x=" + strings.Repeat("x", 17<<10), nil, 400, "invalid_request"},
		{"an address not listed", "/oauth2/token", grant + "&client_id=inside&client_secret=inner", nil, 403, "invalid_client"},
		{"an address listed", "/oauth2/token", grant + "&client_id=inside&client_secret=inner", []string{"from", "10.1.2.3:4"}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTokenTenant(t)
			header := tt.header
			for i := 0; i < len(header); i += 2 {
				if header[i] == "Content-Type" { // instead of, not beside
					header = append([]string{"Content-Type", ""}, header...)
					break
				}
			}
			rec := w.fetch(tt.path, tt.body, header...)
			if tt.code == "" {
				token := accessToken(t, rec)
				from := "192.0.2.1:1"
				if strings.Contains(tt.body, "inside") {
					from = "10.9.9.9:1"
				}
				if rec := w.get("/Users", "Authorization", "Bearer "+token, "from", from); rec.Code != 200 {
					t.Errorf("with the token: %d %s", rec.Code, rec.Body)
				}
				return
			}
			var e struct{ Error, Error_description string }
			if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != tt.status || e.Error != tt.code || e.Error_description == "" {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if challenge := rec.Header().Get("WWW-Authenticate"); (challenge != "") != (rec.Code == 401) {
				t.Errorf("challenge of %d is %q", rec.Code, challenge)
			}
		})
	}
	t.Run("by GET", func(t *testing.T) {
		rec := newTokenTenant(t).request("GET", "/oauth2/token", "")
		if rec.Code != 405 || rec.Header().Get("Allow") != "POST" {
			t.Errorf("%d %v", rec.Code, rec.Header())
		}
	})
	t.Run("where nobody fetches tokens there is no endpoint", func(t *testing.T) {
		w := newTenant(t, 1, 0)
		if rec := w.request("POST", "/oauth2/token", goodToken, "Content-Type", formType); rec.Code != 404 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}

func TestAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTokenTenant(t)
		token := accessToken(t, w.fetch("/oauth2/token", goodToken))
		status := func(token string) int { return w.get("/Users", "Authorization", "Bearer "+token).Code }
		if token == accessToken(t, w.fetch("/oauth2/token", goodToken)) {
			t.Error("the same token twice")
		}
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("characters of %q", token)
		}
		cursor := *w.list("/Users?count=1&cursor").NextCursor
		for _, wrong := range []string{token[1:], token + "A", strings.ToUpper(token), "", cursor} {
			if got := status(wrong); got != 401 {
				t.Errorf("%q: %d", wrong, got)
			}
		}
		w.reload()
		if got := status(token); got != 200 {
			t.Errorf("after a reload: %d", got)
		}
		time.Sleep(time.Hour - time.Second)
		if got := status(token); got != 200 {
			t.Errorf("after 59:59: %d", got)
		}
		time.Sleep(time.Second)
		if got := status(token); got != 401 {
			t.Errorf("after an hour: %d", got)
		}

		token = accessToken(t, w.fetch("/oauth2/token", goodToken))
		w.cfg.Clients[0].OAuth2 = &scim.OAuth2{ClientID: "ping one", Secret: sha256.Sum256([]byte("next"))}
		w.reload()
		if got := status(token); got != 401 {
			t.Errorf("after the secret changed: %d", got)
		}
	})
}

// Guessing is slow, and slows down nobody else.
func TestSecretsAreGuessedSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTokenTenant(t)
		try := func(secret, from string) int {
			return w.fetch("/oauth2/token", "grant_type=client_credentials&client_id=ping+one&client_secret="+secret, "from", from).Code
		}
		var got []int
		for i := range 12 {
			got = append(got, try(fmt.Sprint(i), fmt.Sprintf("[2001:db8::%d]:1", i+1)))
		}
		if diff := cmp.Diff([]int{401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429}, got); diff != "" {
			t.Error(diff)
		}
		if got := try("s%3Acret%2B", "[2001:db8::77]:1"); got != 429 {
			t.Errorf("the right one in between: %d", got)
		}
		if got := try("s%3Acret%2B", "[2001:db8:1::1]:1"); got != 200 {
			t.Errorf("from elsewhere: %d", got)
		}
		rec := w.fetch("/oauth2/token", "grant_type=client_credentials&client_id=inside&client_secret=inner", "from", "[2001:db8::77]:1")
		if rec.Code != 403 {
			t.Errorf("another client: %d", rec.Code)
		}
		time.Sleep(6 * time.Second)
		if got := try("s%3Acret%2B", "[2001:db8::77]:1"); got != 200 {
			t.Errorf("six seconds later: %d", got)
		}
	})
}

// Of a token request nothing secret is logged, even if it is sent in the URL.
func TestTokenRequestsInTheLog(t *testing.T) {
	w := newTokenTenant(t)
	var log strings.Builder
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.reload()
	token := accessToken(t, w.fetch("/oauth2/token", goodToken))
	w.fetch("/oauth2/token?client_secret=s%3Acret%2B", goodToken)
	w.get("/Users", "Authorization", "Bearer "+token)
	if text := log.String(); strings.Contains(text, "cret") || strings.Contains(text, token) || strings.Count(text, "path=/oauth2/token") != 2 {
		t.Error(text)
	}
}

func TestTokenClientsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name, id, want string
	}{
		{"no id", "", "empty OAuth 2.0 client id"},
		{"the id of another", "ping one", "is there twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTokenTenant(t)
			w.cfg.Clients[1].OAuth2 = &scim.OAuth2{ClientID: tt.id}
			if _, err := scim.New(w.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTokenSchemeIsAdvertised(t *testing.T) {
	w := newTokenTenant(t)
	w.cfg.Clients = w.cfg.Clients[:1]
	w.reload()
	var spc struct {
		AuthenticationSchemes []struct {
			Type, Description string
			Primary           bool
		}
	}
	rec := w.get("/ServiceProviderConfig", "Authorization", "Bearer "+accessToken(t, w.fetch("/oauth2/token", goodToken)))
	decode(t, rec, &spc)
	if rec.Code != http.StatusOK || len(spc.AuthenticationSchemes) != 1 || spc.AuthenticationSchemes[0].Type != "oauth2" ||
		!spc.AuthenticationSchemes[0].Primary || !strings.Contains(spc.AuthenticationSchemes[0].Description, base+"/oauth2/token") {
		t.Errorf("%+v", spc)
	}
}
