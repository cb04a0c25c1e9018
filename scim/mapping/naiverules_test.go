package mapping_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	gocmp "github.com/google/go-cmp/cmp"
)

// errFails is how a naive rule says that there is no value to be had.
var errFails = errors.New("fails")

// A naiveRule is a rule, and the same in Go over the decoded object.
type naiveRule struct {
	path, expression string
	value            func(source) (any, error)
}

// source is a decoded object.
type source map[string]any

// text gives a property that is a text: "" where it says nothing.
func (s source) text(name string) (string, error) {
	v := s[name]
	if empty(v) {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", errFails
	}
	return text, nil
}

// texts gives a property that is a list of texts, without those that say nothing.
func (s source) texts(name string) ([]string, error) {
	if empty(s[name]) {
		return nil, nil
	}
	list, ok := s[name].([]any)
	if !ok {
		return nil, errFails
	}
	var all []string
	for _, e := range list {
		if empty(e) {
			continue
		}
		text, ok := e.(string)
		if !ok {
			return nil, errFails
		}
		all = append(all, text)
	}
	return all, nil
}

// naiveRules are the rules of the property test, one for each way of reading.
func naiveRules() []naiveRule {
	text := func(name string, f func(string) any) func(source) (any, error) {
		return func(s source) (any, error) {
			v, err := s.text(name)
			if err != nil {
				return nil, err
			}
			return f(v), nil
		}
	}
	return []naiveRule{
		{"nickName", `lower(user.displayName)`, text("displayName", func(s string) any { return strings.ToLower(s) })},
		{"title", `coalesce(user.jobTitle, user.department, "none")`, func(s source) (any, error) {
			title, err := s.text("jobTitle")
			if err != nil || title != "" {
				return title, err
			}
			department, err := s.text("department")
			return cmp.Or(department, "none"), err
		}},
		{"externalId", `default(user.employeeId, user.id)`, func(s source) (any, error) {
			id, err := s.text("employeeId")
			return cmp.Or(id, s["id"].(string)), err
		}},
		{"locale", `lookup("countries", user.country, "?")`, text("country", func(s string) any {
			if s == "é" {
				return "found"
			}
			return "?"
		})},
		{"timezone", `user.employeeOrgData.costCenter + "/" + user.city`, func(s source) (any, error) {
			inner, ok := s["employeeOrgData"].(map[string]any)
			if !ok && !empty(s["employeeOrgData"]) {
				return nil, errFails
			}
			center, err := source(inner).text("costCenter")
			if err != nil {
				return nil, err
			}
			city, err := s.text("city")
			return center + "/" + city, err
		}},
		{"preferredLanguage", `has(user.surname) && user.givenName != "" ? "both" : ""`, func(s source) (any, error) {
			if empty(s["surname"]) {
				return "", nil
			}
			given, err := s.text("givenName")
			if given == "" {
				return "", err
			}
			return "both", err
		}},
		{"active", `user.accountEnabled || !has(user.accountEnabled)`, func(s source) (any, error) {
			switch v := s["accountEnabled"].(type) {
			case bool:
				return v, nil
			default:
				if empty(v) {
					return true, nil
				}
				return nil, errFails
			}
		}},
		{acme + ":tags", `user.otherMails.filter(m, m.contains("@")).map(m, upper(m))`, func(s source) (any, error) {
			list, err := s.texts("otherMails")
			var tags []any
			for _, m := range list {
				if strings.Contains(m, "@") {
					tags = append(tags, strings.ToUpper(m))
				}
			}
			return tags, err
		}},
		{acme + ":aInteger", `size(user.businessPhones)`, func(s source) (any, error) {
			list, err := s.texts("businessPhones")
			return json.Number(strings.Repeat("1", min(len(list), 1)) + strings.Repeat("0", 1-min(len(list), 1))), errors.Join(err, tooMany(list))
		}},
		{acme + ":aDateTime", `user.createdDateTime`, func(s source) (any, error) {
			text, err := s.text("createdDateTime")
			if err != nil || text == "" {
				return "", err
			}
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return nil, errFails
			}
			if at.UTC().IsZero() {
				return "", nil
			}
			return at.UTC().Format(time.RFC3339Nano), nil
		}},
	}
}

// errSkip leaves an object out of the comparison of one rule.
var errSkip = errors.New("skip")

// tooMany keeps the comparison of numbers simple.
func tooMany(list []string) error {
	if len(list) > 1 {
		return errSkip
	}
	return nil
}

// TestRandomObjectsAgreeWithTheRules maps random objects, good and bad, by rules
// and compares with the same rules written in Go.
func TestRandomObjectsAgreeWithTheRules(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	rules := mapping.Rules{}
	for _, r := range naiveRules() {
		rules.Set = append(rules.Set, mapping.Rule{Path: r.path, Expression: r.expression, Setting: r.path})
	}
	m, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: rules, Schemas: []mapping.Schema{acmeSchema()},
		Tables: map[string]map[string]string{"countries": {"é": "found"}}})
	if err != nil {
		t.Fatal(err)
	}
	mk := newMaker(directory.User, seed)
	compared := 0
	for range 3000 {
		object := []byte(mk.object(60))
		object = append([]byte(`{"id":"1",`), object[1:]...)
		if strings.HasSuffix(string(object), ",}") {
			object = []byte(`{"id":"1"}`)
		}
		decoded, err := decode(object)
		if err != nil || decoded["id"] != "1" {
			continue
		}
		compared += compareRules(t, m, object, decoded)
		if t.Failed() {
			return
		}
	}
	if compared < 10_000 {
		t.Errorf("only %d values were compared", compared)
	}
}

// compareRules compares what the rules give for one object.
func compareRules(t *testing.T, m *mapping.Mapper, object []byte, decoded source) (compared int) {
	t.Helper()
	body, rec, problems := mapUser(t, m, mapping.Input{Object: object})
	checkSchemas(t, m, directory.User, rec)
	failed := map[string]bool{}
	for _, p := range problems {
		failed[p.Path] = true
	}
	for _, r := range naiveRules() {
		want, err := r.value(decoded)
		if errors.Is(err, errSkip) {
			continue
		}
		compared++
		at, name := body, r.path
		if strings.HasPrefix(name, acme) {
			at, _ = body[acme].(map[string]any)
			name = strings.TrimPrefix(name, acme+":")
		}
		got := at[name]
		if err != nil {
			want = nil
			if name == "active" {
				want = true // unknown is not off
			}
		}
		if number, ok := want.(json.Number); ok {
			f, _ := number.Float64()
			want = f
		}
		if want == "" || gocmp.Equal(want, []any(nil)) {
			want = nil
		}
		if failed[r.path] != (err != nil) || !gocmp.Equal(got, want) {
			t.Errorf("%s: %s gives %#v (failed: %v), want %#v (%v)\n%s", r.path, r.expression, got, failed[r.path], want, err, object)
		}
	}
	return compared
}
