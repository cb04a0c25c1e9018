package graph

import "testing"

func TestTemplatesNameNobody(t *testing.T) {
	for path, want := range map[string]string{
		"/v1.0/users/delta":           "/v1.0/users/delta",
		"/v1.0/users/ada@contoso.com": "/v1.0/users/{id}",
		"/v1.0/groups/0f3c0000-1111-4222-8333-444455556666/members":                                "/v1.0/groups/{id}/members",
		"/contoso.onmicrosoft.com/oauth2/v2.0/token":                                               "/{id}/oauth2/v2.0/token",
		"/v1.0/servicePrincipals(appId='7d2e0000-1111-4222-8333-444455556666')/appRoleAssignments": "/v1.0/{id}/appRoleAssignments",
		"": "", "/": "/", "//x/": "//{id}/",
	} {
		if got := template(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
