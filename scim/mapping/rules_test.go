package mapping_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/google/go-cmp/cmp"
)

// day is when rules are evaluated.
var day = time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC)

const acme = "urn:example:acme:2.0:User"

// acmeSchema has an attribute of every type.
func acmeSchema() mapping.Schema {
	s := mapping.Schema{URN: acme, Type: directory.User, Setting: "schemas[0]", Attributes: []mapping.Attribute{
		{Name: "tags", Type: "string", MultiValued: true},
		{Name: "desk", Type: "complex", SubAttributes: []mapping.Attribute{{Name: "number", Type: "integer"}, {Name: "building", Type: "string"}}},
		{Name: "cars", Type: "complex", MultiValued: true, SubAttributes: []mapping.Attribute{
			{Name: "plate", Type: "string"}, {Name: "type", Type: "string"}, {Name: "colors", Type: "string", MultiValued: true}}},
	}}
	for _, t := range mapping.AttributeTypes() {
		if t != "complex" {
			s.Attributes = append(s.Attributes, mapping.Attribute{Name: "a" + strings.ToUpper(t[:1]) + t[1:], Type: t})
		}
	}
	return s
}

// configured makes a mapper of rules for users.
func configured(t testing.TB, rules mapping.Rules) *mapping.Mapper {
	t.Helper()
	m, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: rules, Schemas: []mapping.Schema{acmeSchema()},
		Tables: map[string]map[string]string{"regions": {"DE": "EMEA"}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// set makes rules of pairs of path and expression.
func set(pairs ...string) mapping.Rules {
	var r mapping.Rules
	for i := 0; i < len(pairs); i += 2 {
		r.Set = append(r.Set, mapping.Rule{Path: pairs[i], Expression: pairs[i+1], Setting: pairs[i]})
	}
	return r
}

// mapUser maps a user and gives his attributes but for schemas.
func mapUser(t testing.TB, m *mapping.Mapper, in mapping.Input) (map[string]any, directory.Record, []mapping.Problem) {
	t.Helper()
	in.Now = day
	rec, problems, err := m.Map(directory.User, in)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte("{"+string(rec.Body)+"}"), &body); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	var schemas []string
	for _, s := range body["schemas"].([]any) {
		schemas = append(schemas, s.(string))
	}
	for name := range body {
		if strings.HasPrefix(name, "urn:") && !cmp.Equal(schemas[1:], []string{}) && !strings.Contains(strings.Join(schemas, " "), name) {
			t.Errorf("schemas %v lack %s", schemas, name)
		}
	}
	delete(body, "schemas")
	return body, rec, problems
}

// person is whom the rules are about.
const person = `{"id":"1","accountEnabled":true,"displayName":"Ada Lovelace","userPrincipalName":"Ada@Contoso.com","mail":"ada@contoso.com",
	"otherMails":["a@home.example","A@home.example","b@home.example"],"country":"DE","employeeId":"4711","employeeHireDate":"2026-12-01T00:00:00Z",
	"proxyAddresses":["smtp:ada@old.example"],"manager":{"id":"9"},"city":"London","businessPhones":["1"],
	"extension_0123456789abcdef0123456789abcdef_n":12,"extension_0123456789abcdef0123456789abcdef_b":true,
	"extension_0123456789abcdef0123456789abcdef_f":1.5,"extension_0123456789abcdef0123456789abcdef_l":["x","y"]}`

const extension = "user.extension_0123456789abcdef0123456789abcdef_"

// TestRules gives each kind of attribute the value of an expression.
func TestRules(t *testing.T) {
	for name, tt := range map[string]struct {
		rules mapping.Rules
		at    string // the attribute to look at
		want  string // its JSON; "" for none
	}{
		"a text":                         {set("externalId", "user.employeeId"), "externalId", `"4711"`},
		"in place of the default":        {set("userName", "lower(user.userPrincipalName)"), "userName", `"ada@contoso.com"`},
		"an attribute of the RFC":        {set("nickName", `"Ada"`), "nickName", `"Ada"`},
		"a part":                         {set("name.formatted", "user.displayName"), "name", `{"formatted":"Ada Lovelace"}`},
		"nothing":                        {set("title", "user.jobTitle"), "title", ``},
		"a condition":                    {set("active", "user.accountEnabled && user.employeeHireDate <= today"), "active", `false`},
		"a number of an extension":       {set("title", extension+"n"), "title", `"12"`},
		"a fraction of an extension":     {set("title", extension+"f"), "title", `"1.5"`},
		"a truth of an extension":        {set("title", extension+"b"), "title", `"true"`},
		"an extension nobody has":        {set("title", extension+"none"), "title", ``},
		"a text beyond ASCII":            {set("title", `"é\"\\"`), "title", `"é\"\\"`},
		"one e-mail":                     {set(`emails[type eq "work"].value`, "user.mail"), "emails", `[{"value":"ada@contoso.com","type":"work","primary":true},{"value":"a@home.example","type":"other"},{"value":"b@home.example","type":"other"}]`},
		"the primary e-mail":             {set(`emails[type eq "work" and primary eq true].value`, "lower(user.userPrincipalName)"), "emails", `[{"value":"ada@contoso.com","type":"work","primary":true},{"value":"a@home.example","type":"other"},{"value":"b@home.example","type":"other"},{"value":"ada@old.example","type":"work"}]`},
		"e-mails of a type of their own": {set(`emails[type eq "home"].value`, "user.otherMails"), "emails", `[{"value":"ada@contoso.com","type":"work","primary":true},{"value":"a@home.example","type":"home"},{"value":"b@home.example","type":"home"},{"value":"ada@old.example","type":"work"}]`},
		"all e-mails":                    {set("emails", `user.otherMails.map(m, {"value": m, "type": "home"})`), "emails", `[{"value":"a@home.example","type":"home","primary":true},{"value":"b@home.example","type":"home"}]`},
		"all e-mails, one primary":       {set("emails", `[{"value": "x@y.z"}, {"value": user.mail, "primary": true}, {"value": "", "primary": true}, {"value": "q@y.z", "primary": true}]`), "emails", `[{"value":"ada@contoso.com","primary":true},{"value":"x@y.z"},{"value":"q@y.z"}]`},
		"e-mails that are texts":         {set("emails", "user.otherMails"), "emails", `[{"value":"a@home.example","primary":true},{"value":"b@home.example"}]`},
		"an e-mail that is a text":       {set("emails", "user.mail"), "emails", `[{"value":"ada@contoso.com","primary":true}]`},
		"no e-mails":                     {set("emails", "user.imAddresses"), "emails", ``},
		"roles":                          {set("roles", `["a", "b"]`), "roles", `[{"value":"a"},{"value":"b"}]`},
		"a role with a type":             {set(`roles[type eq "app"].value`, `["a", "b", "a"]`), "roles", `[{"value":"a","type":"app"},{"value":"b","type":"app"}]`},
		"an address more":                {set(`addresses[type eq "home"].country`, "user.country"), "addresses", `[{"locality":"London","country":"DE","type":"work"},{"country":"DE","type":"home"}]`},
		"whole addresses":                {set("addresses", `[{"formatted": user.city, "type": "work"}]`), "addresses", `[{"formatted":"London","type":"work"}]`},
		"a manager of one's own":         {set("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "user.employeeId"), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", `{"employeeNumber":"4711","manager":{"value":"4711"}}`},
		"a table":                        {set("locale", `lookup("regions", user.country)`), "locale", `"EMEA"`},
		"every type":                     {set(acme+":aString", "user.city", acme+":aBoolean", "true", acme+":aInteger", "size(user.otherMails)", acme+":aDecimal", "1.5", acme+":aDateTime", "user.employeeHireDate", acme+":aBinary", `"YQ=="`, acme+":aReference", `"https://x"`), acme, `{"aString":"London","aBoolean":true,"aInteger":3,"aDecimal":1.5,"aDateTime":"2026-12-01T00:00:00Z","aBinary":"YQ==","aReference":"https://x"}`},
		"a date in a text":               {set(acme+":aDateTime", `"2026-12-01T00:00:00Z"`), acme, `{"aDateTime":"2026-12-01T00:00:00Z"}`},
		"a decimal that is whole":        {set(acme+":aDecimal", "3"), acme, `{"aDecimal":3}`},
		"a list":                         {set(acme+":tags", "user.otherMails"), acme, `{"tags":["a@home.example","A@home.example","b@home.example"]}`},
		"a list of one":                  {set(acme+":tags", "user.city"), acme, `{"tags":["London"]}`},
		"a list of an extension":         {set(acme+":tags", extension+"l"), acme, `{"tags":["x","y"]}`},
		"parts":                          {set(acme+":desk.building", "user.city", acme+":desk.number", "size(user.city)"), acme, `{"desk":{"number":6,"building":"London"}}`},
		"values with parts":              {set(acme+":cars", `[{"plate": "a", "colors": ["red", "blue"]}, {"plate": ""}, {"plate": "b", "type": "x"}]`), acme, `{"cars":[{"plate":"a","colors":["red","blue"]},{"plate":"b","type":"x"}]}`},
		"values with a type":             {set(acme+`:cars[type eq "x"].plate`, "user.city"), acme, `{"cars":[{"plate":"London","type":"x"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := configured(t, tt.rules)
			body, rec, problems := mapUser(t, m, mapping.Input{Object: []byte(person)})
			if len(problems) > 0 {
				t.Error(problems)
			}
			checkSchemas(t, m, directory.User, rec)
			got := ""
			if v, ok := body[tt.at]; ok {
				got = mustJSON(t, v)
			}
			if tt.want != "" {
				var want any
				if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
					t.Fatal(err)
				}
				tt.want = mustJSON(t, want)
			}
			if got != tt.want {
				t.Errorf("%s is\n%s, want\n%s", tt.at, got, tt.want)
			}
			if rec.Active != (body["active"] == true) || rec.UserName != body["userName"] {
				t.Errorf("the record has active %v, userName %s", rec.Active, rec.UserName)
			}
			if external, _ := body["externalId"].(string); rec.ExternalID != external {
				t.Errorf("the record has externalId %s", rec.ExternalID)
			}
			var emails []string
			list, _ := body["emails"].([]any)
			for _, e := range list {
				emails = append(emails, e.(map[string]any)["value"].(string))
			}
			if diff := cmp.Diff(emails, rec.Emails); diff != "" {
				t.Errorf("emails of the record: %s", diff)
			}
		})
	}
}

// TestRemovedPaths takes attributes out.
// A manager who is not served is none for rules either; one whom nothing goes by
// needs no looking after.
func TestHiddenManagers(t *testing.T) {
	const object = `{"id":"1","userPrincipalName":"u","manager":{"id":"9"}}`
	enterprise := mapping.EnterpriseUserSchema
	rules := func(set string, removed ...string) mapping.Rules {
		return mapping.Rules{Set: []mapping.Rule{{Path: "title", Expression: set}}, Remove: removed}
	}
	for name, test := range map[string]struct {
		rules         mapping.Rules
		shown, hidden string
		manager       string
	}{
		"a rule that reads him": {rules("'reports to ' + user.manager.id", enterprise+":manager"), "reports to 9", "reports to ", "9"},
		"a rule that asks":      {rules("has(user.manager) ? 'led' : 'free'", enterprise+":manager"), "led", "free", "9"},
		"no rule":               {rules("'x'", enterprise+":manager"), "x", "x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := configured(t, test.rules)
			for hide, want := range map[bool]string{false: test.shown, true: test.hidden} {
				rec, problems, err := m.Map(directory.User, mapping.Input{Object: []byte(object), HideManager: hide})
				if err != nil || len(problems) > 0 {
					t.Fatal(err, problems)
				}
				if !strings.Contains(string(rec.Body), `"title":"`+want+`"`) || strings.Contains(string(rec.Body), `"manager":`) {
					t.Errorf("hidden %t: %s, want title %q", hide, rec.Body, want)
				}
				if rec.Manager != test.manager || rec.HidesManager != (hide && test.manager != "") {
					t.Errorf("hidden %t: manager %q, hidden %t", hide, rec.Manager, rec.HidesManager)
				}
			}
		})
	}
}

func TestRemovedPaths(t *testing.T) {
	const entra = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"
	for path, gone := range map[string]string{
		"displayName": "displayName", "name": "name", "emails": "emails", `emails[type eq "other"]`: "b@home.example",
		`emails[type eq "other"].value`: "b@home.example", "addresses": "London", `addresses[type eq "work"].locality`: "London",
		entra: entra, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager": "manager",
	} {
		m := configured(t, mapping.Rules{Remove: []string{path}})
		object := strings.Replace(person, `"id":"1"`, `"id":"1","surname":"L","userType":"Member"`, 1)
		_, before, _ := mapUser(t, newMapper(t), mapping.Input{Object: []byte(object)})
		_, after, _ := mapUser(t, m, mapping.Input{Object: []byte(object)})
		if !strings.Contains(string(before.Body), gone) || strings.Contains(string(after.Body), gone) {
			t.Errorf("without %s: %s", path, after.Body)
		}
		checkSchemas(t, m, directory.User, after)
		for _, s := range m.Schemas() {
			if s.ID == path {
				t.Errorf("the schema %s is announced", path)
			}
		}
		if m.Fingerprint() == newMapper(t).Fingerprint() {
			t.Errorf("without %s the fingerprint is the same", path)
		}
	}
}

// TestLastGoodValues has rules and rows fail for somebody who was served before.
func TestLastGoodValues(t *testing.T) {
	const previous = `"schemas":["x"],"id":"1","userName":"last@x.org","externalId":"last","name":{"familyName":"Last"},"title":"Chief","active":false,` +
		`"emails":[{"value":"last@x.org","type":"work","primary":true},{"value":"other@x.org","type":"other"}],` +
		`"addresses":[{"country":"FR","type":"home"},{"country":"UK","locality":"York","type":"work"}],` +
		`"urn:example:acme:2.0:User":{"aInteger":5,"tags":["t"],"cars":[{"plate":"p"}]}`
	fails := extension + "n.x" // a number has no parts
	for name, tt := range map[string]struct {
		rules  mapping.Rules
		object string
		at     string
		want   string // with what was served before
		none   string // without
		reason string
	}{
		"a text":             {set("title", fails), "", "title", `"Chief"`, ``, "title: "},
		"an index":           {set("externalId", fails), "", "externalId", `"last"`, ``, "externalId: "},
		"a required one":     {set("userName", fails), "", "userName", `"last@x.org"`, `"1"`, "userName: "},
		"a required nothing": {set("userName", "user.jobTitle"), "", "userName", `"last@x.org"`, `"1"`, "userName: the expression gives nothing"},
		"a part":             {set("name.familyName", fails), "", "name", `{"familyName":"Last"}`, ``, "name.familyName: "},
		"active":             {set("active", fails), "", "active", `false`, `true`, "active: "},
		"a type of value":    {set(`emails[type eq "work"].value`, fails), `"otherMails":["new@x.org"]`, "emails", `[{"primary":true,"type":"work","value":"last@x.org"},{"type":"other","value":"new@x.org"}]`, `[{"primary":true,"type":"other","value":"new@x.org"}]`, "emails"},
		"all values":         {set("emails", fails), "", "emails", `[{"primary":true,"type":"work","value":"last@x.org"},{"type":"other","value":"other@x.org"}]`, ``, "emails: "},
		"a part of a value":  {set(`addresses[type eq "work"].country`, fails), `"city":"Bath"`, "addresses", `[{"country":"UK","locality":"Bath","type":"work"}]`, `[{"locality":"Bath","type":"work"}]`, "addresses"},
		"a number":           {set(acme+":aInteger", fails), "", acme, `{"aInteger":5}`, ``, acme},
		"a list":             {set(acme+":tags", fails), "", acme, `{"tags":["t"]}`, ``, acme},
		"values with parts":  {set(acme+":cars", "["+extension+"n]"), "", acme, `{"cars":[{"plate":"p"}]}`, ``, acme},
		"a default row":      {mapping.Rules{}, `"jobTitle":7`, "title", `"Chief"`, ``, "title: jobTitle is a number, not a string"},
		"a default userName": {mapping.Rules{}, `"userPrincipalName":7,"mail":"m@x.org"`, "userName", `"last@x.org"`, `"1"`, "userName: userPrincipalName is a number"},
		"a default active":   {mapping.Rules{}, `"accountEnabled":"?"`, "active", `false`, `true`, "active: "},
		"a default e-mail":   {mapping.Rules{}, `"mail":7`, "emails", `[{"primary":true,"type":"work","value":"last@x.org"}]`, ``, "emails"},
	} {
		t.Run(name, func(t *testing.T) {
			m := configured(t, tt.rules)
			object := `{"id":"1","extension_0123456789abcdef0123456789abcdef_n":12`
			if !strings.Contains(tt.object, "userPrincipalName") {
				object += `,"userPrincipalName":"u"`
			}
			if tt.object != "" {
				object += "," + tt.object
			}
			for last, want := range map[string]string{previous: tt.want, "": tt.none} {
				body, rec, problems := mapUser(t, m, mapping.Input{Object: []byte(object + "}"), Previous: []byte(last)})
				if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tt.reason) || problems[0].Kept != (last != "") {
					t.Errorf("problems %v", problems)
				}
				got := ""
				if v, ok := body[tt.at]; ok {
					got = mustJSON(t, v)
				}
				if got != want {
					t.Errorf("%s is %s, want %s", tt.at, got, want)
				}
				if rec.UserName != body["userName"] || rec.Active != (body["active"] == true) {
					t.Errorf("the record has %q, active %v", rec.UserName, rec.Active)
				}
			}
		})
	}
}

// TestRemovedUsersStayInactive has a rule that says otherwise.
func TestRemovedUsersStayInactive(t *testing.T) {
	m := configured(t, set("active", "true"))
	body, rec, _ := mapUser(t, m, mapping.Input{Object: []byte(person), Inactive: true})
	if body["active"] != false || rec.Active {
		t.Errorf("active is %v, %v", body["active"], rec.Active)
	}
}

// TestActiveIsAlwaysThere has a rule that gives nothing, as one over custom
// security attributes may.
func TestActiveIsAlwaysThere(t *testing.T) {
	m := configured(t, set("active", "user.customSecurityAttributes.Hr.Employed"))
	for name, c := range map[string]struct {
		in   mapping.Input
		want bool
	}{
		"removed":              {mapping.Input{Inactive: true}, false},
		"removed, once active": {mapping.Input{Inactive: true, Previous: []byte(`"active":true`)}, false},
		"never served":         {mapping.Input{}, true},
		"was active":           {mapping.Input{Previous: []byte(`"active":true`)}, true},
		"was inactive":         {mapping.Input{Previous: []byte(`"active":false`)}, false},
		"came back":            {mapping.Input{Previous: []byte(`"active":false`), WasGone: true}, true},
	} {
		c.in.Object = []byte(person)
		body, rec, problems := mapUser(t, m, c.in)
		if body["active"] != c.want || rec.Active != c.want || len(problems) != 1 {
			t.Errorf("%s: active is %v, %v, with %v; want %v", name, body["active"], rec.Active, problems, c.want)
		}
	}
}

// TestBadElements leaves out what can't be used of a list.
func TestBadElements(t *testing.T) {
	m := configured(t, set("roles", `["a", `+extension+`l, {"value": "b", "col" + "or": "red"}, {"value": ["c"]}]`, acme+":tags", `["a", {"b": "c"}]`))
	body, _, problems := mapUser(t, m, mapping.Input{Object: []byte(person)})
	if got := mustJSON(t, body["roles"]); got != `[{"value":"a"}]` {
		t.Errorf("roles are %s", got)
	}
	if got := mustJSON(t, body[acme]); got != `{"tags":["a"]}` {
		t.Errorf("tags are %s", got)
	}
	if len(problems) != 2 {
		t.Errorf("problems %v", problems)
	}
	// One example of a reason is enough, and it is one line of a log.
	_, _, problems = mapUser(t, configured(t, set("roles", `[["a"], ["b"], ["c"]]`)), mapping.Input{Object: []byte(person)})
	want := []mapping.Problem{{Path: "roles", Reason: "no value can be used: value: the expression gives a list, not a text"}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

func TestTodayCounts(t *testing.T) {
	m := configured(t, set("active", "user.employeeHireDate <= today"))
	if m.FingerprintAt(day) == m.FingerprintAt(day.Add(24*time.Hour)) || m.FingerprintAt(day) != m.FingerprintAt(day.Add(time.Hour)) {
		t.Error("the fingerprint does not follow the day")
	}
	if n := newMapper(t); n.FingerprintAt(day) != n.Fingerprint() {
		t.Error("the default mapping depends on the day")
	}
}

func TestSelectFollowsTheRules(t *testing.T) {
	users, _ := configured(t, set("title", extension+"n", "nickName", "user.passwordPolicies", "locale", "formatDate(user.signInActivity.lastSignInDateTime, \"yyyy\")",
		"timezone", "user.customSecurityAttributes.A.B", "profileUrl", "user.manager.id")).Select()
	all := strings.Join(users, " ")
	for _, name := range []string{"extension_0123456789abcdef0123456789abcdef_n", "passwordPolicies"} {
		if !strings.Contains(all, name) {
			t.Errorf("%s is not selected", name)
		}
	}
	for _, name := range []string{"signInActivity", "customSecurityAttributes", "manager", "jobTitle"} {
		if strings.Contains(all, name) {
			t.Errorf("%s is selected", name)
		}
	}
	if aside := configured(t, set("locale", "user.signInActivity.lastSignInRequestId")).Aside(); !cmp.Equal(aside, []string{"signInActivity"}) {
		t.Errorf("aside: %v", aside)
	}
}

// TestSchemasOfSeveralSources are those of all of them.
func TestSchemasOfSeveralSources(t *testing.T) {
	a, b := configured(t, set("nickName", `"x"`)), configured(t, mapping.Rules{Remove: []string{"ims"}})
	var names []string
	for _, attribute := range mapping.Schemas(a, b)[0].Attributes {
		names = append(names, attribute.Name())
	}
	if all := strings.Join(names, " "); !strings.Contains(all, "nickName") || !strings.Contains(all, "ims") {
		t.Errorf("attributes %v", names)
	}
	if extends := mapping.Extends(a, b); !cmp.Equal(extends, map[string]directory.Type{acme: directory.User}) {
		t.Errorf("extends %v", extends)
	}
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  mapping.Config
		want string
	}{
		"no preset":           {mapping.Config{Preset: "octa"}, "m.preset: there is no preset octa; did you mean okta?"},
		"no such preset":      {mapping.Config{Preset: "onelogin"}, "m.preset: there is no preset onelogin; write one of entra-default, okta, sailpoint"},
		"no path":             {mapping.Config{Users: set("a[b", "1")}, `a[b: "a[b" is no attribute path; write name, name.sub, name[type eq "work"].value, or one of these behind the URN of an extension and a colon`},
		"core with a URN":     {mapping.Config{Users: set(mapping.UserSchema+":title", "1")}, mapping.UserSchema + ":title: attributes of the core schema have no URN before them; write title"},
		"no schema":           {mapping.Config{Users: set("urn:x:y", "1")}, "urn:x:y: there is no schema urn:x of a User; declare it under schemas, or use one of urn:ietf:params:scim:schemas:extension:enterprise:2.0:User, urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"},
		"a schema of a user":  {mapping.Config{Groups: set(mapping.EnterpriseUserSchema+":department", "1")}, mapping.EnterpriseUserSchema + ":department: there is no schema urn:ietf:params:scim:schemas:extension:enterprise:2.0:User of a Group; did you mean urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:Group?"},
		"no part":             {mapping.Config{Users: set("name.given", "1")}, "name.given: there is no sub-attribute given of name; use one of formatted, familyName, givenName, middleName, honorificPrefix, honorificSuffix"},
		"no parts":            {mapping.Config{Users: set("title.x", "1")}, "title.x: title has no sub-attributes; write title"},
		"id":                  {mapping.Config{Users: set("id", "user.mail")}, "id: id can't be mapped: the directory gives it its value; remove the line"},
		"members":             {mapping.Config{Groups: set("members", "1")}, "members: members can't be mapped: the directory gives it its value; remove the line"},
		"a type of a text":    {mapping.Config{Users: set(`title[type eq "x"].value`, "1")}, `title[type eq "x"].value: title has no sub-attributes; write title`},
		"twice":               {mapping.Config{Users: set("title", `"a"`, "title", `"b"`)}, "title: the path is there twice; keep one of the two"},
		"all and some":        {mapping.Config{Users: set("emails", "user.otherMails", `emails[type eq "home"].value`, "user.mail")}, `emails[type eq "home"].value: the rules for emails and emails[type eq "home"].value shut each other out: one of them gives all values; put the values of both into one list for emails, or remove one of the two`},
		"some and all":        {mapping.Config{Users: set(`emails[type eq "home"].value`, "user.mail", "emails", "user.otherMails")}, `emails: the rules for emails[type eq "home"].value and emails shut each other out: one of them gives all values; put the values of both into one list for emails, or remove one of the two`},
		"an attribute's name": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:" + strings.ToUpper(mapping.UserSchema[4:]) + ":USERNAME", Attributes: []mapping.Attribute{{Name: "a", Type: "string"}}}}}, ".urn: the URN is also the full name of the attribute userName of " + mapping.UserSchema + "; choose another"},
		"a part's name": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y:car.plate", Setting: "schemas[0]", Attributes: []mapping.Attribute{{Name: "a", Type: "string"}}}, {URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "car", Type: "string"}}}}},
			"schemas[0].urn: the URN is also the full name of the attribute car of urn:x:y; choose another"},
		"a primary address":   {mapping.Config{Users: set(`addresses[type eq "work" and primary eq true].country`, `"DE"`)}, `addresses[type eq "work" and primary eq true].country: addresses has no primary value; write addresses[type eq "work"].country`},
		"removed twice":       {mapping.Config{Users: mapping.Rules{Remove: []string{"title", "title"}}}, "m.remove[1]: title is not mapped; remove the line"},
		"a group's":           {mapping.Config{Groups: mapping.Rules{Remove: []string{"displayName"}}}, "m.groups.remove[0]: displayName can't be removed: SCIM requires it; remove the line"},
		"an unused extension": {mapping.Config{Users: mapping.Rules{Remove: []string{acme}}, Schemas: []mapping.Schema{acmeSchema()}}, "m.remove[0]: nothing of " + acme + " is mapped; remove the line"},
		"a schema twice":      {mapping.Config{Schemas: []mapping.Schema{acmeSchema(), acmeSchema()}}, "schemas[0].urn: the URN belongs to another schema of the file already; choose another"},
		"a setting's schema": {mapping.Config{Schemas: []mapping.Schema{
			{URN: "urn:x:y", Setting: "scim.source_attribute", Attributes: []mapping.Attribute{{Name: "a", Type: "string"}}},
			{URN: "urn:x:y", Setting: "schemas[0]", Attributes: []mapping.Attribute{{Name: "a", Type: "string"}}}}},
			"schemas[0].urn: the URN belongs to the schema of scim.source_attribute already; choose another"},
		"Microsoft's schema": {mapping.Config{Schemas: []mapping.Schema{{URN: mapping.EntraUserSchema, Attributes: []mapping.Attribute{{Name: "a", Type: "string"}}}}}, ".urn: the URN belongs to a schema of its own already; choose another"},
		"a part with parts": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "a", Type: "complex", SubAttributes: []mapping.Attribute{{Name: "b", Type: "complex"}}}}}}},
			".attributes[0].sub_attributes[0].type: a part of an attribute can't have parts itself; write another type (RFC 7643 §2.3.8)"},
		"an unknown type": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "a", Type: "strin"}}}}}, `.attributes[0].type: there is no type "strin"; did you mean string?`},
		"a reference":     {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "a", Type: "string", ReferenceTypes: []string{"User"}}}}}}, `.attributes[0].reference_types: only a reference leads somewhere; write type: reference, or remove them`},
		"an exact number": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "a", Type: "integer", CaseExact: true}}}}}, `.attributes[0]: case_exact and canonical_values are for strings; write type: string, or remove them`},
		"parts of a text": {mapping.Config{Schemas: []mapping.Schema{{URN: "urn:x:y", Attributes: []mapping.Attribute{{Name: "a", Type: "string", SubAttributes: []mapping.Attribute{{Name: "b", Type: "string"}}}}}}}, `.attributes[0].sub_attributes: only a complex attribute has parts; write type: complex, or remove them`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.BaseURL, tt.cfg.Setting = baseURL, "m"
			_, err := mapping.New(tt.cfg)
			var faults mapping.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got\n%s, want\n%s", err, tt.want)
			}
		})
	}
}

// TestRulesInAnyOrder has rules that stand beside each other: neither puts the
// other out of force because it comes later in the file.
func TestRulesInAnyOrder(t *testing.T) {
	const manager = mapping.EnterpriseUserSchema + ":manager."
	pairs := [][2]string{
		{`phoneNumbers[type eq "work"].value`, "user.businessPhones"},
		{`phoneNumbers[type eq "work" and primary eq true].value`, "user.mobilePhone"},
		{manager + "value", "user.manager.id"},
		{manager + "$ref", `"https://example.org/" + user.manager.id`},
	}
	in := mapping.Input{Object: []byte(`{"id":"a","userPrincipalName":"a@x.org","businessPhones":["1"],"mobilePhone":"2","manager":{"id":"m"}}`)}
	for _, order := range [][]int{{0, 1, 2, 3}, {1, 0, 3, 2}} {
		var rules []string
		for _, i := range order {
			rules = append(rules, pairs[i][:]...)
		}
		body, _, problems := mapUser(t, configured(t, set(rules...)), in)
		numbers := map[any]bool{}
		for _, p := range body["phoneNumbers"].([]any) {
			numbers[p.(map[string]any)["value"]] = p.(map[string]any)["primary"] == true
		}
		if want := (map[any]bool{"1": false, "2": true}); !cmp.Equal(numbers, want) {
			t.Errorf("%v: numbers by whether they are primary: %v, want %v", order, numbers, want)
		}
		want := map[string]any{"value": "m", "$ref": "https://example.org/m"}
		if got := body[mapping.EnterpriseUserSchema].(map[string]any)["manager"]; !cmp.Equal(got, want) || len(problems) > 0 {
			t.Errorf("%v: manager %v, want %v; problems %v", order, got, want, problems)
		}
	}
}

// TestOnePrimaryValue has rules that say which value is the primary one: it is
// that one, however many rows claim it or give the same value, and no other
// (RFC 7643 §2.4).
func TestOnePrimaryValue(t *testing.T) {
	const object = `{"id":"a","userPrincipalName":"a@x.org","mail":"w@x.org","otherMails":["h@x.org","i@x.org"],"businessPhones":["1"],"mobilePhone":"2"}`
	for _, tt := range []struct{ path, expression, attribute, want string }{
		{`emails[type eq "home" and primary eq true].value`, "user.otherMails", "emails", "h@x.org home primary, w@x.org work, i@x.org home"},
		{`emails[type eq "home" and primary eq true].value`, `"z@x.org"`, "emails", "z@x.org home primary, w@x.org work, h@x.org other, i@x.org other"},
		{`emails[type eq "home" and primary eq true].value`, `""`, "emails", "w@x.org work primary, h@x.org other, i@x.org other"},
		{`emails[type eq "home"].value`, "first(user.otherMails)", "emails", "w@x.org work primary, h@x.org home, i@x.org other"},
		{`emails[type eq "work" and primary eq true].value`, "user.otherMails", "emails", "h@x.org work primary, i@x.org work"},
		{`phoneNumbers[type eq "mobile" and primary eq true].value`, "user.mobilePhone", "phoneNumbers", "2 mobile primary, 1 work"},
		{`phoneNumbers[type eq "mobile" and primary eq true].value`, `"3"`, "phoneNumbers", "3 mobile primary, 1 work, 2 mobile"},
	} {
		body, _, _ := mapUser(t, configured(t, set(tt.path, tt.expression)), mapping.Input{Object: []byte(object)})
		var got []string
		for _, e := range body[tt.attribute].([]any) {
			m := e.(map[string]any)
			one := m["value"].(string) + " " + m["type"].(string)
			if m["primary"] == true {
				one += " primary"
			}
			got = append(got, one)
		}
		if all := strings.Join(got, ", "); all != tt.want {
			t.Errorf("%s: %s gives\n%s, want\n%s", tt.path, tt.expression, all, tt.want)
		}
	}
}

// TestPartsStandTogether gives parts of addresses in another order than the
// default mapping has them: one address for each type.
func TestPartsStandTogether(t *testing.T) {
	m := configured(t, set(`addresses[type eq "home"].country`, `"DE"`, `addresses[type eq "work"].formatted`, `"all"`, `addresses[type eq "home"].locality`, `"Bonn"`))
	body, _, _ := mapUser(t, m, mapping.Input{Object: []byte(`{"id":"a","userPrincipalName":"a@x.org","city":"X"}`)})
	want := []any{map[string]any{"type": "work", "locality": "X", "formatted": "all"}, map[string]any{"type": "home", "country": "DE", "locality": "Bonn"}}
	if diff := cmp.Diff(want, body["addresses"]); diff != "" {
		t.Error(diff)
	}
}

// TestTypesOfExpressions puts what an expression gives beside what an attribute
// takes.
func TestTypesOfExpressions(t *testing.T) {
	for _, tt := range []struct{ path, expression, want string }{
		{"title", "today", `the expression gives a date, and title is a text; write formatDate(…, "yyyy-MM-dd")`},
		{"title", "1", `the expression gives a whole number, and title is a text; write string(…)`},
		{"title", "user.otherMails", `the expression gives a list of texts, and title is a text; write first(…), or join(…, ", ")`},
		{"title", "user.employeeOrgData", `the expression gives a map, and title is a text; write an expression of that type`},
		{"title", "null", `the expression gives nothing, whoever it is; put the path under remove`},
		{"active", `"yes"`, `the expression gives a text, and active is true or false; write a condition, such as x == "yes"`},
		{"emails", "user.accountEnabled", `the expression gives true or false, and emails is a list of values with parts; write a list such as [{"value": …, "type": "work"}]`},
		{acme + ":aInteger", "1.5", "the expression gives a number, and aInteger is a whole number; write an expression of that type"},
		{acme + ":tags", "true", "the expression gives true or false, and tags is a list of them, each a text; write string(…)"},
	} {
		_, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: set(tt.path, tt.expression), Schemas: []mapping.Schema{acmeSchema()}})
		if want := tt.path + ":1:1: " + tt.want; err == nil || err.Error() != want {
			t.Errorf("got\n%v, want\n%s", err, want)
		}
	}
}

// TestUnknownParts names parts that values of an attribute do not have.
func TestUnknownParts(t *testing.T) {
	const known = "there are value, display, type, primary"
	for _, tt := range []struct{ path, expression, want string }{
		{"emails", `[{"valeu": user.mail}]`, "1:3: emails has no part valeu; did you mean value?"},
		{"emails", `[{"Value": user.mail}]`, "1:3: emails has no part Value; did you mean value?"},
		{"emails", `user.otherMails.map(m, {"value": m, "verified": true})`, "1:37: emails has no part verified; " + known},
		{"emails", `user.otherMails.filter(m, m != "").map(m, m == "x", {"verified": true})`, "1:54: emails has no part verified; " + known},
		{"emails", `has(user.mail) ? [{"value": user.mail}] : [{"verified": "x"}]`, "1:45: emails has no part verified; " + known},
		{"emails", `[{"value": user.mail}] + [{"verified": "x"}]`, "1:28: emails has no part verified; " + known},
		{"emails", `default([{"value": user.mail}], [{"verified": "x"}])`, "1:35: emails has no part verified; " + known},
		{"emails", `[{"value": user.mail, "type": "work", "primary": true}] + user.otherMails.map(m, {"value": {"a": m}["a"]})`, ""},
		{"emails", `[{"verified": user.mail}].exists(e, e.verified != "") ? user.otherMails : []`, ""},
		{"title", `{"verified": user.mail}["verified"]`, ""},
	} {
		_, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: set(tt.path, tt.expression)})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.expression, err)
		case tt.want != "" && (err == nil || err.Error() != tt.path+":"+tt.want):
			t.Errorf("%s: got\n%v, want\n%s", tt.expression, err, tt.want)
		}
	}
}

// TestWholeNumbersOfExtensions has numbers whose type only their JSON tells.
func TestWholeNumbersOfExtensions(t *testing.T) {
	const property = "extension_0123456789abcdef0123456789abcdef_n"
	m := configured(t, set(acme+":aInteger", "user."+property))
	for number, want := range map[string]string{"5": `{"aInteger":5}`, "5.0": `{"aInteger":5}`, "-2e3": `{"aInteger":-2000}`, "5.5": `null`, "1e300": `null`, "1e400": `null`} {
		body, _, problems := mapUser(t, m, mapping.Input{Object: []byte(`{"id":"a","userPrincipalName":"a@x.org","` + property + `":` + number + `}`)})
		if got := mustJSON(t, body[acme]); got != want || (len(problems) > 0) != (want == "null") {
			t.Errorf("%s gives %s, want %s; problems %v", number, got, want, problems)
		}
	}
}
