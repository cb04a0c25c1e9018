package mapping_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// examplesDir holds payloads printed in Microsoft's documentation. They are not
// part of the project.
const examplesDir = "../../../shared/graph-examples"

// TestPublishedPayloads maps every user and group that Microsoft's
// documentation prints and compares each attribute with the table.
func TestPublishedPayloads(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(examplesDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Skipf("NOT TESTED against Microsoft's published payloads: %s is absent", examplesDir)
	}
	m := newMapper(t)
	objects := map[directory.Type]int{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var payload any
		if err := json.Unmarshal(text, &payload); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		typ, ok := typeOf(filepath.Base(name))
		if !ok {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			for _, object := range objectsIn(payload) {
				objects[typ]++
				checkPublished(t, m, typ, object)
			}
		})
	}
	t.Logf("mapped %d users and %d groups", objects[directory.User], objects[directory.Group])
	if objects[directory.User] < 40 || objects[directory.Group] < 25 {
		t.Errorf("only %v objects found: the payloads have changed shape", objects)
	}
}

// contents says by the beginning of a file's name what objects it holds; the
// first that fits counts.
var contents = []struct {
	prefix string
	typ    directory.Type
}{
	{"user-list-memberof", directory.Group},
	{"user-list-transitivememberof", directory.Group},
	{"user-", directory.User},
	{"delta-query-users-", directory.User},
	{"aad-advanced-queries-05", directory.User},
	{"auth-v2-service-02", directory.User},
	{"extensibility-open-users-03", directory.User},
	{"group-list-members", directory.User},
	{"group-list-transitivemembers", directory.User},
	{"group-list-approleassignments", directory.NumTypes},
	{"group-", directory.Group},
	{"delta-query-groups-", directory.Group},
	{"extensibility-schema-groups-05", directory.Group},
	{"extensibility-schema-groups-07", directory.Group},
	{"directory-deleteditems-", directory.Group},
}

// typeOf tells from a file's name what objects it holds.
func typeOf(name string) (directory.Type, bool) {
	for _, c := range contents {
		if strings.HasPrefix(name, c.prefix) {
			return c.typ, c.typ < directory.NumTypes
		}
	}
	return 0, false
}

// objectsIn gives the objects of a payload: the elements of value, or itself.
func objectsIn(payload any) []map[string]any {
	top, ok := payload.(map[string]any)
	if !ok {
		return nil
	}
	list, isList := top["value"].([]any)
	if !isList {
		list = []any{top}
	}
	var objects []map[string]any
	for _, e := range list {
		if o, ok := e.(map[string]any); ok && o["error"] == nil && o["@removed"] == nil {
			objects = append(objects, o)
		}
	}
	return objects
}

// checkPublished maps an object as the Graph client hands it on: without
// annotations, with the manager as an id. Many of the printed objects lack the
// id that Graph always sends; they are refused without it and get one here.
func checkPublished(t *testing.T, m *mapping.Mapper, typ directory.Type, object map[string]any) {
	t.Helper()
	for name := range object {
		if strings.Contains(name, "@odata") || strings.HasSuffix(name, "@delta") {
			delete(object, name)
		}
	}
	if _, has := object["id"]; !has {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := render(t, m, typ, text, false); err == nil {
			t.Errorf("an object without id is taken: %s", text)
		}
		object["id"] = "11111111-2222-3333-4444-555555555555"
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		t.Fatal(err)
	}
	compact := bytes.TrimSpace(text.Bytes())
	for _, inactive := range []bool{false, typ == directory.User} {
		rec, problems, err := render(t, m, typ, compact, inactive)
		if err != nil {
			t.Fatalf("%v: %s", err, compact)
		}
		checkRecord(t, typ, compact, inactive, rec, problems)
		checkSchemas(t, m, typ, rec)
	}
}
