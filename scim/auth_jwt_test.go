package scim_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"scimbridge/scim"
	"scimbridge/scim/accesstoken"
	"scimbridge/scim/accesstoken/accesstokentest"
)

// Tokens of another issuer: each client has its own, others are refused with the
// reason, and where the keys can't be had nobody is let in.
func TestAccessTokensOfAnotherIssuer(t *testing.T) {
	issuer := accesstokentest.New("https://id.example.com")
	issuers := accesstoken.NewIssuers(issuer, nil)
	verifier := func(subject string) *accesstoken.Verifier {
		return issuers.Verifier(accesstoken.Config{Issuer: issuer.URL, Audience: "scim", Subject: subject})
	}
	w := newTenant(t, 3, 0)
	var log bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.cfg.Clients = []scim.Client{{Name: "ping", JWT: verifier("ping")}, {Name: "okta", JWT: verifier("okta"), Tokens: sums("secret")}}
	w.reload()
	token := func(subject string, changes map[string]any) string {
		return issuer.Token(issuer.Claims("scim", subject, changes), nil)
	}
	issuer.SetDown(true)
	rec := w.get("/Users", "Authorization", "Bearer "+token("ping", nil))
	if rec.Code != 503 || rec.Header().Get("Retry-After") == "" || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("while the issuer is down: %d %v", rec.Code, rec.Header())
	}
	fault(t, rec)
	issuer.SetDown(false)
	issuers = accesstoken.NewIssuers(issuer, nil) // has not failed yet
	w.cfg.Clients[0].JWT, w.cfg.Clients[1].JWT = verifier("ping"), verifier("okta")
	w.reload()
	for _, tt := range []struct {
		name, token string
		status      int
		client, why string
	}{
		{"of the first client", token("ping", nil), 200, "ping", ""},
		{"of the second", token("okta", nil), 200, "okta", ""},
		{"its other token", "secret", 200, "okta", ""},
		{"of neither", token("sap", nil), 401, `""`, "the token is that of another subject"},
		{"ended", token("ping", map[string]any{"exp": 1}), 401, `""`, "the token has expired"},
		{"a word", "sesame", 401, `""`, ""},
		{"three words", "open.sesame.please", 401, `""`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log.Reset()
			rec := w.get("/Users", "Authorization", "Bearer "+tt.token)
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.why) {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			line := log.String()
			if !strings.Contains(line, "client="+tt.client+" ") || !strings.Contains(line, tt.why) || strings.Contains(line, tt.token) {
				t.Errorf("logged %s", line)
			}
			if tt.status == 401 {
				fault(t, rec)
				if got := rec.Header().Get("WWW-Authenticate"); got != `Bearer realm="SCIM", error="invalid_token"` {
					t.Errorf("challenge %s", got)
				}
			}
		})
	}
	if body := w.get("/ServiceProviderConfig").Body.String(); !strings.Contains(body, `"type":"oauthbearertoken"`) {
		t.Errorf("the configuration is %s", body)
	}
}
