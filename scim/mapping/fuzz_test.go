package mapping_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// seeds adds what the mapping has trouble with, or once had.
func seeds(f *testing.F, typ directory.Type) {
	for _, object := range []string{
		``, `null`, `[]`, `{}`, `{"id":1}`, `{"id":"1"}`, ` {"id" : "1" } `, `{"id":"1"}{`, `{"id":"1","id":null}`,
		`{"id":"1","manager":{"id":"2"},"manager":{}}`, `{"id":"1","manager":{"id":{"id":"2"}}}`,
		`{"\u0069d":"\ud83d","x":[1e9,-0,0.1,true,[[]],{"a":{}}]}`, "{\"id\":\"\xff\",\"surname\":\"\\ud83c\\udf0d\\u0000\"}",
		`{"id":"1","proxyAddresses":["SMTP:a@x","smtp:A@X","smtp:","x"],"otherMails":["a@x",[],7,{"a":1}]}`,
		`{"id":"1","userPrincipalName":"a@b.c","mail":"A@b.c"}`, `{"id":"1","userPrincipalName":"a#EXT#@b.c"}`,
		`{"id":"1","userPrincipalName":"a@b..","createdDateTime":"2020-01-01T0:00:00,5+24:00"}`,
		`{"id":"1","employeeHireDate":"2020-02-30T00:00:00Z","expirationDateTime":"2020-02-29T23:59:60Z"}`,
		`{"id":"1","businessPhones":["1","1"],"employeeOrgData":3,"onPremisesExtensionAttributes":[1]}`,
		`{"id":"a/b c%?#","manager":{"id":"a/b c%?#é;,"}}`, `{"id":"1","displayName":{},"mailNickname":[]}`,
	} {
		f.Add([]byte(object), false)
	}
	for _, g := range goldens(f) {
		if g.typ == typ {
			f.Add(compactObject(f, g), g.removed)
		}
	}
}

// checkObject maps whatever comes: it must be refused exactly where it is no
// object with an id, and else be rendered as the table says, twice the same. It
// says whether there was anything to map.
func checkObject(t *testing.T, m *mapping.Mapper, typ directory.Type, object []byte, inactive bool) bool {
	t.Helper()
	rec, problems, err := render(t, m, typ, object, inactive)
	var source map[string]any
	if json.Valid(object) {
		source, _ = decode(object)
	}
	id, _ := source["id"].(string)
	if (id == "") != (err != nil) {
		t.Fatalf("id %q, error %v of %s", id, err, object)
	}
	if err != nil {
		return false
	}
	checkRecord(t, typ, object, inactive, rec, problems)
	checkSchemas(t, m, typ, rec)
	again, twice, err := render(t, m, typ, object, inactive)
	if err != nil || !reflect.DeepEqual(again, rec) || !reflect.DeepEqual(twice, problems) {
		t.Errorf("the second time: %v, %v, %v", again, twice, err)
	}
	checkHidden(t, m, object, rec)
	return true
}

// checkHidden maps a user whose manager is not to be named: as if she had none.
func checkHidden(t *testing.T, m *mapping.Mapper, object []byte, rec directory.Record) {
	t.Helper()
	if rec.Manager == "" {
		return
	}
	source, _ := decode(object)
	delete(source, "manager")
	without, err := json.Marshal(source)
	if err != nil {
		t.Fatal(err)
	}
	want, problems, err := render(t, m, rec.Type, without, !rec.Active)
	if err != nil {
		t.Fatal(err)
	}
	hidden, found, err := m.Map(rec.Type, mapping.Input{Object: object, Inactive: !rec.Active, HideManager: true})
	if err != nil || !reflect.DeepEqual(found, problems) {
		t.Errorf("without the manager: %v, %v, want %v", err, found, problems)
	}
	if hidden.Manager != rec.Manager || !hidden.HidesManager {
		t.Errorf("hidden manager is %q, %t, want %q", hidden.Manager, hidden.HidesManager, rec.Manager)
	}
	hidden.Manager, hidden.HidesManager = "", false
	if !reflect.DeepEqual(hidden, want) {
		t.Errorf("without the manager:\n%+v\nwant\n%+v", hidden, want)
	}
}

// fuzz checks objects of one type.
func fuzz(f *testing.F, typ directory.Type) {
	seeds(f, typ)
	m := newMapper(f)
	f.Fuzz(func(t *testing.T, object []byte, inactive bool) {
		checkObject(t, m, typ, object, inactive && typ == directory.User)
	})
}

func FuzzUser(f *testing.F)  { fuzz(f, directory.User) }
func FuzzGroup(f *testing.F) { fuzz(f, directory.Group) }
