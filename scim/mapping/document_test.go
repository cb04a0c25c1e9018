package mapping_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"scimbridge/scim/mapping"
	"scimbridge/scim/mapping/expr"
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

// generated fills in what is made of other tables of the program.
func generated(text string) string {
	fill := func(mark, content string) {
		block := regexp.MustCompile(`(?s)<!-- ` + mark + ` -->\n.*?<!-- end -->`)
		text = block.ReplaceAllLiteralString(text, "<!-- "+mark+" -->\n"+content+"<!-- end -->")
	}
	fill("functions", functionTable())
	fill("properties: user", propertyTable(expr.User))
	fill("properties: group", propertyTable(expr.Group))
	fill("presets", presetTables())
	return text
}

// cell puts a text into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func functionTable() string {
	var b strings.Builder
	b.WriteString("| function | gives | example |\n|---|---|---|\n")
	for _, f := range expr.Functions() {
		example := ""
		if f.Example != "" {
			example = fmt.Sprintf("`%s` is `%s`", cell(f.Example), cell(f.Gives))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cell(f.Usage), cell(f.Doc), example)
	}
	return b.String()
}

// propertyTable lists the properties by type, and what is special about them.
func propertyTable(kind expr.Kind) string {
	var b strings.Builder
	b.WriteString("| type | properties |\n|---|---|\n")
	for _, t := range []expr.Type{expr.Text, expr.Bool, expr.Date, expr.Texts, expr.List, expr.Map} {
		var names []string
		for _, p := range expr.Properties(kind) {
			if p.Type != t {
				continue
			}
			name := "`" + p.Name + "`"
			if p.Permission != "" {
				name += " (needs " + p.Permission + ")"
			}
			names = append(names, name)
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, "| %v | %s |\n", t, strings.Join(names, ", "))
		}
	}
	return b.String()
}

func presetTables() string {
	var b strings.Builder
	for _, p := range mapping.Presets() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", p.Name, p.Doc)
		if len(p.Rules) == 0 {
			continue
		}
		b.WriteString("| SCIM attribute | expression | made up where | why |\n|---|---|---|---|\n")
		for _, r := range p.Rules {
			made := ""
			if r.Made != "" {
				made = "`" + cell(r.Made) + "`"
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", r.Path, cell(r.Expression), made, r.Why)
		}
		b.WriteString("\n")
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
	want = generated(want)
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
