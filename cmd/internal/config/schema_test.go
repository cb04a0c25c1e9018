package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "rewrite docs/config.schema.json")

const schemaFile = "../../../docs/config.schema.json"

// TestSchemaIsCurrent compares the published schema with the type, its comments
// and the loader.
func TestSchemaIsCurrent(t *testing.T) {
	if missing := missingPatterns(); missing != nil {
		t.Errorf("patterns of schemagen_test.go has settings that there are none of: %v", missing)
	}
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(newGenerator(t).schema()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/config.schema.json is not that of the configuration (%v); make it anew:\n\tgo test ./cmd/internal/config -run Schema -update", err)
	}
}

// schema compiles the published schema.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate judges a file by the schema, as an editor does.
func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// Files that are right, in the repository and in its documents, are right for an
// editor, too.
func TestSchemaTakesGoodFiles(t *testing.T) {
	s := schema(t)
	example, err := os.ReadFile("../../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := bytes.Cut(example, []byte("\n")); string(first) != "# yaml-language-server: $schema=docs/config.schema.json" {
		t.Errorf("the example begins with %q, which tells an editor nothing of the schema", first)
	}
	if err := validate(t, s, example); err != nil {
		t.Errorf("config.example.yaml: %v", err)
	}
	for _, name := range []string{"../../../docs/getting-started.md", "../../../README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		if strings.HasSuffix(name, "README.md") { // there it stands in a list
			text = bytes.ReplaceAll(text, []byte("\n   "), []byte("\n"))
		}
		for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
			if block, _, _ := strings.Cut(part, "```"); strings.Contains(block, "\nsources:") && strings.Contains(block, "clients:") {
				found++
				if err := validate(t, s, []byte(block)); err != nil {
					t.Errorf("a file in %s: %v", name, err)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s has no file", name)
		}
	}
}

// The faults of testdata/bad that a schema can express, it finds: those in the list,
// which grows by -update. Beyond it is what depends on other files, on the
// environment, or on what two values are to each other.
func TestSchemaRefusesBadFiles(t *testing.T) {
	const list = "testdata/schema-refuses.txt"
	s := schema(t)
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(names) < 100 {
		t.Fatalf("found %d files, %v", len(names), err)
	}
	var refused []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if validate(t, s, text) != nil {
			refused = append(refused, strings.TrimSuffix(filepath.Base(name), ".yaml"))
		}
	}
	if *update {
		if err := os.WriteFile(list, []byte(strings.Join(refused, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(want)) {
		if _, err := os.Stat("testdata/bad/" + name + ".yaml"); err == nil && !slices.Contains(refused, name) {
			t.Errorf("%s is no longer refused by the schema", name)
		}
	}
}
