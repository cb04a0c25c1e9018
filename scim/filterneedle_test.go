package scim

import (
	"bytes"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

func TestNeedle(t *testing.T) {
	n := newNeedle("title")
	for _, tt := range []struct {
		name, json string
		want       string // where values begin, as what follows there
	}{
		{"first", `"title":1`, "1"},
		{"among others", `"a":"x","title":"y","b":2`, `"y","b":2`},
		{"several, nested", `"x":{"title":1},"title":2`, `1},"title":2 2`},
		{"absent", `"titles":1,"subtitle":2,"tit":3`, ""},
		{"a value and no name", `"a":"title","b":["title"]`, ""},
		{"in a text", `"a":"\"title\":1"`, ""},
		{"cut off", `"title"`, ""},
		{"nothing", ``, ""},
	} {
		var got []string
		for at := n.next([]byte(tt.json), 0); at >= 0; at = n.next([]byte(tt.json), at) {
			got = append(got, tt.json[at:])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A filter holds for the same resources whether or not needles are tried first.
func TestNeedlesDecideNothing(t *testing.T) {
	b := newBench(t)
	ruledOut := 0
	for _, tt := range filterCases {
		f, err := b.attrs.compileFilter(tt.types, tt.filter)
		if err != nil {
			t.Fatalf("%s: %s", tt.filter, err.detail)
		}
		for _, typ := range tt.types {
			for i := range b.view.Len(typ) {
				r := b.view.At(typ, i)
				f.types[typ].seeks = true
				with := f.match(r)
				if !f.types[typ].root.possible(r.Head()) {
					ruledOut++
				}
				f.types[typ].seeks = false
				if without := f.match(r); with != without {
					t.Errorf("%s: %s: %t with needles, %t without", r.ID(), tt.filter, with, without)
				}
			}
		}
	}
	if ruledOut < len(filterCases) {
		t.Errorf("needles ruled out %d resources only", ruledOut)
	}
}

// Beyond so many tests none is tried by itself.
func TestNeedlesOfManyTests(t *testing.T) {
	attrs := newAttributes(servedSchemas(t), nil)
	for n, want := range map[int]bool{1: true, maxNeedles: true, maxNeedles + 1: false} {
		f, err := attrs.compileFilter(onUsers, strings.TrimPrefix(strings.Repeat(` or title eq "x"`, n), " or "))
		if err != nil {
			t.Fatal(err.detail)
		}
		if got := f.types[directory.User].seeks; got != want {
			t.Errorf("%d tests: %t", n, got)
		}
	}
}

// needle.alone takes it for granted that the mapping renders the attributes of the
// core schema first.
func TestCoreAttributesComeFirst(t *testing.T) {
	m, err := mapping.New(mapping.Config{BaseURL: "https://scim.example.com/scim/v2"})
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := m.User([]byte(`{"id":"u-1","userPrincipalName":"a@example.com","department":"d","jobTitle":"t","mailNickname":"a","displayName":"A","employeeId":"1","preferredLanguage":"en","userType":"Member","mobilePhone":"1","usageLocation":"DE","accountEnabled":true}`), false)
	if err != nil {
		t.Fatal(err)
	}
	attrs, extension := newAttributes(m.Schemas(), nil).types[directory.User], ""
	for i := 0; ; {
		member, ok := nextMember(record.Body, i)
		if !ok {
			break
		}
		i = member.end
		attr := attrs.rendered[string(member.name)]
		switch {
		case attr.extension:
			extension = attr.name
		case extension != "":
			t.Errorf("%s comes after %s", attr.name, extension)
		case bytes.Equal(member.name, []byte("title")) && !attr.needle.alone:
			t.Error("title is not alone")
		}
	}
	if extension == "" {
		t.Error("no extension is rendered")
	}
}
