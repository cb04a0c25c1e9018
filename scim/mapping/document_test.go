package mapping_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"scimbridge/scim/mapping"
)

// document shows the table to people.
const document = "../../docs/mapping.md"

// tableBlock is a table of the document between its marks.
var tableBlock = regexp.MustCompile(`(?s)<!-- table: (\w+) (\S+) -->\n(.*?)<!-- end -->`)

// markdown gives the rows of a type and schema ("core", or an extension's URN)
// as a table.
func markdown(typ, urn string) string {
	var b strings.Builder
	b.WriteString("| SCIM attribute | Graph property | transform | note |\n|---|---|---|---|\n")
	for _, row := range mapping.Rows() {
		path, extension := strings.CutPrefix(row.Path, urn+":")
		core := urn == "core" && !strings.HasPrefix(row.Path, "urn:")
		if row.Type.String() != typ || !(extension || core) {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %v | %s |\n", path, row.Property, row.Transform, row.Note)
	}
	return b.String()
}

func TestDocumentShowsTheTable(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	want := tableBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		m := tableBlock.FindStringSubmatch(block)
		table := markdown(m[1], m[2])
		lines += strings.Count(table, "\n") - 2
		return fmt.Sprintf("<!-- table: %s %s -->\n%s<!-- end -->", m[1], m[2], table)
	})
	if lines != len(mapping.Rows()) {
		t.Errorf("the tables have %d rows, the mapping %d", lines, len(mapping.Rows()))
	}
	for _, row := range mapping.Rows() {
		if !strings.Contains(want, "\n| "+row.Transform.String()+" | ") {
			t.Errorf("the transform %q is not explained", row.Transform)
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
