package mapping_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/google/go-cmp/cmp"
)

const (
	enterprise = mapping.EnterpriseUserSchema
	entraUser  = mapping.EntraUserSchema
	entraGroup = mapping.EntraGroupSchema
)

// An example is a row of the table at work: alone in an otherwise bare object.
type example struct {
	path, property string
	in             string // JSON of the property at the top of the object
	member         string // top-level member of the resource that it goes to
	want           string // exact JSON of that member
}

// userExamples has one example for each row of users.
func userExamples() []example {
	examples := []example{
		{"id", "id", `"7b"`, "id", `"7b"`},
		{"userName", "userPrincipalName", `"ada@contoso.com"`, "userName", `"ada@contoso.com"`},
		{"name.familyName", "surname", `"Byron"`, "name", `{"familyName":"Byron"}`},
		{"name.givenName", "givenName", `"Ada"`, "name", `{"givenName":"Ada"}`},
		{"displayName", "displayName", `"Ada Byron"`, "displayName", `"Ada Byron"`},
		{"title", "jobTitle", `"Countess \"of\" Lovelace\/\u00e9\n"`, "title", `"Countess \"of\" Lovelace/\u00e9\n"`},
		{"userType", "employeeType", `"Contractor"`, "userType", `"Contractor"`},
		{"preferredLanguage", "preferredLanguage", `"en-GB"`, "preferredLanguage", `"en-GB"`},
		{"active", "accountEnabled", `false`, "active", `false`},
		{`emails[type eq "work" and primary eq true].value`, "mail", `"Ada@contoso.com"`, "emails", `[{"value":"Ada@contoso.com","type":"work","primary":true}]`},
		{`emails[type eq "work" and primary eq true].value`, "userPrincipalName", `"ada@contoso.com"`, "emails", `[{"value":"ada@contoso.com","type":"work","primary":true}]`},
		{`emails[type eq "other"].value`, "otherMails", `["a@x.org","b@x.org"]`, "emails", `[{"value":"a@x.org","type":"other","primary":true},{"value":"b@x.org","type":"other"}]`},
		{`emails[type eq "work"].value`, "proxyAddresses", `["smtp:a@x.org","SMTP:b@x.org","SIP:c@x.org"]`, "emails", `[{"value":"b@x.org","type":"work","primary":true},{"value":"a@x.org","type":"work"}]`},
		{`phoneNumbers[type eq "work"].value`, "businessPhones", `["+1 425 555 0109"]`, "phoneNumbers", `[{"value":"+1 425 555 0109","type":"work"}]`},
		{`phoneNumbers[type eq "mobile"].value`, "mobilePhone", `"+1 5"`, "phoneNumbers", `[{"value":"+1 5","type":"mobile"}]`},
		{`phoneNumbers[type eq "fax"].value`, "faxNumber", `"+1 6"`, "phoneNumbers", `[{"value":"+1 6","type":"fax"}]`},
		{`ims[type eq "work"].value`, "imAddresses", `["sip:a@x.org"]`, "ims", `[{"value":"sip:a@x.org","type":"work"}]`},
		{`addresses[type eq "work"].streetAddress`, "streetAddress", `"1 Way"`, "addresses", `[{"streetAddress":"1 Way","type":"work"}]`},
		{`addresses[type eq "work"].locality`, "city", `"Zürich"`, "addresses", `[{"locality":"Z\u00fcrich","type":"work"}]`},
		{`addresses[type eq "work"].region`, "state", `"ZH"`, "addresses", `[{"region":"ZH","type":"work"}]`},
		{`addresses[type eq "work"].postalCode`, "postalCode", `"8001"`, "addresses", `[{"postalCode":"8001","type":"work"}]`},
		{`addresses[type eq "work"].country`, "country", `"CH"`, "addresses", `[{"country":"CH","type":"work"}]`},
		{enterprise + ":employeeNumber", "employeeId", `"0042"`, enterprise, `{"employeeNumber":"0042"}`},
		{enterprise + ":costCenter", "employeeOrgData.costCenter", `{"costCenter":"C1"}`, enterprise, `{"costCenter":"C1"}`},
		{enterprise + ":organization", "companyName", `"Contoso"`, enterprise, `{"organization":"Contoso"}`},
		{enterprise + ":division", "employeeOrgData.division", `{"division":"D1"}`, enterprise, `{"division":"D1"}`},
		{enterprise + ":department", "department", `"R&D"`, enterprise, `{"department":"R&D"}`},
		{enterprise + ":manager.value", "manager.id", `{"id":"9a"}`, enterprise, `{"manager":{"value":"9a","$ref":"https://scim.example.com/scim/v2/Users/9a"}}`},
		{enterprise + ":manager.$ref", "manager.id", `{"id":"9/a"}`, enterprise, `{"manager":{"value":"9/a","$ref":"https://scim.example.com/scim/v2/Users/9%2Fa"}}`},
		{entraUser + ":employeeHireDate", "employeeHireDate", `"2020-01-01T00:00:00Z"`, entraUser, `{"employeeHireDate":"2020-01-01T00:00:00Z"}`},
		{entraUser + ":onPremisesSAMAccountName", "onPremisesSamAccountName", `"ada"`, entraUser, `{"onPremisesSAMAccountName":"ada"}`},
		{entraUser + ":onPremisesSyncEnabled", "onPremisesSyncEnabled", `true`, entraUser, `{"onPremisesSyncEnabled":true}`},
		{entraUser + ":proxyAddresses", "proxyAddresses", `["X500:/o=x","SPO:y"]`, entraUser, `{"proxyAddresses":["X500:/o=x","SPO:y"]}`},
		{entraUser + ":userType", "userType", `"Guest"`, entraUser, `{"userType":"Guest"}`},
	}
	for n := 1; n <= 15; n++ {
		name := fmt.Sprintf("extensionAttribute%d", n)
		examples = append(examples, example{entraUser + ":onPremisesExtensionAttributes." + name,
			"onPremisesExtensionAttributes." + name, fmt.Sprintf(`{"%s":"v"}`, name), entraUser,
			fmt.Sprintf(`{"onPremisesExtensionAttributes":{"%s":"v"}}`, name)})
	}
	for _, name := range []string{"creationType", "mailNickname", "officeLocation", "onPremisesDistinguishedName",
		"onPremisesDomainName", "onPremisesImmutableId", "onPremisesSecurityIdentifier",
		"onPremisesUserPrincipalName", "preferredDataLocation", "usageLocation"} {
		examples = append(examples, example{entraUser + ":" + name, name, `"v"`, entraUser, fmt.Sprintf(`{"%s":"v"}`, name)})
	}
	return examples
}

