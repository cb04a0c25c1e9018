package consent

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"scimbridge/sync/graph"
)

// Where things are in the Entra admin center.
const (
	registration = "App registrations > the application > "
	secrets      = registration + "Certificates & secrets > "
)

// A remedy is what to click where for some of the numbers of Microsoft's login
// (learn.microsoft.com/entra/identity-platform/reference-error-codes).
type remedy struct {
	numbers []int
	words   string
}

var remedies = []remedy{
	{[]int{7000215, 7000222}, secrets + "Client secrets > New client secret: copy its Value (not the Secret ID) into the file of client_secret_file"},
	{[]int{700027, 700030, 50012}, secrets + "Certificates > Upload certificate: the certificate of certificate_file, whose thumbprint is shown there"},
	{[]int{700024}, "set this machine's clock (timedatectl status)"},
	{[]int{500133}, "see that the platform renews the file of federated_token_file, and set this machine's clock (timedatectl status)"},
	{[]int{70021, 700211, 700212, 700213}, secrets + "Federated credentials: issuer, subject and audience exactly as presented"},
	{notConsented, "give consent: scim-bridge consent, or " + registration + "API permissions > Grant admin consent; if it was given, compare client_id and tenant_id with " + registration + "Overview"},
	{[]int{7000112}, "Enterprise applications > the application > Properties > Enabled for users to sign-in: Yes"},
	{[]int{90002, 900023}, "compare tenant_id with " + registration + "Overview > Directory (tenant) ID; another national cloud needs the key cloud"},
	{[]int{90038, 900432, 900382}, "set cloud to the tenant's: usgov, dod or china"},
	{[]int{500011}, "set cloud to the tenant's, and leave graph_url out"},
	{[]int{53003, 530032}, "Entra ID > Monitoring > Sign-in logs > Service principal sign-ins names the policy: allow this machine's address in it, or leave the application out of it"},
	{[]int{500021, 500022}, "ask whoever runs the network's proxy to allow this tenant (tenant restrictions)"},
	{[]int{900561, 90013, 7000218}, "check login_url; if it is right, report this"},
}

// mend says what to do about an error. What it means is in the error itself.
func mend(err error, app *App) string {
	var login *graph.LoginError
	if errors.As(err, &login) {
		for _, r := range remedies {
			if slices.ContainsFunc(login.Numbers, func(n int) bool { return slices.Contains(r.numbers, n) }) {
				return r.words
			}
		}
		if _, managed := app.Graph.Credential.(graph.ManagedIdentity); managed && errors.Is(err, graph.ErrCredentials) {
			return "in the Azure portal, the machine or service > Identity: see that the identity is on; its permissions are granted by the lines of scim-bridge consent"
		}
	}
	switch {
	case errors.Is(err, graph.ErrCredentials):
		return "compare client_id and tenant_id with " + registration + "Overview, and replace the " + app.Graph.Credential.String()
	case errors.Is(err, graph.ErrPermission):
		return registration + "API permissions: list " + strings.Join(names(Required(app.Wants)), ", ") + " and Grant admin consent (or scim-bridge consent); a new grant takes some minutes"
	}
	var refused *graph.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(refused.Message), "property") {
		return "the tenant has no such property: correct its name in mapping, users.where or groups.where, or take it out of them"
	}
	return "try again later; https://status.cloud.microsoft tells whether it is Microsoft's side"
}
