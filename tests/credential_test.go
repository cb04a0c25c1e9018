package tests

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// The test of the credentials says yes to good ones, and otherwise what is wrong
// and what to do; it never shows the secret.
func TestCredentialTest(t *testing.T) {
	tenant := startTenant(t, smallCompany(71))
	b := newBridge(t)
	b.configure(tenant.source("contoso"))
	status, stdout, stderr := b.run("test")
	if status != 0 || strings.Contains(stdout, "✗") || strings.Count(stdout, "✓") < 8 || !strings.Contains(stdout, "230") {
		t.Errorf("with a good credential the status is %d:\n%s%s", status, stdout, stderr)
	}
	tenant.Revoke(tenant.clientID)
	tenant.Grant(tenant.clientID, "User.Read.All")
	if status, stdout, _ = b.run("test"); status != 1 || !strings.Contains(stdout, "✗ permissions") || !strings.Contains(stdout, "add GroupMember.Read.All") {
		t.Errorf("without groups the status is %d:\n%s", status, stdout)
	}
	if status, stdout, _ = b.run("test", "--json"); status != 1 || !strings.Contains(stdout, `"name": "permissions"`) {
		t.Errorf("as JSON the status is %d:\n%s", status, stdout)
	}
	b.write("tenant.secret", "not-the-right-one")
	status, stdout, stderr = b.run("test", "--source", "contoso")
	if status != 1 || !strings.Contains(stdout, "✗ token") || !strings.Contains(stdout, "AADSTS7000215") {
		t.Errorf("with a wrong secret the status is %d:\n%s", status, stdout)
	}
	if strings.Contains(stdout+stderr, "not-the-right-one") {
		t.Error("it shows the secret")
	}
	if status, _, stderr = b.run("test", "--source", "nobody"); status != 2 || !strings.Contains(stderr, "there are: contoso") {
		t.Errorf("for an unknown source the status is %d: %s", status, stderr)
	}
}

// The side of the identity platforms: who listens, the certificate, the tokens.
func TestEndpointTest(t *testing.T) {
	tenant := startTenant(t, smallCompany(72))
	b := newBridge(t)
	address := freeAddress(t)
	writeKeyPair(t, b.dir, "tls")
	write := func(token, tls string) {
		cfg := strings.Replace(config(tls, tenant.source("contoso")), "127.0.0.1:0", address, 1)
		b.write("config.yaml", strings.Replace(cfg, "client.token", token, 1))
	}
	expect := func(when string, status int, wants ...string) {
		t.Helper()
		got, stdout, stderr := b.run("test")
		if got != status {
			t.Errorf("%s: the status is %d", when, got)
		}
		for _, want := range wants {
			if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
				t.Errorf("%s: it does not say %q:\n%s%s", when, want, stdout, stderr)
			}
		}
	}
	write("client.token", "")
	expect("before the start", 0, "scim endpoint ✓ listener "+address+" is free; the daemon does not run", "✓ client importer its token is in")
	b.start()
	b.ready()
	expect("while it runs", 0, "✓ listener the daemon answers at "+address, "✓ client importer its token is in force")
	b.write("other.token", "another-token-than-the-daemon-has")
	b.write("other.yaml", strings.Replace(string(readFile(t, b.configFile())), "client.token", "other.token", 1))
	if status, stdout, _ := b.runWith("other.yaml", "test"); status != 1 || !strings.Contains(stdout, "✗ client importer") || !strings.Contains(stdout, "does not accept the token") {
		t.Errorf("with a token that the daemon does not have the status is %d:\n%s", status, stdout)
	}
	b.stop()
	write("client.token", "  public_url: https://scim.example.com/scim/v2\n  tls: {certificate_file: tls.crt, private_key_file: tls.key}\n")
	expect("with a certificate of another name", 1, "✗ certificate", "→ get one for scim.example.com")
	write("client.token", "  public_url: https://"+address+"/scim/v2\n  tls: {certificate_file: tls.crt, private_key_file: tls.key}\n")
	expect("with a certificate that ends soon", 0, "✓ certificate until", "renew it")
	if err := b.tryStart(); err != nil {
		t.Fatal(err)
	}
	expect("while it runs with TLS", 0, "✓ listener the daemon answers at "+address, "in force")
	b.stop()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Server{Handler: http.NotFoundHandler()}
	go stranger.Serve(l)
	t.Cleanup(func() { stranger.Close() })
	write("client.token", "")
	expect("with somebody else at its address", 1, "✗ listener something answers 404 at "+address, "ss -ltnp")
}
