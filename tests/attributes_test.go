package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// customSchemas is an extension with an attribute of every type, by a URN that
// does not end with its resource type, and the mapping that fills it.
const customSchemas = `schemas:
  - urn: urn:acme:hr:1.0
    attributes:
      - {name: badge, case_exact: true}
      - {name: remote, type: boolean}
      - {name: level, type: integer}
      - {name: hired, type: dateTime}
      - {name: aliases, multi_valued: true}
      - name: desk
        type: complex
        sub_attributes:
          - {name: number}
          - {name: value}
`

const customMapping = `mapping:
      'urn:acme:hr:1.0:badge': 'user.employeeId'
      'urn:acme:hr:1.0:remote': 'user.officeLocation == ""'
      'urn:acme:hr:1.0:level': 'size(user.displayName)'
      'urn:acme:hr:1.0:hired': 'user.employeeHireDate'
      'urn:acme:hr:1.0:aliases': 'smtp(user.proxyAddresses)'
      'urn:acme:hr:1.0:desk.number': 'user.officeLocation'
      'urn:acme:hr:1.0:desk.value': 'user.mailNickname'
`

// An attributeSchema is an attribute as /Schemas has it.
type attributeSchema struct {
	Name, Type    string
	CaseExact     bool
	SubAttributes []attributeSchema
}

