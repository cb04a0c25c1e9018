package mapping_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"
)

// schemaOf gives the schema with a URN.
func schemaOf(t *testing.T, m *mapping.Mapper, urn string) schema.Schema {
	t.Helper()
	for _, s := range m.Schemas() {
		if s.ID == urn {
			return s
		}
	}
	t.Fatalf("no schema %s", urn)
	return schema.Schema{}
}

// attributeOf gives an attribute of a list by its exact name.
func attributeOf(t *testing.T, path string, list schema.Attributes, name string) schema.CoreAttribute {
	t.Helper()
	for _, a := range list {
		if a.Name() == name {
			return a
		}
	}
	t.Errorf("%s is in no schema", path)
	return schema.CoreAttribute{}
}

// checkSchemas checks that what a record holds is what the schemas say.
func checkSchemas(t *testing.T, m *mapping.Mapper, typ directory.Type, rec directory.Record) {
	t.Helper()
	body, err := decode([]byte("{" + string(rec.Body) + "}"))
	if err != nil {
		t.Fatal(err)
	}
	core := map[directory.Type]string{directory.User: mapping.UserSchema, directory.Group: mapping.GroupSchema}[typ]
	for name, value := range body {
		switch {
		case name == "schemas":
		case strings.HasPrefix(name, "urn:"):
			for sub, value := range value.(map[string]any) {
				checkValue(t, name+":"+sub, attributeOf(t, name+":"+sub, schemaOf(t, m, name).Attributes, sub), value)
			}
		default:
			checkValue(t, name, attributeOf(t, name, schemaOf(t, m, core).Attributes, name), value)
		}
	}
}

// checkValue checks a value against the definition of its attribute.
func checkValue(t *testing.T, path string, a schema.CoreAttribute, value any) {
	t.Helper()
	if list, isList := value.([]any); isList != a.MultiValued() {
		t.Errorf("%s: multiValued is %v, the value %v", path, a.MultiValued(), value)
	} else if isList {
		for _, e := range list {
			checkSingular(t, path, a, e)
		}
		return
	}
	checkSingular(t, path, a, value)
}

// checkSingular checks one value.
func checkSingular(t *testing.T, path string, a schema.CoreAttribute, value any) {
	t.Helper()
	if object, isObject := value.(map[string]any); isObject {
		if a.AttributeType() != "complex" {
			t.Errorf("%s is an object, in the schema %s", path, a.AttributeType())
		}
		for sub, value := range object {
			checkValue(t, path+"."+sub, attributeOf(t, path+"."+sub, a.SubAttributes(), sub), value)
		}
		return
	}
	if _, err := a.ValidateSingular(value); err != nil {
		t.Errorf("%s: %v is no %s", path, value, a.AttributeType())
	}
	if s, ok := value.(string); ok && len(a.CanonicalValues()) > 0 && !strings.Contains("\n"+strings.Join(a.CanonicalValues(), "\n")+"\n", "\n"+s+"\n") {
		t.Errorf("%s: %q is not canonical", path, s)
	}
}

// added are the attributes that the directory adds to what is mapped, and the
// one that only a configured mapping renders.
var added = regexp.MustCompile(`^(core:2\.0:(User|Group):(externalId|meta)|core:2\.0:User:groups|core:2\.0:Group:members)(\.|$)`)

func TestSchemasHoldWhatTheRowsRenderAndNothingElse(t *testing.T) {
	rows := map[string]bool{}
	plain := regexp.MustCompile(`\[type eq "(\w+)".*?\]`)
	for _, row := range mapping.Rows() {
		path := row.Path
		if !strings.HasPrefix(path, "urn:") {
			path = "urn:ietf:params:scim:schemas:core:2.0:" + row.Type.String() + ":" + path
		}
		if plain.MatchString(path) {
			rows[plain.ReplaceAllString(path[:strings.IndexByte(path, ']')+1], ".type")] = true
			if strings.Contains(path, "primary") {
				rows[path[:strings.IndexByte(path, '[')]+".primary"] = true
			}
		}
		rows[plain.ReplaceAllString(path, "")] = true
	}
	listed := map[string]bool{}
	for _, s := range newMapper(t).Schemas()[:5] {
		for _, a := range s.Attributes {
			for _, sub := range a.SubAttributes() {
				listed[s.ID+":"+a.Name()+"."+sub.Name()] = true
			}
			if len(a.SubAttributes()) == 0 {
				listed[s.ID+":"+a.Name()] = true
			}
		}
	}
	for _, set := range []map[string]bool{rows, listed} {
		for path := range set {
			if added.MatchString(strings.TrimPrefix(path, "urn:ietf:params:scim:schemas:")) {
				delete(set, path)
			}
		}
	}
	if diff := cmp.Diff(rows, listed); diff != "" {
		t.Errorf("attributes (-rows +schemas):\n%s", diff)
	}
}

