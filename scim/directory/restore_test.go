package directory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// bodies gives what is served, without meta and in no particular order of
// resources, groups and members.
func bodies(s *directory.Snapshot) (all []string) {
	v := directory.NewView(s)
	for t := range directory.Type(directory.NumTypes) {
		for i := range v.Len(t) {
			r := v.At(t, i)
			links := []string{}
			for e := range r.Elements() {
				links = append(links, string(e))
			}
			slices.Sort(links)
			all = append(all, string(r.Head())+strings.Join(links, ","))
		}
	}
	slices.Sort(all)
	return all
}

func TestRestoreGivesBackAnOlderGeneration(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, seed)
		w.opts.Keep = 100
		w.open()
		want := map[uint64][]string{}
		for range 15 {
			w.draft = w.picture.Draft()
			for range 10 {
				w.step()
			}
			s := sealed(t, w.picture, w.draft, w.now)
			want[s.Generation()] = bodies(s)
		}
		for generation, want := range want {
			old, ok := w.picture.At(generation)
			if !ok {
				t.Fatalf("seed %d: generation %d is not kept", seed, generation)
			}
			draft := w.picture.Draft()
			if err := draft.Restore(old); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s := sealed(t, w.picture, draft, w.now)
			if got := bodies(s); !slices.Equal(got, want) {
				t.Fatalf("seed %d: generation %d comes back as\n%s\nwant\n%s", seed, generation, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// sealed seals a draft and publishes it.
func sealed(t *testing.T, p *directory.Picture, d *directory.Draft, now time.Time) *directory.Snapshot {
	t.Helper()
	s, err := d.Seal(t.Context(), now, directory.Tag{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(s); err != nil {
		t.Fatal(err)
	}
	return s
}
