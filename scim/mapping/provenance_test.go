package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/google/go-cmp/cmp"
)

// lines shows provenances for comparison.
func lines(all []mapping.Provenance) []string {
	var lines []string
	for _, p := range all {
		line := fmt.Sprintf("%s = %s < %s", p.Path, p.Value, p.Row.Property+p.Row.Expression)
		if p.Row.Origin != "" {
			line += " (" + p.Row.Origin + ")"
		}
		if p.Made {
			line += " made"
		}
		if p.Kept {
			line += " kept"
		}
		if p.Problem != "" {
			line += ": " + p.Problem
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEveryValueHasItsRow(t *testing.T) {
	m, err := mapping.New(mapping.Config{BaseURL: baseURL, Preset: "okta", Users: mapping.Rules{
		Remove: []string{"urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"},
		Set: []mapping.Rule{
			{Path: "externalId", Expression: "user.employeeId", Place: "config.yaml:9"},
			{Path: "title", Expression: "string(date(user.jobTitle))", Place: "config.yaml:10"},
			{Path: "roles", Expression: `["a"]`, Place: "config.yaml:11"},
		}}})
	if err != nil {
		t.Fatal(err)
	}
	const object = `{"id":"1","userPrincipalName":"ada@contoso.onmicrosoft.com","displayName":"Ada Lovelace","employeeId":"7","jobTitle":"soon",
		"otherMails":["a@b.c","d@e.f"],"country":"Germany","city":"Bonn","manager":{"id":"2"}}`
	all, rec, err := m.Explain(directory.User, mapping.Input{Object: []byte(object), Previous: []byte(`"title":"Chief"`), Now: day})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := m.Map(directory.User, mapping.Input{Object: []byte(object), Previous: []byte(`"title":"Chief"`), Now: day})
	if err != nil || string(again.Body) != string(rec.Body) {
		t.Errorf("explained %s, mapped %s, %v", rec.Body, again.Body, err)
	}
	got := lines(all)
	for i := range got {
		for _, r := range m.Rows() {
			if r.Expression != "" && strings.Contains(got[i], r.Expression) && strings.HasPrefix(r.Origin, "preset") {
				got[i] = strings.Replace(got[i], r.Expression, "…", 1)
			}
		}
	}
	want := []string{
		`id = "1" < id`,
		`externalId = "7" < user.employeeId (config.yaml:9)`,
		`userName = "ada@contoso.onmicrosoft.com" < userPrincipalName`,
		`name.familyName = "Lovelace" < … (preset okta) made`,
		`name.givenName = "Ada" < … (preset okta) made`,
		`displayName = "Ada Lovelace" < … (preset okta)`,
		`title = "Chief" < string(date(user.jobTitle)) (config.yaml:10) kept: a text is no date of the form 2026-11-26 or of RFC 3339`,
		`active = true < accountEnabled`,
		`emails[type eq "work" and primary eq true].value = "a@b.c" < … (preset okta)`,
		`emails[type eq "other"].value = "d@e.f" < otherMails`,
		`addresses[type eq "work"].locality = "Bonn" < city`,
		`roles = [{"value":"a"}] < ["a"] (config.yaml:11)`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber = "7" < employeeId`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value = "2" < manager.id`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref = "` + baseURL + `/Users/2" < manager.id`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTakenOverValuesHaveTheirRule has a rule that gives an address which a row
// of the default mapping gives, too.
func TestTakenOverValuesHaveTheirRule(t *testing.T) {
	m, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: mapping.Rules{
		Set: []mapping.Rule{{Path: `emails[type eq "home" and primary eq true].value`, Expression: "first(user.otherMails)", Place: "config.yaml:9"}}}})
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := m.Explain(directory.User, mapping.Input{Object: []byte(`{"id":"1","userPrincipalName":"u@x.org","otherMails":["a@b.c","d@e.f"]}`), Now: day})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`id = "1" < id`,
		`userName = "u@x.org" < userPrincipalName`,
		`active = true < accountEnabled`,
		`emails[type eq "work" and primary eq true].value = "u@x.org" < userPrincipalName`,
		`emails[type eq "home" and primary eq true].value = "a@b.c" < first(user.otherMails) (config.yaml:9)`,
		`emails[type eq "other"].value = "d@e.f" < otherMails`,
	}
	if diff := cmp.Diff(want, lines(all)); diff != "" {
		t.Error(diff)
	}
}
