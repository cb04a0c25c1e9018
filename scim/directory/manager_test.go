package directory_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// report gives a user of the tests here.
func report(id, manager string, hides bool) directory.Record {
	return (&thing{typ: directory.User, id: id, userName: id, manager: manager, hides: hides}).record()
}

func TestManagerIsFoundByHisReports(t *testing.T) {
	p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "contoso", BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	put := func(d *directory.Draft, records ...directory.Record) {
		t.Helper()
		for _, rec := range records {
			if err := d.Put(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	misled := func(d *directory.Draft, want ...string) {
		t.Helper()
		if got := d.Misled(); !slices.Equal(got, want) {
			t.Errorf("misled are %q, want %q", got, want)
		}
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

	d := p.Draft()
	put(d, report("ada", "bob", false), report("bob", "", false), report("cy", "bob", false), report("dan", "eve", false))
	misled(d, "dan") // whose manager nobody knows
	put(d, report("dan", "eve", true))
	misled(d)
	sealed(t, p, d, now)

	// A user who changes otherwise, and one whose row is written for the sake of a
	// group, keep theirs.
	d = p.Draft()
	put(d, (&thing{typ: directory.Group, id: "all", display: "All"}).record())
	d.Join("all", "ada")
	d.Join("all", "dan")
	sealed(t, p, d, now)

	d = p.Draft()
	d.Remove("bob")
	put(d, report("eve", "", false))
	misled(d, "ada", "cy", "dan")
	put(d, report("ada", "bob", true), report("cy", "", false), report("dan", "eve", false))
	misled(d)
	sealed(t, p, d, now)

	// Whom a user reports to, and may not name, changes what is found and nothing
	// that is seen.
	d = p.Draft()
	put(d, report("ada", "fay", true))
	s := sealed(t, p, d, now)
	if !s.Diff().Empty() {
		t.Errorf("somebody changed: %+v", s.Diff().Counts)
	}
	d = p.Draft()
	put(d, report("bob", "", false))
	misled(d)
	d = p.Draft()
	put(d, report("fay", "", false))
	misled(d, "ada")
}

func TestPictureWithoutManagersIsReadAndLearnsThem(t *testing.T) {
	dir := t.TempDir()
	opts := directory.Options{Dir: dir, Source: "contoso", BaseURL: baseURL}
	p, err := directory.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	shown := report("ada", "bob", false)
	d := p.Draft()
	for _, rec := range []directory.Record{shown, report("bob", "", false)} {
		rec.Manager = "" // as it was put then
		if err := d.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
	before := sealed(t, p, d, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	p.Close()

	files, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil || len(files) != 1 {
		t.Fatalf("segments: %q, %v", files, err)
	}
	if err := directory.AsFormat2(files[0]); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(dir, "manifest.json")
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, bytes.Replace(data, []byte(`"format":4`), []byte(`"format":2`), 1), 0o600); err != nil {
		t.Fatal(err)
	}

	if p, err = directory.Open(opts); err != nil {
		t.Fatal(err)
	}
	if got := p.Current(); got == nil || got.Generation() != before.Generation() {
		t.Fatal("the picture was not read")
	}
	d = p.Draft()
	if err := d.Put(shown); err != nil {
		t.Fatal(err)
	}
	s := sealed(t, p, d, time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	if !s.Diff().Empty() || s.Generation() != before.Generation() {
		t.Errorf("generation %d with %+v: nobody changed", s.Generation(), s.Diff().Counts)
	}
	if ada, _ := s.ByID("ada"); !ada.LastModified().Equal(before.Published()) {
		t.Errorf("lastModified is %s", ada.LastModified())
	}
	d = p.Draft()
	d.Remove("bob")
	if got := d.Misled(); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("misled are %q", got)
	}
	d.Discard()
	p.Close()
	if p, err = directory.Open(opts); err != nil || p.Current() == nil {
		t.Fatalf("both formats beside each other: %v", err)
	}
}
