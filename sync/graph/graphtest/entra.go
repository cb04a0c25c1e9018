package graphtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// organization answers GET /organization and /organization/{id}.
func (c *call) organization(rest []string) (*answer, *refusal) {
	if !c.may("Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All") {
		return nil, refuseDenied()
	}
	domain := func(name string, initial bool) map[string]any {
		return map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": !initial, "isInitial": initial, "name": name, "type": "Managed"}
	}
	org := map[string]any{
		"id": c.t.ID(), "deletedDateTime": nil, "displayName": c.t.Name(), "tenantType": "AAD",
		"businessPhones": []string{"+31 20 555 0100"}, "city": "Amsterdam", "country": nil, "countryLetterCode": "NL",
		"createdDateTime": "2016-04-11T09:12:44Z", "postalCode": "1012 AB", "preferredLanguage": "en", "state": nil,
		"street": "Prins Hendrikkade 10", "onPremisesSyncEnabled": nil, "assignedPlans": []any{}, "provisionedPlans": []any{},
		"technicalNotificationMails": []string{"it@" + c.t.Domain()},
		"verifiedDomains":            []any{domain(c.t.Domain(), false), domain(c.t.InitialDomain(), true)},
	}
	if len(rest) == 0 {
		return c.values("organization", []map[string]any{org}), nil
	}
	if len(rest) > 1 || !strings.EqualFold(rest[0], c.t.ID()) {
		return nil, refuseNotFound(rest[0])
	}
	return c.value("organization", org), nil
}

// values is a small collection, with $select honoured.
func (c *call) values(set string, list []map[string]any) *answer {
	for i := range list {
		list[i] = c.selectFrom(list[i])
	}
	return jsonAnswer(mustJSON(map[string]any{"@odata.context": c.base + "/v1.0/$metadata#" + set, "value": list}), len(list))
}

func (c *call) value(set string, v map[string]any) *answer {
	v = c.selectFrom(v)
	v["@odata.context"] = c.base + "/v1.0/$metadata#" + set + "/$entity"
	return jsonAnswer(mustJSON(v), 1)
}

func (c *call) selectFrom(v map[string]any) map[string]any {
	if !c.query.Has("$select") {
		return v
	}
	out := map[string]any{"id": v["id"]}
	for name := range strings.SplitSeq(c.query.Get("$select"), ",") {
		if value, ok := v[name]; ok {
			out[name] = value
		}
	}
	return out
}

