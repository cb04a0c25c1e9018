// Package consent gets a source from "there is a tenant" to "its credential
// works": which permissions to ask for, Microsoft's admin-consent page and its
// answer, the wait while a grant spreads, the credential test, and the dates on
// which credentials expire.
//
// [Flow] is the consent of all sources of a process. The way of one consent:
//
//  1. [Flow.Begin] gives the address of Microsoft's page, with a state that is
//     random, good once and for a short time, and bound to the source.
//  2. Microsoft sends the administrator's browser back with an answer, which
//     [Flow.Answer] checks. What it names as the tenant is not believed yet:
//     anybody can write such an address.
//  3. [Flow.Settle] waits until the grant has spread, tests the credential in
//     that tenant with [Check], and only then has the consent saved.
//
// The package serves no HTTP, stores nothing and decides nothing about a running
// source: the administrator's pages, the daemon and the commands use it. What
// goes wrong arrives as a [*Refusal], with words for people and the next step.
//
// Sources: learn.microsoft.com/entra/identity-platform/v2-admin-consent,
// /v2-oauth2-client-creds-grant-flow, /reference-error-codes;
// learn.microsoft.com/graph/permissions-reference.
package consent

import (
	"net/url"

	"scimbridge/sync/graph"
)

// An App is a source as the configuration has it: an app registration, and what
// is wanted of it.
type App struct {
	// Source is the source's name.
	Source string
	// Graph has the bases, the client id, the credential and, where the
	// configuration names one, the tenant: its id or a domain. Select may be
	// what is read in the end, so that the test asks for the same.
	Graph graph.Config
	// Tenant is the id that an earlier consent gave; empty: none.
	Tenant string
	// RedirectURI is where Microsoft sends the browser back to. It must be
	// registered, exactly so.
	RedirectURI string
	// Wants decides on the permissions.
	Wants Wants
	// SecretHint is the beginning of the client secret, by which Graph tells
	// secrets apart; empty for other credentials.
	SecretHint string
}

// managed tells whether the credential is an identity of the platform's, for
// which there is neither a registration nor a consent page.
func (a *App) managed() bool {
	_, ok := a.Graph.Credential.(graph.ManagedIdentity)
	return ok
}

// tenant is the tenant to ask for, "" where none is known.
func (a *App) tenant() string {
	if a.Graph.TenantID != "" {
		return a.Graph.TenantID
	}
	return a.Tenant
}

// page is the address of Microsoft's admin-consent page. Application permissions
// can only be asked for by /.default, which means: those that the registration
// lists.
func (a *App) page(state string) string {
	tenant := a.tenant()
	if tenant == "" {
		tenant = "organizations" // whichever the administrator belongs to
	}
	query := url.Values{
		"client_id":    {a.Graph.ClientID},
		"scope":        {a.Graph.GraphURL + "/.default"},
		"redirect_uri": {a.RedirectURI},
		"state":        {state},
	}
	return a.Graph.LoginURL + "/" + url.PathEscape(tenant) + "/v2.0/adminconsent?" + query.Encode()
}