// Every attribute that /Schemas names can be filtered by, sorted by, asked for and
// left out, under each of its names, and all of that agrees: with itself and with
// what is served. Extensions of the configuration's own are no exception.
func TestEveryAttribute(t *testing.T) {
	tenant := startTenant(t, smallCompany(58))
	b := newBridge(t)
	b.write("config.yaml", customSchemas+config("", tenant.source("contoso", "interval: 1h", strings.TrimSuffix(customMapping, "\n"))))
	b.start()
	b.ready()
	var types struct {
		Resources []struct {
			Endpoint, Schema string
			SchemaExtensions []struct{ Schema string }
		}
	}
	b.scimGet("/ResourceTypes", &types)
	checked := 0
	for _, typ := range types.Resources {
		a := &attributeCheck{t: t, b: b, endpoint: typ.Endpoint}
		a.all = a.list("count=5000")
		urns := []string{typ.Schema}
		for _, x := range typ.SchemaExtensions {
			urns = append(urns, x.Schema)
		}
		for i, urn := range urns {
			a.urn, a.extension = urn, i > 0
			var s struct{ Attributes []attributeSchema }
			b.scimGet("/Schemas/"+urn, &s)
			for _, attribute := range s.Attributes {
				a.check(attribute)
				checked++
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d attributes", checked)
	}
}

// An attributeCheck looks at the attributes of one schema of one resource type.
type attributeCheck struct {
	t         *testing.T
	b         *bridge
	endpoint  string
	urn       string
	extension bool
	all       []map[string]any
}

// ask makes a query and gives its status and resources.
func (a *attributeCheck) ask(query string) (int, []map[string]any) {
	a.t.Helper()
	status, body := a.b.get(a.b.scim+a.endpoint+"?"+query, nil)
	var l struct{ Resources []map[string]any }
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		a.t.Fatalf("%s: %v: %s", query, err, body)
	}
	return status, l.Resources
}

func (a *attributeCheck) list(query string) []map[string]any {
	a.t.Helper()
	status, all := a.ask(query)
	if status != http.StatusOK {
		a.t.Errorf("%s?%s: %d", a.endpoint, query, status)
	}
	return all
}

// find gives how many a filter finds.
func (a *attributeCheck) find(filter string) int {
	a.t.Helper()
	return len(a.list("count=5000&attributes=id&filter=" + url.QueryEscape(filter)))
}

// values gives the values of an attribute of a resource, those of a list one by
// one.
func (a *attributeCheck) values(r map[string]any, name string) []any {
	if a.extension {
		r, _ = r[a.urn].(map[string]any)
	}
	switch v := r[name].(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func (a *attributeCheck) check(attribute attributeSchema) {
	a.t.Helper()
	names := []string{a.urn + ":" + attribute.Name}
	if !a.extension {
		names = append(names, attribute.Name)
	}
	has := 0
	for _, r := range a.all {
		if len(a.values(r, attribute.Name)) > 0 {
			has++
		}
	}
	for _, name := range names {
		a.present(name, has)
		if got := a.list("count=5000&attributes=" + url.QueryEscape(name)); a.with(got, attribute.Name) != has || len(got) != len(a.all) {
			a.t.Errorf("asked for alone, %d of %d have %s, and %d do", a.with(got, attribute.Name), len(got), name, has)
		}
		always := attribute.Name == "id"
		if got := a.list("count=5000&excludedAttributes=" + url.QueryEscape(name)); a.with(got, attribute.Name) != 0 && !always {
			a.t.Errorf("left out, %d have %s", a.with(got, attribute.Name), name)
		}
		a.sorted(name, attribute)
		for _, sub := range attribute.SubAttributes {
			a.sub(name, attribute, sub)
		}
	}
}

// with counts the resources that have an attribute.
func (a *attributeCheck) with(all []map[string]any, name string) (n int) {
	for _, r := range all {
		if len(a.values(r, name)) > 0 {
			n++
		}
	}
	return n
}

// present checks pr, its opposite, and null.
func (a *attributeCheck) present(name string, has int) {
	a.t.Helper()
	for filter, want := range map[string]int{
		name + " pr": has, "not (" + strings.ToUpper(name) + " PR)": len(a.all) - has,
		name + " eq null": len(a.all) - has, name + " ne NULL": has,
	} {
		if got := a.find(filter); got != want {
			a.t.Errorf("%s: %q finds %d, want %d", a.endpoint, filter, got, want)
		}
	}
}

// sorted checks that an order has everybody once, and that only complex attributes
// without a value can't be sorted by.
func (a *attributeCheck) sorted(name string, attribute attributeSchema) {
	a.t.Helper()
	want := http.StatusOK
	if attribute.Type == "complex" && !slices.ContainsFunc(attribute.SubAttributes, func(s attributeSchema) bool { return s.Name == "value" }) {
		want = http.StatusBadRequest
	}
	for _, order := range []string{"ascending", "descending"} {
		status, got := a.ask("count=5000&attributes=id&sortOrder=" + order + "&sortBy=" + url.QueryEscape(name))
		seen := make(map[any]bool)
		for _, r := range got {
			seen[r["id"]] = true
		}
		if status != want || want == http.StatusOK && len(seen) != len(a.all) {
			a.t.Errorf("%s sorted %s by %s: %d, %d of %d", a.endpoint, order, name, status, len(seen), len(a.all))
		}
	}
}

// sub checks a sub-attribute: dotted and in brackets it is the same, and what is
// served is found.
func (a *attributeCheck) sub(name string, attribute, sub attributeSchema) {
	a.t.Helper()
	dotted := name + "." + sub.Name
	has, values := 0, make(map[string]int) // literal -> how many have it
	for _, r := range a.all {
		mine := make(map[string]bool)
		for _, v := range a.values(r, attribute.Name) {
			element, _ := v.(map[string]any)
			if got, there := element[sub.Name]; there {
				literal, err := json.Marshal(got)
				if err != nil {
					a.t.Fatal(err)
				}
				if !sub.CaseExact {
					literal = []byte(strings.ToLower(string(literal)))
				}
				mine[string(literal)] = true
			}
		}
		if len(mine) > 0 {
			has++
		}
		for literal := range mine {
			values[literal]++
		}
	}
	a.present(dotted, has)
	if sub.Type != "complex" {
		if got := a.find(fmt.Sprintf("%s[%s pr]", name, sub.Name)); got != has {
			a.t.Errorf("%s[%s pr] finds %d, want %d", name, sub.Name, got, has)
		}
	}
	tried := 0
	for literal, want := range values {
		if tried++; tried > 2 {
			break
		}
		for _, filter := range []string{dotted + " eq " + literal, fmt.Sprintf("%s[%s eq %s]", name, sub.Name, literal)} {
			if got := a.find(filter); got != want {
				a.t.Errorf("%q finds %d, want %d", filter, got, want)
			}
		}
	}
	a.sorted(dotted, sub)
}
