package expr_test

import (
	"strings"
	"testing"

	"scimbridge/scim/mapping/expr"
)

func TestConditionsAreTrueOrFalseAndToldByDeltas(t *testing.T) {
	for _, c := range []struct {
		kind         expr.Kind
		source, want string // what the error says; "": there is none
	}{
		{expr.User, `user.department != "Test" && user.accountEnabled`, ""},
		{expr.User, `user.employeeHireDate < today`, ""},
		{expr.Group, `group.securityEnabled`, ""},
		{expr.User, `user.department`, "not true or false"},
		{expr.User, `user.departmnt == "x"`, "department"},
		{expr.Group, `user.department == "x"`, "about a group"},
		{expr.User, `user.signInActivity.lastSignInDateTime < today`, "not brought by delta queries"},
	} {
		env, err := expr.NewEnv(expr.Config{Object: c.kind})
		if err != nil {
			t.Fatal(err)
		}
		_, err = env.Condition(c.source)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.source, err, c.want)
		}
	}
}