// groupExamples has one example for each row of groups.
func groupExamples() []example {
	return []example{
		{"id", "id", `"7b"`, "id", `"7b"`},
		{"displayName", "displayName", `"Émigrés 🌍"`, "displayName", `"\u00c9migr\u00e9s \ud83c\udf0d"`},
		{"displayName", "mailNickname", `"nick"`, "displayName", `"nick"`},
		{entraGroup + ":description", "description", `"All"`, entraGroup, `{"description":"All"}`},
		{entraGroup + ":expirationDateTime", "expirationDateTime", `"2027-01-01T00:00:00.1234567Z"`, entraGroup, `{"expirationDateTime":"2027-01-01T00:00:00.1234567Z"}`},
		{entraGroup + ":groupTypes", "groupTypes", `["Unified","DynamicMembership"]`, entraGroup, `{"groupTypes":["Unified","DynamicMembership"]}`},
		{entraGroup + ":mailEnabled", "mailEnabled", `false`, entraGroup, `{"mailEnabled":false}`},
		{entraGroup + ":mailNickname", "mailNickname", `"nick"`, entraGroup, `{"mailNickname":"nick"}`},
		{entraGroup + ":onPremisesSAMAccountName", "onPremisesSamAccountName", `"all"`, entraGroup, `{"onPremisesSAMAccountName":"all"}`},
		{entraGroup + ":onPremisesSecurityIdentifier", "onPremisesSecurityIdentifier", `"S-1-5"`, entraGroup, `{"onPremisesSecurityIdentifier":"S-1-5"}`},
		{entraGroup + ":onPremisesSyncEnabled", "onPremisesSyncEnabled", `true`, entraGroup, `{"onPremisesSyncEnabled":true}`},
		{entraGroup + ":proxyAddresses", "proxyAddresses", `["SMTP:all@x.org"]`, entraGroup, `{"proxyAddresses":["SMTP:all@x.org"]}`},
		{entraGroup + ":securityEnabled", "securityEnabled", `true`, entraGroup, `{"securityEnabled":true}`},
		{entraGroup + ":securityIdentifier", "securityIdentifier", `"S-1-12"`, entraGroup, `{"securityIdentifier":"S-1-12"}`},
	}
}

