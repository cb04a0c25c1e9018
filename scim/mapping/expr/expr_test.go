package expr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/mapping/expr"

	"github.com/google/go-cmp/cmp"
)

// now is when the tests evaluate.
var now = time.Date(2026, 11, 26, 15, 4, 5, 0, time.UTC)

// ada is a user with everything.
const ada = `{
	"id":"11111111-2222-3333-4444-555555555555","accountEnabled":true,"displayName":"Ada Lovelace",
	"givenName":"Ada","surname":"Lovelace","jobTitle":null,"department":"","companyName":"Analytical\u0020Engines",
	"userPrincipalName":"Ada.Lovelace@Example.org","mail":"ada@example.org","businessPhones":["+44 1"],"otherMails":[],
	"proxyAddresses":["smtp:ada@old.example.org","SMTP:ada@example.org","SIP:ada@example.org"],
	"employeeHireDate":"2026-12-01T00:00:00Z","createdDateTime":"2020-02-29T12:00:00.1234567Z",
	"employeeOrgData":{"costCenter":"1815","division":null},
	"onPremisesExtensionAttributes":{"extensionAttribute1":"x1","extensionAttribute15":"x15"},
	"extension_0123456789abcdef0123456789abcdef_badge":4711,
	"extension_0123456789abcdef0123456789abcdef_tags":["a","b"],
	"extension_0123456789abcdef0123456789abcdef_vip":true,
	"ext1a2b3c4d_course":{"name":"Mathematics","credits":30,"empty":""},
	"customSecurityAttributes":{"Engineering":{"@odata.type":"#x","Project":["Baker","Cascade"],"Level":3}},
	"signInActivity":{"lastSignInDateTime":"2026-11-01T00:00:00Z"},
	"assignedLicenses":[{"skuId":"05e9a617-0261-4cee-bb44-138d3ef5d965","disabledPlans":[]},{"skuId":"b","disabledPlans":["p"]}],
	"manager":{"id":"99999999-2222-3333-4444-555555555555"}}`

