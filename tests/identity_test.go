package tests

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// An identity is an RSA key with a certificate of its own.
type identity struct {
	key     *rsa.PrivateKey
	cert    *x509.Certificate
	certPEM string
	keyPEM  string
}

// newIdentity makes one that ends at a time, signed by another or by itself.
func newIdentity(t testing.TB, name string, ends time.Time, by *identity) *identity {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: ends, BasicConstraintsValid: true, IsCA: by == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{
		key: key, cert: cert,
		certPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
	}
}

// sign makes a JWT as another issuer does (RS256).
func (id *identity) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc(body)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, id.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + enc(signature)
}

var permissions = []string{"User.Read.All", "GroupMember.Read.All"}

// lines gives the source of a world with the credential of the given lines.
func credentialSource(ts *tenantServer, lines ...string) string {
	lines = append([]string{
		"tenant_id: " + ts.ID(), "client_id: " + ts.clientID, "interval: 1h",
		"login_url: " + ts.server.LoginURL(), "graph_url: " + ts.server.GraphURL(),
	}, lines...)
	return "  - name: contoso\n    " + strings.Join(lines, "\n    ") + "\n"
}

// A certificate signs assertions that the login takes; its end is warned of. A
// new one that the registration does not know is refused with the reload, and the
// old one stays in use; once it is uploaded the new one is taken.
func TestCertificateAndItsSuccessor(t *testing.T) {
	tenant := startTenant(t, smallCompany(101))
	first := newIdentity(t, "first", time.Now().Add(5*24*time.Hour+time.Hour), nil)
	second := newIdentity(t, "second", time.Now().Add(300*24*time.Hour), nil)
	tenant.clientID = tenant.AddApp(graphtest.App{Consented: true, Permissions: permissions, Certificates: []*x509.Certificate{first.cert}})
	b := newBridge(t)
	b.write("tenant.crt", first.certPEM)
	b.write("tenant.key", first.keyPEM)
	b.configure(credentialSource(tenant, "certificate_file: tenant.crt", "private_key_file: tenant.key"))
	b.start()
	b.ready()
	b.expectLog(`level=WARN msg="credential ends soon" name=sources.contoso kind=certificate .*left="5 days"`)
	_, metrics := b.get(b.admin+"/metrics", nil)
	_, value, _ := strings.Cut(metrics, `scim_bridge_credential_expiry_timestamp_seconds{name="sources.contoso"} `)
	value, _, _ = strings.Cut(value, "\n")
	if ends, err := strconv.ParseFloat(value, 64); err != nil || int64(ends) != first.cert.NotAfter.Unix() {
		t.Errorf("in the metrics it ends at %q, want %d", value, first.cert.NotAfter.Unix())
	}
	if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "the certificate of sources.contoso ends on") || !strings.Contains(stdout, "in 5 days") {
		t.Errorf("status says:\n%s", stdout)
	}
	if status, stdout, _ := b.run("test", "--source", "contoso"); status != 0 || !strings.Contains(stdout, "it ends soon") {
		t.Errorf("test ends with %d:\n%s", status, stdout)
	}
	// Both files change, one after the other: what does not fit is refused, too.
	b.write("tenant.crt", second.certPEM)
	b.write("tenant.key", second.keyPEM)
	b.expectLog(`configuration was not taken.*AADSTS700027`)
	if outcome := b.sync("contoso"); outcome != "unchanged" {
		t.Errorf("with the old certificate a round is %s", outcome)
	}
	tenant.UpdateApp(tenant.clientID, func(a *graphtest.App) { a.Certificates = []*x509.Certificate{second.cert} })
	b.expectLog(`configuration is in force.*certificate_file`) // tried again by itself
	if outcome := b.sync("contoso"); outcome != "unchanged" {
		t.Errorf("with the new certificate a round is %s", outcome)
	}
}

