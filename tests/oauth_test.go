package tests

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The client-credentials flow, with a secret and with a signed assertion, holds
// against an authorization server that is not ours: what Microsoft's twin takes
// is not taken by the twin alone. SCIM_BRIDGE_OAUTH_SERVER names its program (see
// oauth/install.sh).
func TestSecondAuthorizationServer(t *testing.T) {
	program := os.Getenv("SCIM_BRIDGE_OAUTH_SERVER")
	if program == "" {
		t.Skip("NOT RUN: SCIM_BRIDGE_OAUTH_SERVER names no authorization server; oauth/install.sh makes one")
	}
	const (
		tenant      = "4c1f0b7e-51a3-4a37-9b39-0d3c6f9a2b11"
		bySecret    = "7d2e0000-1111-4222-8333-444455556601"
		byAssertion = "7d2e0000-1111-4222-8333-444455556602"
	)
	// Graph is not what this is about: it takes nothing.
	graph := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(graph.Close)
	id := newIdentity(t, "ours", time.Now().Add(time.Hour), nil)
	other := newIdentity(t, "another", time.Now().Add(time.Hour), nil)
	thumbprint := sha256.Sum256(id.cert.Raw)
	b64 := base64.RawURLEncoding.EncodeToString
	login := startAuthorizationServer(t, program, map[string]any{
		"tenant": tenant, "graph": graph.URL, "scope": graph.URL + "/.default",
		"clients": []map[string]any{{"id": bySecret, "secret": clientSecret}, {"id": byAssertion, "jwk": map[string]string{
			"kty": "RSA", "use": "sig", "alg": "PS256", "x5t#S256": b64(thumbprint[:]),
			"n": b64(id.key.N.Bytes()), "e": b64(big.NewInt(int64(id.key.E)).Bytes()),
		}}},
	})
	source := func(client string, credential ...string) string {
		return "  - name: contoso\n    tenant_id: " + tenant + "\n    client_id: " + client + "\n    login_url: " + login +
			"\n    graph_url: " + graph.URL + "\n    " + strings.Join(credential, "\n    ") + "\n"
	}
	for name, x := range map[string]struct {
		source  string
		secret  string
		key     *identity
		granted bool
	}{
		"a secret":               {source(bySecret, "client_secret_file: tenant.secret"), clientSecret, id, true},
		"a wrong secret":         {source(bySecret, "client_secret_file: tenant.secret"), "not-the-right-one", id, false},
		"an assertion":           {source(byAssertion, "certificate_file: c.crt", "private_key_file: c.key"), clientSecret, id, true},
		"another's key":          {source(byAssertion, "certificate_file: c.crt", "private_key_file: c.key"), clientSecret, other, false},
		"a secret for assertion": {source(byAssertion, "client_secret_file: tenant.secret"), clientSecret, id, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t)
			b.write("tenant.secret", x.secret)
			b.write("c.crt", x.key.certPEM)
			b.write("c.key", x.key.keyPEM)
			b.configure(x.source)
			for range 2 { // the second time with an assertion of its own
				_, stdout, stderr := b.run("test", "--source", "contoso", "--json")
				var reports []struct {
					TenantID string
					Granted  []string
					Steps    []struct {
						Name, Detail string
						OK           bool
					}
				}
				if err := json.Unmarshal([]byte(stdout), &reports); err != nil || len(reports) != 1 {
					t.Fatalf("%v: %s%s", err, stdout, stderr)
				}
				seen := false
				for _, s := range reports[0].Steps {
					seen = seen || s.Name == "token"
					if s.Name == "token" && s.OK != x.granted {
						t.Errorf("token is granted: %t: %s", s.OK, s.Detail)
					}
					if s.Name == "token" && !s.OK && !strings.Contains(s.Detail, "invalid_client") {
						t.Errorf("it is refused with %s", s.Detail)
					}
				}
				if !seen || x.granted != (reports[0].TenantID == tenant && len(reports[0].Granted) == 2) {
					t.Errorf("the report is %s", stdout)
				}
			}
		})
	}
}

// startAuthorizationServer starts it and gives its address.
func startAuthorizationServer(t *testing.T, program string, settings any) string {
	t.Helper()
	input, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", program)
	cmd.Stdin = bytes.NewReader(input)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the authorization server said:\n%s", diag.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the authorization server does not start: %v\n%s", err, diag.String())
	}
	return strings.TrimSpace(line)
}
