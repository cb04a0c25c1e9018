package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// A mappedUser is what this file looks at of a user.
type mappedUser struct {
	UserName, ExternalID, Title string
	Emails                      []struct {
		Value   string
		Primary bool
	}
	Acme *struct {
		Region string
		Tags   []string
		Desk   *struct{ Floor int }
	} `json:"urn:acme:scim:person"`
}

// found gives the users that a filter finds.
func (b *bridge) found(query string) []mappedUser {
	b.t.Helper()
	status, body := b.get(b.scim+"/Users?"+query, nil)
	var list struct{ Resources []mappedUser }
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
		b.t.Fatalf("%s: %d %s", query, status, body)
	}
	return list.Resources
}

// The mapping is edited while the daemon runs: rules, a table, a schema of one's
// own, faults, and back again.
func TestMappingIsEditedAtRunTime(t *testing.T) {
	world := graphtest.NewTenant(graphtest.Options{Seed: 3})
	for i := range 30 {
		world.SetUser(map[string]any{
			"userPrincipalName": fmt.Sprintf("User%02d@contoso.example", i), "displayName": fmt.Sprintf("User %d", i), "accountEnabled": true,
			"mail": fmt.Sprintf("user%02d@contoso.example", i), "country": []string{"DE", "US", "FR"}[i%3], "jobTitle": "Engineer",
			"onPremisesExtensionAttributes": map[string]any{"extensionAttribute1": "red;blue", "extensionAttribute2": fmt.Sprint(i % 5)},
			"passwordPolicies":              "None",
		})
	}
	group := world.SetGroup(map[string]any{"displayName": " Team ", "mail": "team@contoso.example", "groupTypes": []any{"Unified"}, "securityEnabled": false, "mailEnabled": true})
	tenant := startTenant(t, world)
	b := newBridge(t)
	edit := func(mapping string) {
		b.configure(tenant.source("contoso"))
		if mapping != "" {
			b.write("config.yaml", config("", tenant.source("contoso")+mapping)+`
schemas:
  - urn: urn:acme:scim:person
    resource: User
    attributes:
      - {name: region, canonical_values: [EMEA, AMER]}
      - {name: tags, multi_valued: true}
      - {name: desk, type: complex, sub_attributes: [{name: floor, type: integer}]}
  - urn: urn:acme:scim:team
    resource: Group
    attributes: [{name: kind}]
tables:
  regions: {DE: EMEA, FR: EMEA, US: AMER}
`)
		}
	}
	edit("")
	b.start()
	b.ready()
	if got := b.found("filter=" + url.QueryEscape(`userName eq "User07@contoso.example"`)); len(got) != 1 || got[0].Acme != nil {
		t.Fatalf("by default %+v", got)
	}
	before := b.graphRequests("contoso")

	const mapping = `    mapping:
      remove: [ims, 'urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User:mailNickname']
      'userName': 'lower(user.userPrincipalName)'
      'externalId': 'regexExtract(user.userPrincipalName, "^User([0-9]+)@")'
      'urn:acme:scim:person:region': 'lookup("regions", user.country)'
      'urn:acme:scim:person:tags': 'split(user.onPremisesExtensionAttributes.extensionAttribute1, ";")'
      'urn:acme:scim:person:desk.floor': 'int(user.onPremisesExtensionAttributes.extensionAttribute2)'
      groups:
        'displayName': 'trim(group.displayName)'
        'externalId': 'group.id'
        'urn:acme:scim:team:kind': '"Unified" in group.groupTypes ? "team" : "security"'
`
	edit(mapping)
	region := "filter=" + url.QueryEscape(`urn:acme:scim:person:region eq "amer"`)
	b.eventually("the mapping is in force", func() error {
		status, body := b.get(b.scim+"/Users?count=0&"+region, nil)
		if status != http.StatusOK || !strings.Contains(body, `"totalResults":10`) {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	if now := b.graphRequests("contoso"); now > before+20 {
		t.Errorf("%v requests to Graph became %v for an edit that reads nothing more", before, now)
	}
	b.checkMapped(group)
	b.checkDiscovered()

	// A rule that fails for some loses nobody.
	edit(strings.Replace(mapping, "int(user.onPremisesExtensionAttributes.extensionAttribute2)", `user.country == "DE" ? int("x" + user.country) : 9`, 1))
	b.eventually("the rule fails for a third", func() error {
		var st struct {
			Sources []struct {
				Mapping []struct {
					Attribute   string
					Count, Kept int
				}
			}
		}
		b.adminGet("/api/v1/status", &st)
		if got := fmt.Sprint(st.Sources[0].Mapping); got != "[{urn:acme:scim:person:desk.floor 10 10}]" {
			return fmt.Errorf("failing rules are %s", got)
		}
		return nil
	})
	b.eventually("those have the last good value", func() error { // the status may be ahead of the picture
		if got := b.found("filter=" + url.QueryEscape(`urn:acme:scim:person:desk.floor lt 5`)); len(got) != 10 {
			return fmt.Errorf("%d have the last good floor, want 10", len(got))
		}
		return nil
	})
	if _, metrics := b.get(b.admin+"/metrics", nil); !strings.Contains(metrics, `scim_bridge_mapping_failures{attribute="urn:acme:scim:person:desk.floor",source="contoso",type="User"} 10`) {
		t.Error("the metric does not tell")
	}

	// A fault keeps the old mapping in force, and is named with its column.
	edit(strings.Replace(mapping, "user.country", "user.contry", 1))
	b.expectLog(`config.yaml:\d+:62: sources\[0\].mapping.\S*urn:acme:scim:person:region\S*: there is no property contry of user; did you mean country\?`)
	if got := b.found(region); len(got) != 10 {
		t.Errorf("after a fault %d are found", len(got))
	}

	// A property that was not read before is read, in full.
	edit(strings.Replace(mapping, "'externalId': 'regexExtract(user.userPrincipalName, \"^User([0-9]+)@\")'", "'title': 'user.passwordPolicies'", 1))
	b.eventually("the new property is served", func() error {
		if got := b.found("count=1"); len(got) != 1 || got[0].Title != "None" || got[0].ExternalID != "" {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})

	// And without a mapping everything is as it was.
	edit("")
	b.eventually("the default mapping is back", func() error {
		if got := b.found("filter=" + url.QueryEscape(`title eq "Engineer"`)); len(got) != 30 || got[0].Acme != nil || !strings.HasPrefix(got[0].UserName, "User") {
			return fmt.Errorf("%d users", len(got))
		}
		return nil
	})
	if status, _ := b.get(b.scim+"/Users?"+region, nil); status != http.StatusBadRequest {
		t.Errorf("a filter on a schema that is gone is %d", status)
	}
}

// graphRequests counts what was asked of Graph.
func (b *bridge) graphRequests(string) float64 {
	b.t.Helper()
	var st struct {
		Sources []struct {
			Graph struct{ Requests map[string]float64 }
		}
	}
	b.adminGet("/api/v1/status", &st)
	n := 0.0
	for _, v := range st.Sources[0].Graph.Requests {
		n += v
	}
	return n
}

// checkMapped looks at what the mapping of the test makes.
func (b *bridge) checkMapped(group string) {
	b.t.Helper()
	got := b.found("filter=" + url.QueryEscape(`externalId eq "08"`))
	if len(got) != 1 || got[0].UserName != "user08@contoso.example" || got[0].Acme == nil || got[0].Acme.Region != "EMEA" ||
		!slices.Equal(got[0].Acme.Tags, []string{"red", "blue"}) || got[0].Acme.Desk == nil || got[0].Acme.Desk.Floor != 3 {
		b.t.Errorf("user 8 is %+v", got)
	}
	if got := b.found("filter=" + url.QueryEscape(`urn:acme:scim:person:tags eq "blue" and urn:acme:scim:person:desk.floor ge 3`)); len(got) != 12 {
		b.t.Errorf("%d with blue on the upper floors, want 12", len(got))
	}
	sorted := b.found("sortBy=urn:acme:scim:person:region&count=11&attributes=urn:acme:scim:person:region")
	if len(sorted) != 11 || sorted[9].Acme.Region != "AMER" || sorted[10].Acme.Region != "EMEA" || sorted[0].UserName != "" || sorted[0].Acme.Desk != nil {
		b.t.Errorf("sorted by region, and that alone: %+v", sorted)
	}
	if _, body := b.get(b.scim+"/Groups/"+group, nil); !strings.Contains(body, `"displayName":"Team"`) ||
		!strings.Contains(body, `"urn:acme:scim:team":{"kind":"team"}`) || !strings.Contains(body, `"externalId":"`+group+`"`) {
		b.t.Errorf("the group is %s", body)
	}
}

// checkDiscovered looks for the declared schemas.
func (b *bridge) checkDiscovered() {
	b.t.Helper()
	for path, wants := range map[string][]string{
		"/Schemas/urn:acme:scim:person": {`"name":"region"`, `"canonicalValues":["EMEA","AMER"]`, `"name":"floor","type":"integer"`},
		"/Schemas":                      {"urn:acme:scim:person", "urn:acme:scim:team"},
		"/ResourceTypes/User":           {"urn:acme:scim:person"},
		"/ResourceTypes/Group":          {"urn:acme:scim:team"},
	} {
		_, body := b.get(b.scim+path, nil)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				b.t.Errorf("%s lacks %s: %s", path, want, body)
			}
		}
	}
	if _, body := b.get(b.scim+"/ResourceTypes/Group", nil); strings.Contains(body, "urn:acme:scim:person") {
		b.t.Error("groups have the extension of users")
	}
	if _, body := b.get(b.scim+"/Schemas", nil); strings.Contains(body, `"name":"ims"`) {
		b.t.Error("ims is announced")
	}
}
