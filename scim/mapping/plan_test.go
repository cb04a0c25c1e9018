package mapping

import (
	"fmt"
	"testing"

	"scimbridge/scim/directory"

	"github.com/google/go-cmp/cmp"
)

func TestPathsAreTakenApart(t *testing.T) {
	for path, want := range map[string]target{
		"userName":                                         {name: "userName"},
		"name.givenName":                                   {name: "name", sub: "givenName"},
		`emails[type eq "work"].value`:                     {name: "emails", label: "work", sub: "value"},
		`addresses[type eq "home"]`:                        {name: "addresses", label: "home"},
		"urn:x:2.0:User:manager.$ref":                      {schema: "urn:x:2.0:User", name: "manager", sub: "$ref"},
		`urn:x:y:cars[type eq "a"].vin`:                    {schema: "urn:x:y", name: "cars", label: "a", sub: "vin"},
		`emails[type eq "work" and primary eq true].value`: {name: "emails", label: "work", primary: true, sub: "value"},
	} {
		got, err := parseTarget(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(target{})); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func TestPathsThatNoMappingHas(t *testing.T) {
	for _, path := range []string{"", ".", "name.", "urn:x:", `emails[type eq "work"`, `emails[type eq "work"]value`,
		`emails[type eq work].value`, `emails[type eq ""].value`, `emails[value eq "x"].type`, `.value`,
		`a.b[type eq "work"].value`, `[type eq "work"].value`} {
		if got, err := parseTarget(path); err == nil {
			t.Errorf("%q is taken as %+v", path, got)
		}
	}
}

func TestTablesThatDoNotCompile(t *testing.T) {
	for name, rows := range map[string][]Row{
		"a bad path":      {{Path: "name.", Property: "x"}, {Path: "meta.created", Property: "c", Transform: Created}},
		"no meta.created": {{Path: "userName", Property: "x"}},
	} {
		if _, err := compile(directory.User, rows); err == nil {
			t.Errorf("%s compiles", name)
		}
	}
}

// TestOtherTables maps by tables that are not the default one.
func TestOtherTables(t *testing.T) {
	for name, tt := range map[string]struct {
		rows     []Row
		object   string
		want     string // behind the id
		problems []string
	}{
		"an externalId is kept for the index": {
			rows:   []Row{{Path: "externalId", Property: "employeeId"}},
			object: `"employeeId":"4711"`, want: `,"externalId":"4711"`,
		},
		"a row steps in for the one before it within an attribute": {
			rows: []Row{{Path: "name.givenName", Property: "a"}, {Path: "name.familyName", Property: "b"},
				{Path: "name.familyName", Property: "c"}},
			object: `"a":"x","c":"z"`, want: `,"name":{"givenName":"x","familyName":"z"}`,
		},
		"and not where that one has a value": {
			rows:   []Row{{Path: "name.familyName", Property: "b"}, {Path: "name.familyName", Property: "c"}},
			object: `"b":"y","c":"z"`, want: `,"name":{"familyName":"y"}`,
		},
		"a boolean is not taken from its parent": {
			rows:   []Row{{Path: "urn:x:y:flag", Property: "a.b", Transform: Boolean}},
			object: `"a":true`, problems: []string{"urn:x:y:flag: a is a boolean, not an object"},
		},
		"nor is an array": {
			rows:   []Row{{Path: "urn:x:y:list", Property: "a.b", Transform: Each}},
			object: `"a":["x"]`, problems: []string{"urn:x:y:list: a is an array, not an object"},
		},
		"nor a string": {
			rows:   []Row{{Path: "urn:x:y:text", Property: "a.b.c"}, {Path: "urn:x:y:day", Property: "a.b.d", Transform: DateTime}},
			object: `"a":{"b":"2020-01-01T00:00:00Z"}`,
			problems: []string{"urn:x:y:text: a.b is a string, not an object",
				"urn:x:y:day: a.b is a string, not an object"},
		},
		"nor what a required attribute needs": {
			rows:   []Row{{Path: "userName", Property: "a.b", Transform: OrID}},
			object: `"a":"x"`, want: `,"userName":"1"`,
			problems: []string{"userName: a.b is a string; the id is served instead"},
		},
		"extensions of one's own": {
			rows:   []Row{{Path: "urn:x:y:list", Property: "a.b.c", Transform: Each}, {Path: "urn:x:z:flag", Property: "f", Transform: Boolean}},
			object: `"f":false,"a":{"x":1,"b":{"c":["1","2"]}}`,
			want:   `,"urn:x:y":{"list":["1","2"]},"urn:x:z":{"flag":false}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := compile(directory.User, append(tt.rows, Row{Path: "meta.created", Property: "created", Transform: Created}))
			if err != nil {
				t.Fatal(err)
			}
			r := &renderer{}
			r.reset(p, Input{Object: []byte(`{"id":"1",` + tt.object + `}`)})
			if err := r.run(p); err != nil {
				t.Fatal(err)
			}
			rec := r.record(p)
			var problems []string
			for _, problem := range r.problems {
				problems = append(problems, problem.String())
			}
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Error(diff)
			}
			if got, want := string(r.out), `"id":"1"`+tt.want; got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			if external := `,"externalId":"` + rec.ExternalID + `"`; rec.ExternalID != "" && external != tt.want {
				t.Errorf("ExternalID is %q", rec.ExternalID)
			}
		})
	}
}

// TestEveryByteOfAString checks the scanner's view of each byte, at each place
// of the eight that it looks at together, against its class.
func TestEveryByteOfAString(t *testing.T) {
	for c := range 256 {
		for at := range 17 {
			text := []byte(`abcdefghijklmnopqrstuvwxyz`)
			text[at] = byte(c)
			want := len(text)
			if c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
				want = at
			}
			if got := plainPrefix(text); got != want {
				t.Fatalf("plainPrefix(%q) = %d, want %d", text, got, want)
			}
			if kind, end := scanner(fmt.Sprintf(`"%s"`, text)).text(0); c < 0x20 && end >= 0 {
				t.Fatalf("%q is taken as %v", text, kind)
			}
		}
	}
}