func newEnv(t testing.TB, kind expr.Kind) *expr.Env {
	t.Helper()
	env, err := expr.NewEnv(expr.Config{Object: kind, Tables: map[string]map[string]string{
		"regions": {"DE": "EMEA", "US": "AMER", "": "nowhere"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// eval gives the value of an expression for an object.
func eval(t testing.TB, env *expr.Env, source, object string) (any, error) {
	t.Helper()
	p, err := env.Compile(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	o, err := env.Object([]byte(object), now)
	if err != nil {
		t.Fatal(err)
	}
	return p.Eval(o)
}

// TestEveryFunction evaluates the examples of the document, written both ways.
func TestEveryFunction(t *testing.T) {
	env := newEnv(t, expr.User)
	for _, f := range expr.Functions() {
		if f.Example == "" {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			got, err := eval(t, env, f.Example, `{"id":"1"}`)
			want, _ := eval(t, env, f.Gives, `{"id":"1"}`)
			if err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s is %v, %v, want %v", f.Example, got, err, want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		source string
		want   any
	}{
		// Every type of property, with a value.
		{`user.displayName`, "Ada Lovelace"},
		{`user.companyName`, "Analytical Engines"},
		{`user.accountEnabled`, true},
		{`user.businessPhones`, []any{"+44 1"}},
		{`user.createdDateTime`, time.Date(2020, 2, 29, 12, 0, 0, 123456700, time.UTC)},
		{`user.employeeOrgData.costCenter`, "1815"},
		{`user.onPremisesExtensionAttributes.extensionAttribute15`, "x15"},
		{`user.extension_0123456789abcdef0123456789abcdef_badge`, int64(4711)},
		{`user.extension_0123456789abcdef0123456789abcdef_tags`, []any{"a", "b"}},
		{`user.extension_0123456789abcdef0123456789abcdef_vip`, true},
		{`user.extension_0123456789abcdef0123456789abcdef_vip == true`, true},
		{`user.ext1a2b3c4d_course.name`, "Mathematics"},
		{`user.ext1a2b3c4d_course`, map[string]any{"name": "Mathematics", "credits": int64(30)}},
		{`user.customSecurityAttributes.Engineering.Project`, []any{"Baker", "Cascade"}},
		{`user.customSecurityAttributes.Engineering.Level + 1`, int64(4)},
		{`user.signInActivity.lastSignInDateTime < today`, true},
		{`user.assignedLicenses.map(l, l.skuId)`, []any{"05e9a617-0261-4cee-bb44-138d3ef5d965", "b"}},
		{`user.assignedLicenses.exists(l, "p" in l.disabledPlans)`, true},
		{`user.manager.id`, "99999999-2222-3333-4444-555555555555"},
		{`[{"value": user.mail, "type": "work", "primary": true}]`, []any{map[string]any{"value": "ada@example.org", "type": "work", "primary": true}}},
		// null, "", [] and absence are one.
		{`user.jobTitle`, ""}, {`user.department`, ""}, {`user.city`, ""},
		{`user.jobTitle == user.city`, true},
		{`has(user.jobTitle) || has(user.department) || has(user.city) || has(user.otherMails)`, false},
		{`has(user.displayName) && has(user.employeeOrgData) && has(user.employeeOrgData.costCenter)`, true},
		{`has(user.employeeOrgData.division)`, false},
		{`user.otherMails`, []any{}},
		{`user.imAddresses`, []any{}},
		{`user.onPremisesSyncEnabled`, false},
		{`has(user.onPremisesSyncEnabled)`, false},
		{`user.employeeLeaveDateTime < date("0001-01-02")`, true},
		{`formatDate(user.employeeLeaveDateTime, "yyyy")`, ""},
		{`user.extension_0123456789abcdef0123456789abcdef_none`, ""},
		{`user.extension_0123456789abcdef0123456789abcdef_none == true`, false},
		{`user.ext1a2b3c4d_other.name`, ""},
		{`has(user.ext1a2b3c4d_course.empty)`, false},
		{`user.customSecurityAttributes.Sales.Region`, ""},
		{`has(user.customSecurityAttributes.Sales.Region)`, false},
		{`size(user.assignedPlans)`, int64(0)},
		// default and coalesce.
		{`default(user.jobTitle, "none")`, "none"},
		{`default(user.accountEnabled, false)`, true},
		{`default(user.onPremisesSyncEnabled, true)`, true},
		{`default(user.employeeOrgData.division, user.employeeOrgData.costCenter)`, "1815"},
		{`default(lower(user.jobTitle), "none")`, "none"},
		{`default(user.otherMails, ["x@y.z"])`, []any{"x@y.z"}},
		{`default(date(user.city), today)`, expr.Day(now)},
		{`coalesce(user.jobTitle, user.city, user.mail, user.displayName)`, "ada@example.org"},
		{`coalesce(user.jobTitle)`, ""},
		{`default(user.extension_0123456789abcdef0123456789abcdef_none, "n")`, "n"},
		// The usual work.
		{`user.userPrincipalName.lower().localPart()`, "ada.lovelace"},
		{`domain(user.userPrincipalName) in ["example.org", "Example.org"]`, true},
		{`domain("x")`, ""}, {`localPart("x")`, "x"},
		{`user.mail.endsWith("@example.org") && user.mail.startsWith("ada") && user.mail.contains("@")`, true},
		{`user.mail.matches("^a.*g$")`, true},
		{`matches(user.mail, r"^\w+@")`, true},
		{`lookup("regions", "DE")`, "EMEA"},
		{`lookup("regions", user.country)`, "nowhere"},
		{`lookup("regions", "FR")`, ""},
		{`lookup("regions", "FR", "other")`, "other"},
		{`lookup("regions", "US", "other")`, "AMER"},
		{`user.proxyAddresses.smtp()`, []any{"ada@example.org", "ada@old.example.org"}},
		{`first(user.otherMails)`, ""},
		{`user.surname + ", " + user.givenName`, "Lovelace, Ada"},
		{`[user.givenName, user.jobTitle, user.surname].join(" ")`, "Ada Lovelace"},
		{`split("", ",")`, []any{}},
		{`regexReplace("a1b22", "[0-9]+", "<$0>")`, "a<1>b<22>"},
		{`regexReplace("john", "(j)(o)", "$2x$1y")`, "oxjyhn"},
		{`regexExtract("abc", "b")`, "b"}, {`regexExtract("abc", "z")`, ""}, {`regexExtract("abc", "(z)?b")`, ""},
		{`substring("äöü", 1)`, "öü"}, {`substring("abc", 5)`, ""}, {`substring("abc", 2, 1)`, ""}, {`substring("abc", -1, 2)`, "ab"},
		{`padLeft("12345", 3, "0")`, "12345"}, {`padLeft("ä", 3, "xy")`, "xyä"},
		{`ascii("Ærøskøbing – São Paulo 東京")`, "AEroskobing - Sao Paulo "},
		{`title("o'neil mcDONALD")`, "O'neil Mcdonald"},
		{`routable("ada_x.org#EXT#@contoso.com")`, false}, {`routable("ada@example.org")`, true}, {`routable("ada")`, false},
		{`replace("aaa", "", "b")`, "aaa"},
		// Dates.
		{`user.employeeHireDate > today`, true},
		{`user.employeeHireDate <= today + duration("120h")`, true},
		{`user.employeeHireDate.getFullYear()`, int64(2026)},
		{`string(user.employeeHireDate)`, "2026-12-01T00:00:00Z"},
		{`string(user.employeeLeaveDateTime)`, ""}, {`string(date(user.city)) + "x"`, "x"},
		{`today`, time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)},
		{`formatDate(user.createdDateTime, "yyyy-MM-ddTHH:mm:ssZ")`, "2020-02-29T12:00:00Z"},
		{`formatDate(date("2026-01-02T03:04:05+01:00"), "d.M.yy HH:mm:ss")`, "2.1.26 02:04:05"},
		{`date("2026-01-02T03:04:05")`, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{`null`, nil}, {`1.5`, 1.5}, {`user.accountEnabled ? "A" : "B"`, "A"},
	} {
		t.Run(tt.source, func(t *testing.T) {
			got, err := eval(t, newEnv(t, expr.User), tt.source, ada)
			if err != nil || !cmp.Equal(got, tt.want) {
				t.Errorf("it is %#v, %v, want %#v", got, err, tt.want)
			}
		})
	}
}

// TestBadValues meets values of another kind than Microsoft documents.
func TestBadValues(t *testing.T) {
	const object = `{"id":"1","displayName":7,"accountEnabled":"yes","businessPhones":"x","otherMails":[1],"employeeHireDate":"soon",
		"employeeOrgData":[1],"createdDateTime":5,"extension_0123456789abcdef0123456789abcdef_a":"x","assignedLicenses":["x"],"city":"a\ud800b","state":"a` + "\xff" + `b"}`
	for _, tt := range []struct {
		source, want string
	}{
		{`user.displayName`, "user.displayName is a number, not a string"},
		{`lower(user.displayName)`, "user.displayName is a number, not a string"},
		{`user.accountEnabled`, "user.accountEnabled is a string, not a boolean"},
		{`user.businessPhones`, "user.businessPhones is a string, not an array"},
		{`user.otherMails`, "user.otherMails has an element that is a number, not a string"},
		{`user.employeeHireDate`, "user.employeeHireDate is not a date and time in the form of RFC 3339"},
		{`user.createdDateTime`, "user.createdDateTime is a number, not a string"},
		{`user.employeeOrgData.division`, "user.employeeOrgData is an array, not an object"},
		{`user.assignedLicenses`, "user.assignedLicenses has an element that is a string, not an object"},
		{`user.extension_0123456789abcdef0123456789abcdef_a > 3`, "a value is of another type than the expression takes"},
		{`date("soon")`, "a text is no date of the form 2026-11-26 or of RFC 3339"},
		{`split("a", user.jobTitle)`, "split needs a separator"},
		{`date("2026-01-01") - date("2025-01-01") == duration("1h") ? "a" : "b"`, ""},
		{`["a"][3]`, "a list is shorter than the expression takes it for"},
		{`{"a": "b"}[user.state]`, "a map does not have the key"},
		{`int(user.state)`, "a value can't be turned into the other type"},
		{`timestamp(user.state)`, "a text is no date in the form of RFC 3339"},
		{`1 / size(user.companyName)`, "it divides by zero"},
		{`today.getHours(user.state)`, "it can't be evaluated"},
		{`b"x"`, "the value is bytes, which no attribute can have"},
		{`{1: "x"}`, "the value has a map whose keys are no texts"},
	} {
		got, err := eval(t, newEnv(t, expr.User), tt.source, object)
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || err.Error() != tt.want):
			t.Errorf("%s is %v with error %v, want error %q", tt.source, got, err, tt.want)
		}
	}
	for source, want := range map[string]string{`user.city`: "a\uFFFDb", `user.state`: "a\uFFFDb"} {
		if got, err := eval(t, newEnv(t, expr.User), source, object); got != want {
			t.Errorf("%s is %q, %v", source, got, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		source, want string
	}{
		{``, "1:1: the expression is empty; write one such as user.displayName"},
		{`user.departmnt`, "1:6: there is no property departmnt of user; did you mean department?"},
		{`lower(user.Mail)`, "1:12: there is no property Mail of user; did you mean mail?"},
		{"user.mail +\n  user.upn", "2:8: there is no property upn of user; see docs/mapping.md for what an expression can read"},
		{`user.costCenter`, "1:6: there is no property costCenter of user; see docs/mapping.md for what an expression can read"},
		{`user.employeeOrgData.costCentre`, "1:22: there is no property costCentre of user.employeeOrgData; did you mean costCenter?"},
		{`user.employeeOrgData.department`, "1:22: there is no property department of user.employeeOrgData; did you mean user.department?"},
		{`user.memberOf.exists(g, g == "x")`, "1:6: user.memberOf is no property but a relationship, which expressions can't read; for membership in groups use member_of of the scope"},
		{`user.skills`, "1:6: user.skills is kept outside of the directory, and Graph refuses to read it along with the others; use another property"},
		{`user.assignedLicenses.map(l, l.sku)`, "1:31: there is no property sku; see docs/mapping.md for what an expression can read"},
		{`user`, "1:1: user alone is no value; name a property, such as user.displayName"},
		{`size(user.mail) == user`, "1:20: user alone is no value; name a property, such as user.displayName"},
		{`group.displayName`, "1:1: the expression is about a user, and speaks of a group; write user in place of group"},
		{`department`, "1:1: department is neither a variable nor a function; did you mean user.department?"},
		{`lowercase(user.mail)`, "1:10: lowercase is neither a variable nor a function; write a property as user.NAME, and a text in quotes"},
		{`regexreplace(user.mail, "a", "b")`, "1:13: regexreplace is neither a variable nor a function; did you mean regexReplace?"},
		{`user.city ? "a" : "b"`, `1:11: ? : can't be applied to (text, text, text); write condition ? a : b, such as has(x) ? x : "none", with a and b of one type`},
		{`user.customSecurityAttributes["Eng"]`, "1:30: [ ] can't be applied to (customSecurityAttributes, text); write .NAME for a part of a property; brackets take the place in a list, from 0"},
		{`lower(user.accountEnabled)`, "1:6: lower can't be applied to (true-or-false); write lower(text)"},
		{`user.employeeHireDate > "2026-01-01"`, "1:23: > can't be applied to (date, text); compare and combine values of one type; default(x, y) gives a value where there is none"},
		{`user.mail == `, "1:14: this is no expression: mismatched input its end; check quotes, brackets and operators around this place"},
		{`user.department eq "Sales"`, "1:17: this is no expression: mismatched input 'eq'; write == in place of eq"},
		{`user.department = "Sales"`, "1:17: this is no expression: token recognition error at: '= '; write == for equal"},
		{`user.mail == "x" and true`, "1:18: this is no expression: mismatched input 'and'; write && in place of and"},
		{`user.mail == "x`, "1:14: this is no expression: token recognition error at: '\"x'; check quotes, brackets and operators around this place"},
		{`matches(user.mail, user.city)`, "1:24: the pattern of matches has to be a text in quotes; write it out"},
		{`user.mail.matches("(")`, "1:19: this is no regular expression: missing closing ): `(`; see github.com/google/re2/wiki/Syntax; a backslash is written twice, or put r before the quotes"},
		{`user.mail.regexReplace("[", "")`, "1:24: this is no regular expression: missing closing ]: `[`; see github.com/google/re2/wiki/Syntax; a backslash is written twice, or put r before the quotes"},
		{`split(user.mail, "")`, "1:18: split needs a separator; write one such as ';'"},
		{`user.mail.split("")`, "1:17: split needs a separator; write one such as ';'"},
		{`lookup("region", user.country)`, "1:8: there is no lookup table region; did you mean regions?"},
		{`lookup("costs", user.country)`, "1:8: there is no lookup table costs; add it to tables in the file; there are regions"},
		{`formatDate(today, "DD.MM")`, "1:19: the layout has a D, which stands for nothing; write yyyy, yy, MM, M, dd, d, HH, mm, ss and what is no letter (T and Z are themselves)"},
		{`[[[["a"].map(x, x)[0]].map(x, x)[0]].map(x, x)[0]].map(x, x)`, "1:13: loops (map, filter, exists, all) are nested too deeply; nest at most three"},
		{strings.Repeat("!(", 200) + "true" + strings.Repeat(")", 200), "1:1: the expression is nested too deeply, or too long; take it apart, or use a lookup table"},
		{`user.mail == "` + strings.Repeat("a", expr.MaxSource) + `"`, "1:1: the expression is nested too deeply, or too long; take it apart, or use a lookup table"},
		{`graph.user{}`, "1:11: an object can't be made in an expression; write a map such as {'value': x}"},
		{`["a"].map(user, true)`, "1:10: the variable of a loop can't be called user; call it x"},
		{`timestamp("soon")`, "1:11: invalid date argument; see docs/mapping.md for the types and functions"},
		{`user.mail.matches("` + strings.Repeat("a", 2000) + `")`, "1:19: the pattern is longer than 1024 bytes; write a shorter one"},
	} {
		t.Run(tt.source, func(t *testing.T) {
			p, err := newEnv(t, expr.User).Compile(tt.source)
			var faults expr.Errors
			if !errors.As(err, &faults) || p != nil {
				t.Fatalf("it is taken: %v", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestProperties(t *testing.T) {
	for source, want := range map[string][]string{
		`"x"`:       nil,
		`user.mail`: {"mail"},
		`default(user.employeeOrgData.costCenter, user.mail)`:                            {"employeeOrgData", "mail"},
		`has(user.city) || user.otherMails.exists(m, m == user.mail)`:                    {"city", "mail", "otherMails"},
		`user.extension_0123456789abcdef0123456789abcdef_a == user.ext1a2b3c4d_course.b`: {"ext1a2b3c4d_course", "extension_0123456789abcdef0123456789abcdef_a"},
	} {
		p, err := newEnv(t, expr.User).Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Properties()); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
		if p.UsesToday() {
			t.Errorf("%s uses today", source)
		}
	}
	p, err := newEnv(t, expr.Group).Compile(`group.renewedDateTime < today`)
	if err != nil || !p.UsesToday() || p.Type() != expr.Bool {
		t.Errorf("today: %v, %v", p, err)
	}
}

func TestTypes(t *testing.T) {
	for source, want := range map[string]expr.Type{
		`user.mail`: expr.Text, `user.accountEnabled`: expr.Bool, `user.otherMails`: expr.Texts,
		`size(user.mail)`: expr.Int, `1.0`: expr.Double, `today`: expr.Date, `null`: expr.Null,
		`user.assignedLicenses`: expr.List, `user.employeeOrgData`: expr.Map, `{"a": "b"}`: expr.Map,
		`user.extension_0123456789abcdef0123456789abcdef_a`: expr.Any, `today - today`: expr.Other,
		`default(user.mail, "x")`: expr.Text, `coalesce(user.mail, user.city, "x")`: expr.Text,
		`[user.mail, "b"]`: expr.Texts, `user.otherMails.filter(m, m != user.mail)`: expr.Texts,
		`[{"value": user.mail, "primary": true}]`: expr.List,
	} {
		p, err := newEnv(t, expr.User).Compile(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if p.Type() != want {
			t.Errorf("%s is %v, want %v", source, p.Type(), want)
		}
	}
}

// TestSilly evaluates what would take for ever, or fill the memory.
func TestSilly(t *testing.T) {
	var many []string
	for range 1000 {
		many = append(many, strings.Repeat("a", 100))
	}
	list, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	object := `{"id":"1","mail":"` + strings.Repeat("a", 10_000) + `","proxyAddresses":` + string(list) + `}`
	grown := "user.mail"
	for range 30 {
		grown = `replace(` + grown + `, "a", "aaaaaaaaaa")`
	}
	for source, want := range map[string]string{
		`user.proxyAddresses.all(a, user.proxyAddresses.all(b, user.proxyAddresses.all(c, a == b || b == c || a == c)))`: "the expression takes too long: it has a loop over too many values",
		"user.mail" + strings.Repeat(" + user.mail", 6):                                                                  "a text becomes longer than 65536 bytes",
		grown: "a text becomes longer than 65536 bytes",
		`user.proxyAddresses.map(x, user.proxyAddresses.map(y, x + y))`: "the expression takes too long: it has a loop over too many values",
		`join(user.proxyAddresses, "")`:                                 "a text becomes longer than 65536 bytes",
		`regexReplace(user.mail, "a", "$0$0$0$0$0$0$0$0$0$0")`:          "a text becomes longer than 65536 bytes",
	} {
		got, err := eval(t, newEnv(t, expr.User), source, object)
		if err == nil || err.Error() != want {
			t.Errorf("%.60s… gives %.60v, %v, want %s", source, got, err, want)
		}
	}
}

func TestObject(t *testing.T) {
	env := newEnv(t, expr.User)
	for _, bad := range []string{``, `null`, `[]`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `"x"`, `{"a":"}`, `{"a":[1}`} {
		if _, err := env.Object([]byte(bad), now); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for object, want := range map[string]any{
		`{}`: "", ` { "mail" : "x" } `: "x", `{"a":{"mail":"y"},"mail":"x","b":["}"]}`: "x",
		`{"mail":"x","mail":"y"}`: "y", `{"\u006dail":"x"}`: "x", `{"b":"\\\"","mail":"x"}`: "x",
	} {
		if got, err := eval(t, env, "user.mail", object); got != want || err != nil {
			t.Errorf("%s: %v, %v", object, got, err)
		}
	}
}

// TestDocumented looks up every property, and evaluates it for a user and a
// group of whom nothing is known.
func TestDocumented(t *testing.T) {
	for _, kind := range []expr.Kind{expr.User, expr.Group} {
		env := newEnv(t, kind)
		for _, p := range expr.Properties(kind) {
			if found, ok := expr.Lookup(kind, p.Name); !ok || found != p {
				t.Errorf("%s: %v, %v", p.Name, found, ok)
			}
			if _, err := eval(t, env, kind.String()+"."+p.Name, `{"id":"1"}`); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	if p, ok := expr.Lookup(expr.User, "signInActivity"); !ok || !p.Aside || p.Permission != "AuditLog.Read.All" {
		t.Errorf("signInActivity: %v", p)
	}
	if _, ok := expr.Lookup(expr.User, "nonsense"); ok {
		t.Error("nonsense is found")
	}
}

func FuzzCompile(f *testing.F) {
	for _, fn := range expr.Functions() {
		f.Add(fn.Example)
	}
	f.Add(`user.otherMails.map(m, {"value": m, "type": "other"})`)
	f.Add(`user.departmnt + "\u00e4" == r'x' ? [1, 2][0] : user.x{a: 1}`)
	env := newEnv(f, expr.User)
	f.Fuzz(func(t *testing.T, source string) {
		p, err := env.Compile(source)
		var faults expr.Errors
		switch {
		case err == nil:
			o, err := env.Object([]byte(ada), now)
			if err != nil {
				t.Fatal(err)
			}
			first, err1 := p.Eval(o)
			again, err2 := p.Eval(o)
			if (err1 == nil) != (err2 == nil) || !cmp.Equal(first, again) {
				t.Errorf("%q is %v, %v and then %v, %v", source, first, err1, again, err2)
			}
		case !errors.As(err, &faults) || len(faults) == 0:
			t.Errorf("%q: %v", source, err)
		default:
			for _, e := range faults {
				if e.Line < 1 || e.Column < 1 || e.Message == "" || e.Mend == "" {
					t.Errorf("%q: %#v", source, e)
				}
			}
		}
	})
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(ada))
	f.Add([]byte(`{"mail":"x","mail":null}`))
	env := newEnv(f, expr.User)
	p, err := env.Compile(`[user.mail, user.employeeOrgData.costCenter] + user.otherMails`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		o, err := env.Object(object, now)
		if err != nil {
			if json.Valid(object) && len(object) > 0 && strings.HasPrefix(strings.TrimSpace(string(object)), "{") {
				t.Errorf("%s: %v", object, err)
			}
			return
		}
		p.Eval(o) //nolint:errcheck // must not panic, that is all
	})
}

func BenchmarkEval(b *testing.B) {
	env := newEnv(b, expr.User)
	for name, source := range map[string]string{
		"property": `user.mail`, "coalesce": `coalesce(user.jobTitle, user.mail)`,
		"usual": `lower(user.userPrincipalName).localPart() + "@example.com"`,
		"loop":  `user.proxyAddresses.filter(a, a.startsWith("smtp:"))`,
	} {
		p, err := env.Compile(source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			o, err := env.Object([]byte(ada), now)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := p.Eval(o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("object", func(b *testing.B) {
		b.ReportAllocs()
		o, err := env.Object([]byte(ada), now)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := env.Reset(o, []byte(ada), now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
