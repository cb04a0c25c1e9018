package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The requests that the RFCs print as examples of reading are answered.
func TestExamplesOfTheRFCs(t *testing.T) {
	tenant := startTenant(t, smallCompany(61))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	id, group := ids(tenant.Users())[0], ids(tenant.Groups())[0]
	const search = `"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]`
	filter := func(f string) string { return "/Users?filter=" + url.QueryEscape(f) }
	for _, x := range []struct {
		source, method, path, body, want string
	}{
		{"RFC 7644 §3.4.1", "GET", "/Users/" + id, "", `"id":"` + id + `"`},
		{"RFC 7644 §3.4.2", "GET", "/Users?attributes=userName", "", `"Resources":[{"schemas":`},
		{"RFC 7644 §3.4.2.1", "GET", "/?filter=" + url.QueryEscape(`(meta.resourceType eq "User") or (meta.resourceType eq "Group")`), "", `"resourceType":"User"`},
		{"RFC 7644 figure 2", "GET", filter(`userName eq "bjensen"`), "", `"totalResults":0`},
		{"RFC 7644 figure 2", "GET", filter(`name.familyName co "O'Malley"`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`userName sw "J"`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`title pr`), "", `"title":`},
		{"RFC 7644 figure 2", "GET", filter(`meta.lastModified gt "2011-05-13T04:42:34Z"`), "", `"totalResults":230`},
		{"RFC 7644 figure 2", "GET", filter(`meta.lastModified ge "2011-05-13T04:42:34Z"`), "", `"totalResults":230`},
		{"RFC 7644 figure 2", "GET", filter(`meta.lastModified lt "2011-05-13T04:42:34Z"`), "", `"totalResults":0`},
		{"RFC 7644 figure 2", "GET", filter(`meta.lastModified le "2011-05-13T04:42:34Z"`), "", `"totalResults":0`},
		{"RFC 7644 figure 2", "GET", filter(`title pr and userType eq "Employee"`), "", `"userType":"Employee"`},
		{"RFC 7644 figure 2", "GET", filter(`title pr or userType eq "Intern"`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`), "", `"department":`},
		{"RFC 7644 figure 2", "GET", filter(`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`userType eq "Employee" and (emails.type eq "work")`), "", `"type":"work"`},
		{"RFC 7644 figure 2", "GET", filter(`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`), "", `"totalResults":`},
		{"RFC 7644 figure 2", "GET", filter(`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`), "", `"totalResults":`},
		{"RFC 7644 §3.4.2.4", "GET", "/Users?startIndex=1&count=10", "", `"itemsPerPage":10,"startIndex":1`},
		{"RFC 7644 §3.4.3", "POST", "/.search", `{` + search + `,"attributes":["displayName","userName"],"filter":"displayName sw \"smith\"","startIndex":1,"count":10}`, `"startIndex":1`},
		{"RFC 7644 §3.9", "GET", "/Users/" + id + "?attributes=userName", "", `"userName":`},
		{"RFC 7644 §3.11", "GET", "/Groups/" + group + "?excludedAttributes=members", "", `"displayName":`},
		{"RFC 7644 §4", "GET", "/ServiceProviderConfig", "", `"authenticationSchemes":[`},
		{"RFC 7644 §4", "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "", `"name":"userName"`},
		{"RFC 7644 §4", "GET", "/ResourceTypes/User", "", `"endpoint":"/Users"`},
		{"RFC 9865 §2", "GET", "/Users?cursor&count=10", "", `"nextCursor":"`},
		{"RFC 9865 §2.3", "POST", "/Users/.search", `{` + search + `,"attributes":["displayName","userName"],"filter":"displayName pr","cursor":"","count":10}`, `"nextCursor":"`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), x.method, b.scim+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bridgeToken)
		req.Header.Set("Content-Type", "application/scim+json")
		status, body := do(t, req)
		if status != http.StatusOK || !strings.Contains(body, x.want) {
			t.Errorf("%s: %s %s %s: %d, without %s: %.300s", x.source, x.method, x.path, x.body, status, x.want, body)
		}
	}
}

func do(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// Discovery needs no token, unless the configuration says so.
func TestDiscoveryMayNeedAToken(t *testing.T) {
	tenant := startTenant(t, smallCompany(62))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	ask := func() error {
		for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
			if status, _ := b.get(b.scim+path, map[string]string{"Authorization": ""}); status != http.StatusOK {
				return fmt.Errorf("%s is answered %d", path, status)
			}
		}
		return nil
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
	b.write("config.yaml", config("  public_discovery: false\n", tenant.source("contoso", "interval: 1h")))
	b.eventually("a token is needed", func() error {
		if ask() == nil {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if status, _ := b.get(b.scim+"/Schemas", nil); status != http.StatusOK {
		t.Errorf("with a token it is answered %d", status)
	}
}