func TestSchemasInOrder(t *testing.T) {
	var got []string
	for _, s := range newMapper(t).Schemas() {
		got = append(got, strings.TrimPrefix(s.ID, "urn:ietf:params:scim:schemas:")+" "+s.Name.Value())
		if s.Description.Value() == "" {
			t.Errorf("%s has no description", s.ID)
		}
	}
	want := []string{
		"core:2.0:User User", "extension:enterprise:2.0:User EnterpriseUser", "extension:Microsoft:Entra:2.0:User EntraUser",
		"core:2.0:Group Group", "extension:Microsoft:Entra:2.0:Group EntraGroup",
		"core:2.0:ServiceProviderConfig ServiceProviderConfig", "core:2.0:ResourceType ResourceType", "core:2.0:Schema Schema",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCharacteristics checks those that deviate from the plain ones, errata of
// RFC 7643 included, in the form in which discovery gives them.
func TestCharacteristics(t *testing.T) {
	m := newMapper(t)
	var got []string
	for _, s := range m.Schemas()[:5] {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var published map[string]any
		if err := json.Unmarshal(text, &published); err != nil {
			t.Fatal(err)
		}
		got = append(got, special(t, strings.TrimPrefix(s.ID, "urn:ietf:params:scim:schemas:")+":", published["attributes"])...)
	}
	want := []string{
		"core:2.0:User:id required exact always server",
		"core:2.0:User:externalId exact",
		"core:2.0:User:userName required server",
		"core:2.0:User:groups.value exact",
		"core:2.0:User:groups.$ref exact refs [Group]",
		"extension:enterprise:2.0:User:manager.value exact",
		"extension:enterprise:2.0:User:manager.$ref exact refs [User]",
		"extension:Microsoft:Entra:2.0:User:onPremisesImmutableId exact",
		"core:2.0:Group:id required exact always server",
		"core:2.0:Group:externalId exact",
		"core:2.0:Group:displayName required",
		"core:2.0:Group:members.value exact",
		"core:2.0:Group:members.$ref exact refs [User Group]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// special lists the attributes with characteristics out of the ordinary.
func special(t *testing.T, prefix string, attributes any) []string {
	t.Helper()
	var lines []string
	for _, a := range attributes.([]any) {
		a := a.(map[string]any)
		path := prefix + a["name"].(string)
		if a["mutability"] != "readOnly" {
			t.Errorf("%s is %v", path, a["mutability"])
		}
		if a["description"] == "" {
			t.Errorf("%s has no description", path)
		}
		line := path
		for _, c := range []struct {
			name  string
			value any
			say   string
		}{{"required", true, "required"}, {"caseExact", true, "exact"}, {"returned", "always", "always"}, {"uniqueness", "server", "server"}} {
			if a[c.name] == c.value {
				line += " " + c.say
			}
		}
		if refs, ok := a["referenceTypes"]; ok {
			line += " refs " + strings.ReplaceAll(strings.Trim(mustJSON(t, refs), `"`), `","`, " ")
		}
		if line != path {
			lines = append(lines, strings.NewReplacer(`["`, "[", `"]`, "]").Replace(line))
		}
		if subs, ok := a["subAttributes"]; ok {
			lines = append(lines, special(t, path+".", subs)...)
		}
	}
	return lines
}

// mustJSON gives a value as JSON.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