// bare gives an object that has little but its id, with one property set.
func bare(typ directory.Type, property, value string) []byte {
	top, _, _ := strings.Cut(property, ".")
	object := map[string]json.RawMessage{"id": json.RawMessage(`"1"`)}
	if typ == directory.User {
		object["userPrincipalName"] = json.RawMessage(`"u"`)
	} else if property != "mailNickname" {
		object["displayName"] = json.RawMessage(`"g"`)
	}
	if value != "" {
		object[top] = json.RawMessage(value)
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return text
}

// topLevel takes a body apart.
func topLevel(t *testing.T, body []byte) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+string(body)+"}"), &members); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return members
}

func TestEveryRowGivesItsValue(t *testing.T) {
	m := newMapper(t)
	for typ, examples := range map[directory.Type][]example{
		directory.User: userExamples(), directory.Group: groupExamples(),
	} {
		covered := map[string]bool{"meta.created createdDateTime": true} // see TestCreated
		for _, e := range examples {
			covered[e.path+" "+e.property] = true
			t.Run(fmt.Sprint(typ, " ", e.path, " ", e.property), func(t *testing.T) {
				object := bare(typ, e.property, e.in)
				rec, problems, err := render(t, m, typ, object, false)
				if err != nil || len(problems) > 0 {
					t.Fatal(problems, err)
				}
				if got := string(topLevel(t, rec.Body)[e.member]); got != e.want {
					t.Errorf("%s of %s:\n got %s\nwant %s", e.member, object, got, e.want)
				}
				checkRecord(t, typ, object, false, rec, problems)
			})
		}
		for _, row := range mapping.Rows() {
			if row.Type == typ && !covered[row.Path+" "+row.Property] {
				t.Errorf("no example of %v %s from %s", typ, row.Path, row.Property)
			}
		}
	}
}

// wrap puts a value where a property within an object belongs.
func wrap(property, value string) string {
	if _, sub, deep := strings.Cut(property, "."); deep {
		return `{"` + sub + `":` + value + `}`
	}
	return value
}

func TestValuesThatSayNothingAreLeftOut(t *testing.T) {
	m := newMapper(t)
	for _, row := range mapping.Rows() {
		if row.Path == "id" || row.Transform == mapping.OrID {
			continue // tested by TestRequiredAttributesFallBack
		}
		without, _, err := render(t, m, row.Type, bare(row.Type, row.Property, wrap(row.Property, "null")), false)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{`""`, `[]`, `{}`, ""} {
			if value != "" {
				value = wrap(row.Property, value)
			}
			object := bare(row.Type, row.Property, value)
			if row.Property == "displayName" {
				object = []byte(`{"id":"1","userPrincipalName":"u","mailNickname":"n"}`)
			}
			rec, problems, err := render(t, m, row.Type, object, false)
			if err != nil {
				t.Fatal(err)
			}
			checkRecord(t, row.Type, object, false, rec, problems)
			if row.Property != "displayName" && row.Property != "mailNickname" && row.Property != "userPrincipalName" &&
				(string(rec.Body) != string(without.Body) || len(problems) > 0) {
				t.Errorf("%s = %s gives %s, %v; want %s", row.Property, value, rec.Body, problems, without.Body)
			}
		}
	}
}