// While Microsoft cannot be reached a new secret does not take the place of the one
// that works; it does by itself once it could be verified.
func TestNewSecretWaitsForMicrosoft(t *testing.T) {
	tenant := startTenant(t, smallCompany(105))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	tenant.UpdateApp(tenant.clientID, func(a *graphtest.App) { a.Secrets = []graphtest.Secret{{Value: "the-successor"}} })
	tenant.Inject(graphtest.Status(http.StatusServiceUnavailable, false).On("token").Forever())
	b.write("tenant.secret", "the-successor")
	b.expectLog(`configuration was not taken.*could not be verified, and the old one stays in use`)
	tenant.ClearFaults()
	b.expectLog(`configuration is in force.*client_secret_file`)
	if outcome := b.sync("contoso"); outcome != "unchanged" {
		t.Errorf("with the new secret a round is %s", outcome)
	}
}

// The end of a client secret is known where Graph tells, and asked for nowhere
// else.
func TestEndOfAClientSecret(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprintf("told=%t", told), func(t *testing.T) {
			tenant := startTenant(t, smallCompany(102))
			app := graphtest.App{Consented: true, Permissions: permissions, Secrets: []graphtest.Secret{
				{Value: "old-secret", Expires: time.Now().Add(time.Hour)}, {Value: clientSecret, Expires: time.Now().Add(20*time.Hour + time.Minute)},
			}}
			if told {
				app.Permissions = append([]string{"Application.Read.All"}, permissions...)
			}
			tenant.clientID = tenant.AddApp(app)
			b := newBridge(t)
			b.configure(credentialSource(tenant, "client_secret_file: tenant.secret"))
			b.start()
			b.ready()
			if !told {
				b.expectLog(`msg="source is up to date"`)
				for _, r := range tenant.Journal() {
					if strings.Contains(r.Path, "applications") {
						t.Errorf("without the permission it asks for %s", r.Path)
					}
				}
				return
			}
			b.expectLog(`msg="credential ends soon" name=sources.contoso kind="client secret" .*left="20 hours"`)
			if status, stdout, _ := b.run("test", "--source", "contoso"); status != 0 || !strings.Contains(stdout, "client secret, until 20") {
				t.Errorf("test ends with %d:\n%s", status, stdout)
			}
		})
	}
}

// A federated token is read anew at each use: the platform replaces it all the
// time.
func TestFederatedTokenRotates(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 103, TokenLifetime: time.Second}, 50, 5))
	platform := newIdentity(t, "platform", time.Now().Add(time.Hour), nil)
	tenant.clientID = tenant.AddApp(graphtest.App{Consented: true, Permissions: permissions, Federated: []graphtest.FederatedCredential{
		{Issuer: "https://platform.example", Subject: "system:serviceaccount:a:b", Key: &platform.key.PublicKey},
	}})
	token := func(subject string) string {
		return platform.sign(t, map[string]any{"iss": "https://platform.example", "sub": subject, "aud": "api://AzureADTokenExchange",
			"exp": time.Now().Add(time.Hour).Unix(), "jti": fmt.Sprint(time.Now().UnixNano())})
	}
	b := newBridge(t)
	b.write("platform.token", token("system:serviceaccount:a:b"))
	b.configure(credentialSource(tenant, "federated_token_file: platform.token"))
	b.start()
	b.ready()
	b.write("platform.token", token("somebody else"))
	b.eventually("the new token is used", func() error {
		if outcome := b.sync("contoso"); !strings.Contains(outcome, "AADSTS700213") || !strings.Contains(outcome, "somebody else") {
			return fmt.Errorf("a round is %s", outcome)
		}
		return nil
	})
	b.write("platform.token", token("system:serviceaccount:a:b"))
	if outcome := b.sync("contoso"); outcome != "unchanged" {
		t.Errorf("with the right token again a round is %s", outcome)
	}
}

// A connectProxy lets clients through to one address, whatever they ask for.
type connectProxy struct {
	to   string
	seen atomic.Int64
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "microsoft.test:443" {
		http.Error(w, "only microsoft.test", http.StatusForbidden)
		return
	}
	p.seen.Add(1)
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	// The answer only once the connection is ours: the server would read on, and
	// keep the first of what the client sends through.
	in, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		out.Close()
		return
	}
	io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(out, in); out.Close() }()
	go func() { io.Copy(in, out); in.Close() }()
}

