package expr_test

import (
	"os"
	"regexp"
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

// The examples of docs/scope.md are conditions.
func TestExamplesOfTheScopeCompile(t *testing.T) {
	text, err := os.ReadFile("../../../docs/scope.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?m)^\\| `((?:has\\()?(user|group)\\.[^`]+)` \\|").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 7 {
		t.Fatalf("only %d examples were found", len(examples))
	}
	for _, m := range examples {
		kind := expr.User
		if m[2] == "group" {
			kind = expr.Group
		}
		env, err := expr.NewEnv(expr.Config{Object: kind})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := env.Condition(strings.ReplaceAll(m[1], `\|`, "|")); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}
