package mapping_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/scim/directory"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite goldens and docs/mapping.md")

// A golden is a file of testdata: what comes in and what comes out.
type golden struct {
	name    string
	typ     directory.Type
	removed bool
	archive *txtar.Archive
}

// goldens reads testdata/*.txtar: user-….txtar, removed-….txtar, group-….txtar.
func goldens(t testing.TB) []golden {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no goldens", err)
	}
	var all []golden
	for _, name := range names {
		all = append(all, readGolden(t, name))
	}
	return all
}

// readGolden reads one.
func readGolden(t testing.TB, name string) golden {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g := golden{name: name, archive: archive, removed: strings.Contains(name, "removed-")}
	if strings.Contains(name, "group-") {
		g.typ = directory.Group
	}
	return g
}

// file gives the content of a file of the archive.
func (g golden) file(name string) []byte {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func TestGoldens(t *testing.T) {
	m := newMapper(t)
	for _, g := range goldens(t) {
		t.Run(filepath.Base(g.name), func(t *testing.T) {
			var object, indented bytes.Buffer
			if err := json.Compact(&object, g.file("object.json")); err != nil {
				t.Fatal(err)
			}
			rec, problems, err := render(t, m, g.typ, object.Bytes(), g.removed)
			if err != nil {
				t.Fatal(err)
			}
			checkRecord(t, g.typ, object.Bytes(), g.removed, rec, problems)
			checkSchemas(t, m, g.typ, rec)
			if err := json.Indent(&indented, []byte("{"+string(rec.Body)+"}"), "", "  "); err != nil {
				t.Fatal(err)
			}
			indented.WriteByte('\n')
			var said strings.Builder
			for _, p := range problems {
				fmt.Fprintln(&said, p)
			}
			g.compare(t, "resource.json", indented.String())
			g.compare(t, "problems", said.String())
		})
	}
}

// compare compares a file of the golden, or rewrites it.
func (g golden) compare(t *testing.T, name, got string) {
	t.Helper()
	if string(g.file(name)) == got {
		return
	}
	if !*update {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, g.file(name))
		return
	}
	kept := g.archive.Files[:0]
	for _, f := range g.archive.Files {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	g.archive.Files = kept
	if got != "" {
		g.archive.Files = append(kept, txtar.File{Name: name, Data: []byte(got)})
	}
	if err := os.WriteFile(g.name, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFingerprintMovesWithTheRenderedForm fails when a golden's object is
// rendered differently and the fingerprint is what it was: pictures rendered by
// the older program would then never be rendered again. -update does not help
// against that; counting up version in mapping.go does.
func TestFingerprintMovesWithTheRenderedForm(t *testing.T) {
	const name = "testdata/fingerprint"
	stored, err := os.ReadFile(name)
	if err != nil && !*update {
		t.Fatal(err)
	}
	m := newMapper(t)
	before := map[string]string{} // object -> resource
	head, lines, _ := strings.Cut(string(stored), "\n")
	for line := range strings.Lines(lines) {
		object, resource, _ := strings.Cut(strings.TrimSpace(line), " ")
		before[object] = resource
	}
	now := m.Fingerprint() + "\n"
	for _, g := range goldens(t) {
		rec, _, err := render(t, m, g.typ, g.file("object.json"), g.removed)
		if err != nil {
			t.Fatal(err)
		}
		object := fmt.Sprintf("%s:%x", filepath.Base(g.name), hash(g.file("object.json")))
		resource := fmt.Sprintf("%x", hash(rec.Body))
		if was := before[object]; was != "" && was != resource && head == m.Fingerprint() {
			t.Errorf("%s is rendered differently, and the fingerprint is still %s", g.name, head)
		}
		now += object + " " + resource + "\n"
	}
	switch {
	case string(stored) == now || t.Failed():
	case !*update:
		t.Errorf("%s is\n%s\nwant\n%s", name, stored, now)
	default:
		if err := os.WriteFile(name, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// hash gives a short hash of data.
func hash(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:12]
}
