package mapping_test

import (
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// TestPresets maps accounts that importers have trouble with.
func TestPresets(t *testing.T) {
	const nobody = `{"id":"1","userPrincipalName":"svc-backup@contoso.onmicrosoft.com"}`
	for _, tt := range []struct {
		preset, object string
		want           map[string]string // attribute -> JSON, "" for none
		made           string            // paths whose values are made up
	}{
		{"entra-default", nobody, map[string]string{"name": "", "emails": "", "displayName": ""}, ""},
		{"okta", nobody, map[string]string{
			"name": `{"familyName":"svc-backup","givenName":"svc-backup"}`, "displayName": `"svc-backup@contoso.onmicrosoft.com"`,
			"emails": `[{"primary":true,"type":"work","value":"svc-backup@contoso.onmicrosoft.com"}]`,
		}, `name.familyName name.givenName displayName emails[type eq "work" and primary eq true].value`},
		{"okta", `{"id":"1","userPrincipalName":"a@x.org","displayName":"Maria del Pilar Cruz","country":"Spain","mail":"p@x.org"}`, map[string]string{
			"name": `{"familyName":"Cruz","givenName":"Maria del Pilar"}`, "emails": `[{"primary":true,"type":"work","value":"p@x.org"}]`, "addresses": "",
		}, "name.familyName name.givenName"},
		{"okta", `{"id":"1","userPrincipalName":"a@x.org","displayName":"Scanner","country":"de","givenName":"G","surname":"S"}`, map[string]string{
			"name": `{"familyName":"S","givenName":"G"}`, "emails": `[{"primary":true,"type":"work","value":"a@x.org"}]`, "addresses": `[{"country":"DE","type":"work"}]`,
		}, ""},
		{"okta", `{"id":"1","userPrincipalName":"ada_x.org#EXT#@contoso.onmicrosoft.com","displayName":"Ada","otherMails":["ada@x.org"]}`, map[string]string{
			"name": `{"familyName":"Ada","givenName":"Ada"}`, "emails": `[{"primary":true,"type":"work","value":"ada@x.org"}]`,
		}, "name.familyName name.givenName"},
		{"sailpoint", nobody, map[string]string{
			"name":   `{"familyName":"svc-backup","formatted":"svc-backup@contoso.onmicrosoft.com","givenName":"svc-backup"}`,
			"emails": `[{"primary":true,"type":"work","value":"svc-backup@contoso.onmicrosoft.com"}]`, "displayName": "",
		}, `name.formatted name.familyName name.givenName emails[type eq "work" and primary eq true].value`},
		{"sailpoint", `{"id":"1","userPrincipalName":"a@x.onmicrosoft.com","displayName":"Ada King","givenName":"Ada","surname":"King","proxyAddresses":["smtp:b@x.org","SMTP:a@x.org"]}`, map[string]string{
			"name":   `{"familyName":"King","formatted":"Ada King","givenName":"Ada"}`,
			"emails": `[{"primary":true,"type":"work","value":"a@x.org"},{"type":"work","value":"b@x.org"}]`,
		}, ""},
	} {
		m, err := mapping.New(mapping.Config{BaseURL: baseURL, Preset: tt.preset})
		if err != nil {
			t.Fatal(err)
		}
		body, rec, problems := mapUser(t, m, mapping.Input{Object: []byte(tt.object)})
		if len(problems) > 0 {
			t.Errorf("%s: %v", tt.preset, problems)
		}
		checkSchemas(t, m, directory.User, rec)
		for name, want := range tt.want {
			got := ""
			if v, ok := body[name]; ok {
				got = mustJSON(t, v)
			}
			if got != want {
				t.Errorf("%s: %s is %s, want %s", tt.preset, name, got, want)
			}
		}
		all, _, err := m.Explain(directory.User, mapping.Input{Object: []byte(tt.object), Now: day})
		if err != nil {
			t.Fatal(err)
		}
		made := ""
		for _, p := range all {
			if p.Made {
				made += " " + p.Path
			}
		}
		if made != "" {
			made = made[1:]
		}
		if made != tt.made {
			t.Errorf("%s: made up are %s, want %s", tt.preset, made, tt.made)
		}
	}
}

// The preset entra-default is the default mapping, and groups are as they are.
func TestTheDefaultPresetChangesNothing(t *testing.T) {
	m, err := mapping.New(mapping.Config{BaseURL: baseURL, Preset: "entra-default"})
	if err != nil || m.Fingerprint() != newMapper(t).Fingerprint() {
		t.Errorf("fingerprint %v, %v", m, err)
	}
}
