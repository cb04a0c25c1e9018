package expr_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/mapping/expr"
)

func TestTerms(t *testing.T) {
	one := func(name string, values ...string) []expr.Term { return []expr.Term{{Property: name, Values: values}} }
	for source, want := range map[string][]expr.Term{
		`user.department == "Eng"`:                 one("department", "Eng"),
		`"Eng" == user.department`:                 one("department", "Eng"),
		`user.department in ["Eng", "R&D"]`:        one("department", "Eng", "R&D"),
		`user.onPremisesSyncEnabled`:               one("onPremisesSyncEnabled"),
		`user.accountEnabled == true`:              one("accountEnabled"),
		`user.userPrincipalName.startsWith("eu-")`: {{Property: "userPrincipalName", Values: []string{"eu-"}, Prefix: true}},
		`user.department == "A" && has(user.mail)`: one("department", "A"),
		`(user.country == "DE" && user.city == "Bonn") && user.accountEnabled`: {
			{Property: "country", Values: []string{"DE"}}, {Property: "city", Values: []string{"Bonn"}}, {Property: "accountEnabled"},
		},
		// Absent properties meet these.
		`user.department == ""`: nil, `user.department in ["", "A"]`: nil, `user.accountEnabled == false`: nil, `!user.accountEnabled`: nil,
		`user.department != "A"`: nil, `user.department.startsWith("")`: nil,
		// These need an advanced query, or Graph can't compare so.
		`user.companyName == "A"`: nil, `user.jobTitle.startsWith("A")`: nil, `user.mail.endsWith("@x.example")`: nil, `user.mail.matches("^a")`: nil,
		`user.onPremisesExtensionAttributes.extensionAttribute1 == "x"`: nil, `has(user.department)`: nil,
		// Nobody has to meet one side of an "or", or what is made of a property.
		`user.department == "A" || user.department == "B"`: nil, `lower(user.department) == "a"`: nil, `user.department == user.city`: nil,
		`user.department in ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16"]`: nil,
	} {
		env, err := expr.NewEnv(expr.Config{Object: expr.User})
		if err != nil {
			t.Fatal(err)
		}
		p, err := env.Condition(source)
		if err != nil {
			t.Fatal(source, err)
		}
		if diff := cmp.Diff(want, p.Terms()); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
}
