package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"scimbridge/scim/accesstoken/accesstokentest"
	"scimbridge/sync/graph/graphtest"
)

// A platform imports with the access tokens of its own authorization server: its
// keys change, it goes down, and nobody else's token is good for a moment.
func TestAccessTokensOfAnIssuer(t *testing.T) {
	issuer := accesstokentest.New("")
	server := httptest.NewServer(issuer)
	defer server.Close()
	issuer.URL = server.URL + "/realm"
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 6}, 20, 2))
	b := newBridge(t)
	client := func(subject string) string {
		return fmt.Sprintf("    - {name: gateway, jwt: {issuer: %q, audience: scim, subject: %s, claims: [{claim: scope, value: read}]}}\n", issuer.URL, subject)
	}
	b.write("config.yaml", config(client("gateway"), tenant.source("contoso")))
	b.start()
	b.ready()
	token := func(changes map[string]any) string {
		claims := issuer.Claims("scim", "gateway", map[string]any{"scope": "openid read"})
		for name, value := range changes {
			claims[name] = value
		}
		return issuer.Token(claims, nil)
	}
	expect := func(when, token string, want int) {
		t.Helper()
		if got := b.token(token); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	first := token(nil)
	expect("a good token", first, http.StatusOK)
	expect("for another service", token(map[string]any{"aud": "mail"}), http.StatusUnauthorized)
	expect("of another program", token(map[string]any{"sub": "mailer"}), http.StatusUnauthorized)
	expect("without the scope", token(map[string]any{"scope": "write"}), http.StatusUnauthorized)
	expect("ended", token(map[string]any{"exp": 1}), http.StatusUnauthorized)
	issuer.SetDown(true)
	expect("while the issuer is down", token(nil), http.StatusOK)
	issuer.SetDown(false)
	if b.stop() != 0 {
		t.Error("it did not end well")
	}

	// Started while the issuer is down it lets nobody in by such a token, serves
	// the others, and catches up by itself.
	issuer.SetDown(true)
	b.start()
	b.ready()
	expect("a start without the issuer", first, http.StatusServiceUnavailable)
	expect("another client meanwhile", bridgeToken, http.StatusOK)
	issuer.SetDown(false)
	issuer.Rotate()
	b.write("config.yaml", config(client("gateway")+"  page_size: {default: 5}\n", tenant.source("contoso")))
	b.eventually("the issuer's keys are known", func() error {
		if got := b.token(token(nil)); got != http.StatusOK {
			return fmt.Errorf("a good token gets %d", got)
		}
		return nil
	})
	expect("signed by a key that was withdrawn", first, http.StatusUnauthorized)
	b.write("config.yaml", config(client("newgateway"), tenant.source("contoso")))
	b.eventually("the edit is in force", func() error {
		if got := b.token(token(nil)); got != http.StatusUnauthorized {
			return fmt.Errorf("the old subject gets %d", got)
		}
		return nil
	})
	if _, metrics := b.get(b.admin+"/metrics", nil); !strings.Contains(metrics, `scim_bridge_token_issuer_keys{issuer="`+issuer.URL+`"} 1`) {
		t.Error("the metrics do not tell of the issuer")
	}
	if strings.Contains(b.logged(), first) || !strings.Contains(b.logged(), `why="the token is that of another subject"`) {
		t.Error("the log has a token, or not the reason of a refusal")
	}
}
