package setup

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"time"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
)

// needed lists the permissions that the registration must list, without the
// optional ones.
func (s *setup) needed() []consent.Permission { return consent.Required(s.wants()) }

// redirectURI is where Microsoft's consent page sends the browser back to.
func (s *setup) redirectURI() string {
	base := s.draft.Answers[keyAdminURL]
	if base == "" {
		listen := s.draft.Answers[keyAdminListen]
		if listen == "" {
			listen = "127.0.0.1:8881"
		}
		base = "http://localhost:" + listen[strings.LastIndex(listen, ":")+1:]
	}
	return strings.TrimSuffix(base, "/") + "/consent/callback"
}

// instructions show how to register the application, with exactly the
// permissions that this configuration needs.
func (s *setup) instructions() string {
	var text string
	switch {
	case s.is(keyCredential, "managed-identity"):
		text = s.managedIdentityLines()
	case s.is(keyMethod, "az"):
		text = s.azLines()
	case s.is(keyMethod, "powershell"):
		text = s.powerShellLines()
	case s.is(keyMethod, "portal"):
		text = s.clicks()
	default:
		return ""
	}
	return "\n" + strings.TrimRight(text, "\n")
}

// adminCenter is where applications are registered in a cloud
// (learn.microsoft.com/entra/identity-platform/authentication-national-cloud).
func (s *setup) adminCenter() string {
	switch s.draft.Answers[keyCloud] {
	case "usgov", "dod":
		return "https://portal.azure.us"
	case "china":
		return "https://portal.azure.cn"
	}
	return "https://entra.microsoft.com"
}

func (s *setup) clicks() string {
	var b strings.Builder
	n := 0
	number := func(format string, args ...any) {
		n++
		lines := wrap(fmt.Sprintf(format, args...), "      ", lineWidth)
		fmt.Fprintf(&b, "  %2d  %s\n", n, strings.TrimLeft(lines, " "))
	}
	b.WriteString("In the Microsoft Entra admin center, " + s.adminCenter() + ":\n")
	number("Entra ID > App registrations > New registration. Name it scim-bridge; choose Accounts in this organizational directory only.%s Register.", s.redirectClick())
	number("Overview: note the Application (client) ID and the Directory (tenant) ID.")
	number("API permissions > Add a permission > Microsoft Graph > Application permissions. Tick these, and nothing more, then Add permissions:")
	for _, p := range s.needed() {
		fmt.Fprintf(&b, "        %-22s %s\n", p.Name, p.Why)
	}
	number("Remove the delegated User.Read that is there by default: it is not used.")
	if s.is(keyConsent, "elsewhere") {
		number("Grant admin consent for (your organization) > Yes. The column Status then shows Granted for each.")
	}
	switch s.draft.Answers[keyCredential] {
	case "secret":
		number("Certificates & secrets > Client secrets > New client secret. Copy its Value (not the Secret ID) at once: it is shown only now.")
	case "certificate", "new-certificate":
		number("Certificates & secrets > Certificates > Upload certificate: %s", s.certificatePath())
	case "federated":
		number("Certificates & secrets > Federated credentials > Add credential: the issuer and subject of the platform's token, audience api://AzureADTokenExchange.")
	}
	return b.String()
}

func (s *setup) redirectClick() string {
	if s.is(keyConsent, "elsewhere") {
		return " Leave the redirect URI empty."
	}
	return " Redirect URI: Web, exactly " + s.redirectURI() + "."
}

func (s *setup) certificatePath() string {
	if name := s.draft.Answers[keyCertificate]; name != "" {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(s.dir, name)
	}
	return "CERTIFICATE.pem"
}

// azLines register by the Azure CLI (learn.microsoft.com/cli/azure/ad/app).
func (s *setup) azLines() string {
	var b strings.Builder
	b.WriteString("With the Azure CLI, signed in as an administrator of the tenant:\n\n")
	switch s.draft.Answers[keyCloud] {
	case "usgov", "dod":
		b.WriteString("  az cloud set --name AzureUSGovernment\n")
	case "china":
		b.WriteString("  az cloud set --name AzureChinaCloud\n")
	}
	b.WriteString("  az login --allow-no-subscriptions\n")
	b.WriteString("  app=$(az ad app create --display-name scim-bridge \\\n      --sign-in-audience AzureADMyOrg")
	if !s.is(keyConsent, "elsewhere") {
		b.WriteString(" \\\n      --web-redirect-uris " + s.redirectURI())
	}
	b.WriteString(" \\\n      --query appId -o tsv)\n  az ad sp create --id \"$app\"\n")
	for _, p := range s.needed() {
		fmt.Fprintf(&b, "  # %s\n  az ad app permission add --id \"$app\" \\\n      --api %s \\\n      --api-permissions %s=Role\n", p.Name, consent.GraphID, p.ID)
	}
	if s.is(keyConsent, "elsewhere") {
		b.WriteString("  az ad app permission admin-consent --id \"$app\"\n")
	}
	switch s.draft.Answers[keyCredential] {
	case "secret":
		b.WriteString("  # the client secret:\n  az ad app credential reset --id \"$app\" --display-name scim-bridge \\\n      --years 1 --query password -o tsv\n")
	case "certificate", "new-certificate":
		fmt.Fprintf(&b, "  az ad app credential reset --id \"$app\" --append \\\n      --cert @%s\n", s.certificatePath())
	case "federated":
		b.WriteString("  az ad app federated-credential create --id \"$app\" --parameters \\\n      '{\"name\":\"scim-bridge\",\"issuer\":\"ISSUER\",\"subject\":\"SUBJECT\",\n        \"audiences\":[\"api://AzureADTokenExchange\"]}'\n")
	}
	b.WriteString("  # client ID and tenant ID:\n  echo \"$app\"; az account show --query tenantId -o tsv\n")
	return b.String()
}