func TestValuesOfTheWrongKindAreReported(t *testing.T) {
	m := newMapper(t)
	wrong := map[mapping.Transform][]string{
		mapping.Text: {`1`, `true`, `["x"]`, `{"x":1}`}, mapping.Boolean: {`"true"`, `1`, `[true]`},
		mapping.DateTime: {`"yesterday"`, `1`, `"2020-01-01"`, `"2020-01-01T00:00:00,5Z"`, `"2020-01-01T0:00:00Z"`, `"2020-01-01T00:00:00+24:00"`, `"2020-01-01T00:00:00-01:60"`}, mapping.Each: {`"x"`, `[1]`, `{"x":1}`},
		mapping.SMTP: {`"smtp:a@x.org"`, `[true,2]`}, mapping.Reference: {`3`}, mapping.OrTrue: {`"false"`, `0`},
		mapping.OrID: {`1`, `["u"]`}, mapping.Address: {`1`}, mapping.Created: {`"then"`, `5`},
	}
	for _, row := range mapping.Rows() {
		if row.Path == "id" {
			continue
		}
		values := wrong[row.Transform]
		if len(values) == 0 {
			t.Fatalf("no wrong value for transform %q", row.Transform)
		}
		for _, value := range values {
			object := bare(row.Type, row.Property, wrap(row.Property, value))
			rec, problems, err := render(t, m, row.Type, object, false)
			if err != nil {
				t.Fatal(err)
			}
			checkRecord(t, row.Type, object, false, rec, problems)
			found := false
			for _, p := range problems {
				found = found || (p.Path == row.Path && strings.Contains(p.Reason, row.Property))
			}
			if !found {
				t.Errorf("%s = %s is not reported for %s: %v", row.Property, value, row.Path, problems)
			}
		}
	}
}

func TestProblemsNameWhatIsWrong(t *testing.T) {
	m := newMapper(t)
	for name, tt := range map[string]struct {
		object string
		want   []mapping.Problem
	}{
		"another kind":             {`{"id":"1","userPrincipalName":"u","jobTitle":3}`, []mapping.Problem{{"title", "jobTitle is a number, not a string", false}}},
		"a string for a boolean":   {`{"id":"1","userPrincipalName":"u","accountEnabled":"no"}`, []mapping.Problem{{"active", "accountEnabled is a string, not a boolean", false}}},
		"a bad element":            {`{"id":"1","userPrincipalName":"u","imAddresses":["sip:x",[1],2]}`, []mapping.Problem{{`ims[type eq "work"].value`, "an element of imAddresses is an array, not a string", false}}},
		"no date":                  {`{"id":"1","userPrincipalName":"u","employeeHireDate":"May"}`, []mapping.Problem{{entraUser + ":employeeHireDate", "employeeHireDate is not a date and time in the form of RFC 3339", false}}},
		"a parent of another kind": {`{"id":"1","userPrincipalName":"u","manager":"9a"}`, []mapping.Problem{{enterprise + ":manager.value", "manager is a string, not an object", false}, {enterprise + ":manager.$ref", "manager is a string, not an object", false}}},
		"no userName":              {`{"id":"1"}`, []mapping.Problem{{"userName", "userPrincipalName is absent; the id is served instead", false}}},
		"a userName of another kind": {`{"id":"1","userPrincipalName":false,"mail":"a@x.org"}`,
			[]mapping.Problem{{"userName", "userPrincipalName is a boolean; the id is served instead", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, err := m.User([]byte(tt.object), false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, problems); diff != "" {
				t.Error(diff)
			}
		})
	}
}
