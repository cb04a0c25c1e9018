package tests

import (
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