// mayReadApps is the permission for applications and service principals.
func (c *call) mayReadApps() bool {
	return c.may("Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
}

// graphPrincipalID is Microsoft Graph's service principal in the tenant.
func (t *Tenant) graphPrincipalID() string {
	sum := seedOf(t.ID() + graphAppID)
	var d dice
	d.init(t.opts.Seed, sum)
	return d.guid()
}

// servicePrincipals answers /servicePrincipals (with $filter=appId eq), one by
// id or by (appId='…'), and its appRoleAssignedTo and appRoleAssignments.
func (c *call) servicePrincipals(rest []string, byAppID bool) (*answer, *refusal) {
	if !c.mayReadApps() {
		return nil, refuseDenied()
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	all := c.principals()
	if len(rest) == 0 {
		return c.byAppID("servicePrincipals", all)
	}
	key := "id"
	if byAppID {
		key = "appId"
	}
	i := slices.IndexFunc(all, func(p map[string]any) bool { return strings.EqualFold(p[key].(string), rest[0]) })
	if i < 0 {
		return nil, refuseNotFound(rest[0])
	}
	if len(rest) == 1 {
		return c.value("servicePrincipals", all[i]), nil
	}
	id := all[i]["id"].(string)
	switch rest[1] {
	case "appRoleAssignedTo":
		return c.appRoleAssignedTo(all[i])
	case "appRoleAssignments":
		return c.values("servicePrincipals('"+id+"')/"+rest[1], c.assignments(func(a *app) bool { return a.principalID == id })), nil
	}
	return nil, refuse(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+rest[1]+"'.")
}

// sortedApps are the applications in a fixed order.
func (t *Tenant) sortedApps() []*app {
	var all []*app
	for _, a := range t.apps {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *app) int { return strings.Compare(a.ClientID, b.ClientID) })
	return all
}

func (c *call) principals() []map[string]any {
	roles := []map[string]any{}
	for _, name := range sortedRoles() {
		roles = append(roles, map[string]any{"id": graphRoles[name], "value": name, "displayName": name, "isEnabled": true,
			"allowedMemberTypes": []string{"Application"}, "origin": "Application"})
	}
	all := []map[string]any{{
		"id": c.t.graphPrincipalID(), "appId": graphAppID, "displayName": "Microsoft Graph", "accountEnabled": true,
		"servicePrincipalType": "Application", "signInAudience": "AzureADMultipleOrgs", "appRoles": roles,
	}}
	for _, a := range c.t.sortedApps() {
		if a.consented {
			all = append(all, map[string]any{
				"id": a.principalID, "appId": a.ClientID, "displayName": a.Name, "accountEnabled": !a.Disabled,
				"servicePrincipalType": "Application", "signInAudience": "AzureADMultipleOrgs", "appRoles": []any{},
			})
		}
	}
	return all
}

func sortedRoles() []string {
	var names []string
	for name := range graphRoles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// assignments are the app roles of Graph granted to applications.
func (c *call) assignments(of func(*app) bool) []map[string]any {
	list := []map[string]any{}
	for _, a := range c.t.sortedApps() {
		if !of(a) || !a.consented {
			continue
		}
		for _, name := range a.granted {
			list = append(list, map[string]any{
				"id": encodePart([]byte(a.principalID[:8] + graphRoles[name])), "deletedDateTime": nil,
				"appRoleId": graphRoles[name], "createdDateTime": "2024-02-02T04:22:45.9480566Z",
				"principalDisplayName": a.Name, "principalId": a.principalID, "principalType": "ServicePrincipal",
				"resourceDisplayName": "Microsoft Graph", "resourceId": c.t.graphPrincipalID(),
			})
		}
	}
	return list
}

// applications answers /applications: the registrations, with the dates of
// their credentials.
func (c *call) applications(rest []string) (*answer, *refusal) {
	if !c.mayReadApps() {
		return nil, refuseDenied()
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	all := []map[string]any{}
	for _, a := range c.t.sortedApps() {
		all = append(all, a.registration())
	}
	if len(rest) == 0 {
		return c.byAppID("applications", all)
	}
	i := slices.IndexFunc(all, func(p map[string]any) bool { return p["id"] == strings.ToLower(rest[0]) })
	if i < 0 {
		return nil, refuseNotFound(rest[0])
	}
	return c.value("applications", all[i]), nil
}

func (a *app) registration() map[string]any {
	secrets, keys := []map[string]any{}, []map[string]any{}
	for _, s := range a.Secrets {
		var end any
		if !s.Expires.IsZero() {
			end = s.Expires.UTC().Format(time.RFC3339)
		}
		secrets = append(secrets, map[string]any{"displayName": "secret", "hint": s.Value[:min(3, len(s.Value))], "endDateTime": end, "secretText": nil})
	}
	for _, cert := range a.Certificates {
		keys = append(keys, map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": cert.Subject.String(),
			"startDateTime": cert.NotBefore.UTC().Format(time.RFC3339), "endDateTime": cert.NotAfter.UTC().Format(time.RFC3339), "key": nil})
	}
	access := []map[string]any{}
	for _, name := range a.Permissions {
		access = append(access, map[string]any{"id": graphRoles[name], "type": "Role"})
	}
	return map[string]any{
		"id": a.objectID, "appId": a.ClientID, "displayName": a.Name, "signInAudience": "AzureADMultipleOrgs",
		"passwordCredentials": secrets, "keyCredentials": keys,
		"requiredResourceAccess": []any{map[string]any{"resourceAppId": graphAppID, "resourceAccess": access}},
		"web":                    map[string]any{"redirectUris": a.RedirectURIs},
	}
}

// byAppID is a collection that can be filtered by appId only.
func (c *call) byAppID(set string, all []map[string]any) (*answer, *refusal) {
	if c.query.Get("$filter") == "" {
		return c.values(set, all), nil
	}
	words := filterTokens(c.query.Get("$filter"))
	literal, ok := odataLiteral(words[len(words)-1])
	if !ok || len(words) != 3 || words[0] != "appId" || words[1] != "eq" {
		return nil, refuse(http.StatusBadRequest, codeUnsupported, "Unsupported or invalid query filter clause specified.")
	}
	all = slices.DeleteFunc(all, func(p map[string]any) bool {
		return !strings.EqualFold(`"`+p["appId"].(string)+`"`, literal)
	})
	return c.values(set, all), nil
}