// A proxy of the environment that looks into TLS: its authority is trusted by
// ca_file, and only so; without it the test of the credential says what to do.
func TestProxyWithAnAuthorityOfItsOwn(t *testing.T) {
	tenant := smallCompany(104)
	id := tenant.AddApp(graphtest.App{Secret: clientSecret, Consented: true, Permissions: permissions})
	authority := newIdentity(t, "The Company's Proxy", time.Now().Add(time.Hour), nil)
	leaf := newIdentity(t, "microsoft.test", time.Now().Add(time.Hour), authority)
	pair, err := tls.X509KeyPair([]byte(leaf.certPEM), []byte(leaf.keyPEM))
	if err != nil {
		t.Fatal(err)
	}
	microsoft := httptest.NewUnstartedServer(graphtest.NewServer(tenant))
	microsoft.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	microsoft.StartTLS()
	t.Cleanup(microsoft.Close)
	through := &connectProxy{to: microsoft.Listener.Addr().String()}
	proxy := httptest.NewServer(through)
	t.Cleanup(proxy.Close)
	t.Setenv("HTTPS_PROXY", proxy.URL)

	b := newBridge(t)
	b.write("proxy-ca.pem", authority.certPEM)
	source := "  - name: contoso\n    tenant_id: " + tenant.ID() + "\n    client_id: " + id + "\n    client_secret_file: tenant.secret\n" +
		"    login_url: https://microsoft.test\n    graph_url: https://microsoft.test\n"
	b.configure(source)
	if status, stdout, _ := b.run("test", "--source", "contoso"); status != 1 || !strings.Contains(stdout, "✗ reach login") || !strings.Contains(stdout, "name it in ca_file") {
		t.Errorf("without ca_file the test ends with %d:\n%s", status, stdout)
	}
	b.configure(source + "    ca_file: proxy-ca.pem\n")
	status, stdout, _ := b.run("test", "--source", "contoso")
	if status != 0 || !strings.Contains(stdout, "by the proxy "+strings.TrimPrefix(proxy.URL, "http://")) || !strings.Contains(stdout, "certificate by The Company's Proxy") {
		t.Errorf("with ca_file the test ends with %d:\n%s", status, stdout)
	}
	b.start()
	b.ready()
	if through.seen.Load() == 0 {
		t.Error("nothing went by the proxy")
	}
}

// A managed identity: the platform hands out the tokens, nobody has to consent on a
// page, and the command prints the lines that grant the permissions.
func TestManagedIdentity(t *testing.T) {
	tenant := startTenant(t, smallCompany(106))
	tenant.Revoke(tenant.clientID)
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "the-platforms-header" || r.URL.Query().Get("resource") != tenant.server.GraphURL() {
			http.Error(w, `{"statusCode":400,"message":"no"}`, http.StatusBadRequest)
			return
		}
		res, err := http.PostForm(tenant.server.LoginURL()+"/"+tenant.ID()+"/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {tenant.clientID}, "client_secret": {clientSecret}, "scope": {tenant.server.GraphURL() + "/.default"},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Token == "" {
			http.Error(w, `{"statusCode":400,"message":"no token"}`, http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"access_token": answer.Token, "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "token_type": "Bearer"})
	}))
	t.Cleanup(platform.Close)
	t.Setenv("IDENTITY_ENDPOINT", platform.URL)
	t.Setenv("IDENTITY_HEADER", "the-platforms-header")
	b := newBridge(t)
	b.configure("  - name: contoso\n    managed_identity: {}\n    login_url: " + tenant.server.LoginURL() + "\n    graph_url: " + tenant.server.GraphURL() + "\n    interval: 1h\n")
	status, stdout, _ := b.run("consent")
	for _, want := range []string{"no consent page", "az rest --method POST", "df021288-bdef-4463-88db-98f22de89214", "98830695-27a2-44f7-8c18-0c3ebc9698f6"} {
		if status != 1 || !strings.Contains(stdout, want) {
			t.Errorf("consent ends with %d, without %q:\n%s", status, want, stdout)
		}
	}
	tenant.Grant(tenant.clientID)
	if status, stdout, _ := b.run("test", "--source", "contoso"); status != 0 || !strings.Contains(stdout, "✓ credential       managed identity") {
		t.Errorf("test ends with %d:\n%s", status, stdout)
	}
	if status, stdout, _ := b.run("consent"); status != 0 || !strings.Contains(stdout, "nothing to consent to") {
		t.Errorf("once it is granted, consent ends with %d:\n%s", status, stdout)
	}
	b.start()
	b.ready()
}