// powerShellLines register by Microsoft Graph PowerShell
// (learn.microsoft.com/powershell/module/microsoft.graph.applications).
func (s *setup) powerShellLines() string {
	var b strings.Builder
	environment := map[string]string{"usgov": " -Environment USGov", "dod": " -Environment USGovDoD", "china": " -Environment China"}[s.draft.Answers[keyCloud]]
	fmt.Fprintf(&b, "With Microsoft Graph PowerShell, as an administrator of the tenant:\n\n"+
		"  Connect-MgGraph%s -Scopes Application.ReadWrite.All,\n      AppRoleAssignment.ReadWrite.All\n", environment)
	fmt.Fprintf(&b, "  $graph = Get-MgServicePrincipal `\n      -Filter \"appId eq '%s'\"\n  $roles = @(\n", consent.GraphID)
	for _, p := range s.needed() {
		fmt.Fprintf(&b, "      '%s'    # %s\n", p.ID, p.Name)
	}
	b.WriteString("  )\n")
	b.WriteString("  $app = New-MgApplication -DisplayName scim-bridge `\n      -SignInAudience AzureADMyOrg `\n")
	if !s.is(keyConsent, "elsewhere") {
		fmt.Fprintf(&b, "      -Web @{RedirectUris = @('%s')} `\n", s.redirectURI())
	}
	b.WriteString("      -RequiredResourceAccess @{ResourceAppId = $graph.AppId;\n          ResourceAccess = @($roles | % { @{Id = $_; Type = 'Role'} })}\n" +
		"  $sp = New-MgServicePrincipal -AppId $app.AppId\n")
	if s.is(keyConsent, "elsewhere") {
		b.WriteString("  # admin consent:\n" +
			"  $roles | % { New-MgServicePrincipalAppRoleAssignment `\n      -ServicePrincipalId $sp.Id -PrincipalId $sp.Id `\n      -ResourceId $graph.Id -AppRoleId $_ }\n")
	}
	switch s.draft.Answers[keyCredential] {
	case "secret":
		b.WriteString("  # the client secret:\n  (Add-MgApplicationPassword -ApplicationId $app.Id `\n      -PasswordCredential @{DisplayName = 'scim-bridge'}).SecretText\n")
	case "certificate", "new-certificate":
		fmt.Fprintf(&b, "  # copy %s here first:\n  $der = [Security.Cryptography.X509Certificates.X509Certificate2]::new(\n      '%s').RawData\n  Update-MgApplication -ApplicationId $app.Id -KeyCredentials @(@{\n      Type = 'AsymmetricX509Cert'; Usage = 'Verify'; Key = $der})\n",
			s.certificatePath(), filepath.Base(s.certificatePath()))
	case "federated":
		b.WriteString("  New-MgApplicationFederatedIdentityCredential -ApplicationId $app.Id `\n      -Name scim-bridge -Issuer ISSUER -Subject SUBJECT `\n      -Audiences @('api://AzureADTokenExchange')\n")
	}
	b.WriteString("  \"client ID $($app.AppId), tenant ID $((Get-MgContext).TenantId)\"\n")
	return b.String()
}

// managedIdentityLines grant the app roles to a managed identity, for which there
// is neither a registration nor a consent page.
func (s *setup) managedIdentityLines() string {
	lines := consent.Commands(consent.App{Wants: s.wants(), Graph: graph.Config{
		GraphURL:   config.Cloud(s.draft.Answers[keyCloud]).GraphURL(),
		Credential: graph.ManagedIdentity{ClientID: s.draft.Answers[keyClientID]},
	}})
	return "A managed identity has no registration. An administrator grants it the\npermissions with the Azure CLI:\n\n" +
		"  " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n  ") + "\n"
}

// newCertificate makes a key and a certificate of its own for it. What Microsoft
// checks of the certificate is its dates, so nobody needs to have signed it.
func (s *setup) newCertificate() error {
	if !s.is(keyCredential, "new-certificate") || s.draft.Answers[keyCertificate] != "" {
		return nil
	}
	name := s.draft.Answers[keySource]
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "scim-bridge " + name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	keyName, err := s.secretFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	if err != nil {
		return err
	}
	certName, err := s.secretFile(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		return err
	}
	s.say("\nA key and its certificate are made, mode 0600, good until %s:\n  %s\n  %s\nThumbprint, as Microsoft will show it:\n  %X",
		template.NotAfter.Format(time.DateOnly), filepath.Join(s.dir, keyName), filepath.Join(s.dir, certName), sha1.Sum(der))
	s.draft.Answers[keyPrivateKey] = keyName
	_, err = s.keep(keyCertificate, certName)
	return err
}
