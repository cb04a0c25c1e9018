package scim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const document = "../docs/scim.md"

var attributesBlock = regexp.MustCompile(`(?s)<!-- attributes: (\S+) -->\n(.*?)<!-- end -->`)

// lookedUp are the attributes whose equality is a look-up.
var lookedUp = map[string]bool{
	"User id": true, "User externalId": true, "User userName": true, "User displayName": true, "User emails.value": true, "User groups.value": true,
	"Group id": true, "Group externalId": true, "Group displayName": true, "Group members.value": true,
}

// A shownAttribute is an attribute as /Schemas has it.
type shownAttribute struct {
	Name, Type, Returned, Uniqueness, Mutability string
	MultiValued, Required                        bool
	CaseExact                                    *bool
	CanonicalValues, ReferenceTypes              []string
	SubAttributes                                []shownAttribute
}

// row writes the attribute and those below it as rows of a table.
func (a *shownAttribute) rows(b *strings.Builder, typ, prefix string) {
	name := prefix + a.Name
	var notes []string
	note := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	note(a.Required, "always there")
	note(a.Uniqueness == "server", "unique")
	note(lookedUp[typ+" "+name], "looked up")
	note(a.Returned == "always", "returned always")
	note(a.Returned == "request", "returned on request only")
	note(len(a.CanonicalValues) > 0, strings.Join(a.CanonicalValues, ", "))
	note(len(a.ReferenceTypes) > 0, "refers to "+strings.Join(a.ReferenceTypes, ", "))
	kind := a.Type
	if a.MultiValued {
		kind += ", several"
	}
	letters := ""
	if a.CaseExact != nil {
		letters = "any case"
		if *a.CaseExact {
			letters = "exact"
		}
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, kind, letters, strings.Join(notes, "; "))
	for i := range a.SubAttributes {
		a.SubAttributes[i].rows(b, typ, name+".")
	}
}

// The document has every attribute that /Schemas has, with its characteristics.
func TestDocumentShowsTheAttributes(t *testing.T) {
	w := newTenant(t, 1, 1)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	want := attributesBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		urn := attributesBlock.FindStringSubmatch(block)[1]
		shown[urn] = true
		var s struct{ Attributes []shownAttribute }
		if err := json.Unmarshal(w.get("/Schemas/"+urn).Body.Bytes(), &s); err != nil || len(s.Attributes) == 0 {
			t.Fatal(urn, err)
		}
		var b strings.Builder
		fmt.Fprintf(&b, "<!-- attributes: %s -->\n| attribute | type | compared | |\n|---|---|---|---|\n", urn)
		for i := range s.Attributes {
			a := &s.Attributes[i]
			if a.Mutability != "readOnly" {
				t.Errorf("%s of %s is %s: clients can write nothing", a.Name, urn, a.Mutability)
			}
			a.rows(&b, urn[strings.LastIndexByte(urn, ':')+1:], "")
		}
		return b.String() + "<!-- end -->"
	})
	var types struct {
		Resources []struct {
			Schema           string
			SchemaExtensions []struct{ Schema string }
		}
	}
	if err := json.Unmarshal(w.get("/ResourceTypes").Body.Bytes(), &types); err != nil {
		t.Fatal(err)
	}
	for _, typ := range types.Resources {
		if !shown[typ.Schema] {
			t.Errorf("%s is not shown", typ.Schema)
		}
		for _, x := range typ.SchemaExtensions {
			if !shown[x.Schema] {
				t.Errorf("%s is not shown", x.Schema)
			}
		}
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run with -update", document)
	}
	if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
