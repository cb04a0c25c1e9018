package directory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// Over random histories of two sources the shared names are those that a naive
// look at everybody finds, and no detached user has the name of an attached one.
func TestNamesakes(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var pictures []*directory.Picture
		for _, source := range []string{"contoso", "fabrikam"} {
			p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: source, BaseURL: baseURL, Keep: 2})
			if err != nil {
				t.Fatal(err)
			}
			pictures = append(pictures, p)
		}
		shared, yielded := 0, 0
		for range 40 {
			n := rnd.IntN(2)
			p := pictures[n]
			d := p.Draft()
			for range 1 + rnd.IntN(30) {
				id := fmt.Sprintf("%c%d", 'a'+n, rnd.IntN(200))
				if rnd.IntN(8) == 0 {
					d.Remove(id)
					continue
				}
				x := &thing{typ: directory.User, id: id, userName: fmt.Sprint([]string{"Ada", "ADA", "Zoë"}[rnd.IntN(3)], rnd.IntN(150)), display: id}
				x.inactive = rnd.IntN(4) == 0
				x.detached = x.inactive && rnd.IntN(2) == 0
				if err := d.Put(x.record()); err != nil {
					t.Fatal(err)
				}
			}
			gone := d.Yield()
			yielded += len(gone)
			s, err := d.Seal(t.Context(), time.Now(), directory.Tag{})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Publish(s); err != nil {
				t.Fatal(err)
			}
			if rnd.IntN(3) == 0 {
				if err := p.Tidy(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range gone {
				if _, ok := p.Current().ByID(id); ok {
					t.Fatalf("seed %d: %s gave her name up and is there", seed, id)
				}
			}
			shared += checkNamesakes(t, pictures)
		}
		if shared == 0 || yielded == 0 {
			t.Errorf("seed %d: %d names were shared and %d given up", seed, shared, yielded)
		}
	}
}

func checkNamesakes(t *testing.T, pictures []*directory.Picture) int {
	t.Helper()
	var snaps []*directory.Snapshot
	for _, p := range pictures {
		if s := p.Current(); s != nil {
			snaps = append(snaps, s)
		}
	}
	v := directory.NewView(snaps...)
	byName := make(map[string][]int)
	attached := make(map[string]bool) // source and name
	key := func(r directory.Resource) string {
		return directory.Fold(string(r.Attribute("userName")))
	}
	for i := range v.Len(directory.User) {
		r := v.At(directory.User, i)
		byName[key(r)] = append(byName[key(r)], i)
		if !r.Detached() {
			attached[r.Source()+key(r)] = true
		}
	}
	var want [][]int
	for i := range v.Len(directory.User) {
		r := v.At(directory.User, i)
		if r.Detached() && attached[r.Source()+key(r)] {
			t.Errorf("%s went, and has the name of somebody who is there", r.ID())
		}
		if same := byName[key(r)]; len(same) > 1 && same[0] == i {
			want = append(want, same)
		}
	}
	if got := v.Namesakes(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("namesakes are at %v, want %v", got, want)
	}
	return len(want)
}
