package consent

import (
	"fmt"
	"strings"

	"scimbridge/sync/graph"
)

// Mail words what to send to the administrator who may consent, as plain text.
// reaches tells that the link is of a page of ours, by which the answer comes
// back; otherwise it is Microsoft's page, and the address at which the browser
// ends has to be sent back.
func Mail(app App, link Link, reaches bool) (subject, body string) {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("Hello,\n")
	say("we are setting up scim-bridge. It copies users%s from Microsoft 365 into our", andGroups(app.Wants))
	say("identity platform, so that accounts there follow Microsoft 365. It only reads:")
	say("it cannot change anything, read mail or files, or sign anybody in. For that an")
	say("administrator has to consent to these application permissions:\n")
	for _, p := range Needed(app.Wants) {
		more := ""
		if p.Optional {
			more = " (only if the app registration lists it)"
		}
		say("  - %s %s%s", p.Name, p.Why, more)
	}
	say("\nThe application (client) id is %s. You need to be Privileged Role", app.Graph.ClientID)
	say("Administrator or Global Administrator; an Application Administrator may not.\n")
	say("1. Open this address (good until %s, for one consent):\n", link.Expires.UTC().Format("2006-01-02 15:04 MST"))
	say("   %s\n", link.URL)
	say("2. Sign in, compare name, id and permissions with the above, and accept.")
	if !reaches {
		say("3. The browser then says that it cannot open %s.", hostOf(app.RedirectURI))
		say("   That is as it should be. Copy the whole address from the address bar and")
		say("   send it to me. There is no password in it, and it works only once.")
	}
	say("\nYou can take consent back at any time: Entra admin center, Enterprise applications.")
	return "Please consent to scim-bridge reading our directory", b.String()
}

func andGroups(w Wants) string {
	if w.Groups {
		return " and groups"
	}
	return ""
}

// hostOf is the beginning of an address, up to the path.
func hostOf(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// azureClouds are the clouds that the Azure CLI has to be told of, by the base of
// Microsoft Graph in them (learn.microsoft.com/graph/deployments).
var azureClouds = map[string]string{
	"https://graph.microsoft.us":              "AzureUSGovernment",
	"https://dod-graph.microsoft.us":          "AzureUSGovernment",
	"https://microsoftgraph.chinacloudapi.cn": "AzureChinaCloud",
}

// Commands gives the command lines of the Azure CLI that grant an app its
// permissions where there is no consent page: for a managed identity. It is
// empty for any other.
func Commands(app App) string {
	identity, ok := app.Graph.Credential.(graph.ManagedIdentity)
	if !ok {
		return ""
	}
	var b strings.Builder
	if cloud := azureClouds[hostOf(app.Graph.GraphURL)]; cloud != "" {
		fmt.Fprintf(&b, "az cloud set --name %s\naz login --allow-no-subscriptions\n", cloud)
	}
	if identity.ClientID != "" {
		fmt.Fprintf(&b, "sp=$(az ad sp show --query id -o tsv \\\n  --id %s)\n", identity.ClientID)
	} else {
		b.WriteString("# the name of the machine or service that has the identity\nsp=$(az ad sp list --display-name \"NAME\" --query '[0].id' -o tsv)\n")
	}
	fmt.Fprintf(&b, "graph=$(az ad sp show --query id -o tsv \\\n  --id %s)\n", GraphID)
	fmt.Fprintf(&b, "url=%s/v1.0/servicePrincipals/$sp\n", app.Graph.GraphURL)
	for _, p := range Required(app.Wants) {
		fmt.Fprintf(&b, "# %s\nid=%s\naz rest --method POST --url \"$url/appRoleAssignments\" --body \\\n", p.Name, p.ID)
		b.WriteString("  \"{\\\"principalId\\\":\\\"$sp\\\",\\\"resourceId\\\":\\\"$graph\\\",\\\"appRoleId\\\":\\\"$id\\\"}\"\n")
	}
	return b.String()
}
