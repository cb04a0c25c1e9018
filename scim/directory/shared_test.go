package directory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// Over random histories of sources that have ids in common a view has each id once,
// where a naive look at all of them puts it, and is whole in every way it is asked.
func TestSharedIDs(t *testing.T) {
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		var pictures []*directory.Picture
		var library directory.Library
		for _, source := range []string{"contoso", "partners", "fabrikam"} {
			p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: source, BaseURL: baseURL, Keep: 3})
			if err != nil {
				t.Fatal(err)
			}
			p.SetLeastOverlay(30)
			pictures = append(pictures, p)
		}
		library.SetPictures(pictures)
		hidden := 0
		for range 40 {
			p := pictures[rnd.IntN(len(pictures))]
			d := p.Draft()
			id := func() string { return fmt.Sprint("u", rnd.IntN(120)) }
			group := func() string { return fmt.Sprint("g", rnd.IntN(8)) }
			for range 1 + rnd.IntN(25) {
				switch x := (&thing{typ: directory.User, id: id(), inactive: rnd.IntN(4) == 0}); rnd.IntN(6) {
				case 0:
					d.Remove(x.id)
				case 1:
					x.typ, x.id, x.inactive = directory.Group, group(), false
					x.display = x.id
					put(t, d, x)
				case 2:
					d.Join(group(), x.id)
				case 3:
					d.Join(group(), group())
				default:
					x.userName, x.display = fmt.Sprint("name", rnd.IntN(60)), x.id
					x.detached = x.inactive && rnd.IntN(2) == 0
					put(t, d, x)
				}
			}
			s, err := d.Seal(t.Context(), time.Now(), directory.Tag{})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Publish(s); err != nil {
				t.Fatal(err)
			}
			if rnd.IntN(4) == 0 {
				if err := p.Tidy(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			v := library.View()
			hidden += checkShared(t, v)
			checkShared(t, v.Only("partners", "contoso"))
			for _, s := range v.Snapshots() {
				alone := v.Only(s.Source())
				if len(alone.Shared()) > 0 || alone.Len(directory.User) != s.Len(directory.User) || alone.Len(directory.Group) != s.Len(directory.Group) {
					t.Fatalf("seed %d: who sees %s alone does not see all of it", seed, s.Source())
				}
			}
			if again, ok := library.ByID(v.ID()); !ok || everythingIn(again) != everythingIn(v) {
				t.Fatalf("seed %d: the view had again by its ID is another one", seed)
			}
		}
		if hidden == 0 {
			t.Errorf("seed %d: nothing was shared", seed)
		}
	}
}

func put(t *testing.T, d *directory.Draft, x *thing) {
	t.Helper()
	if err := d.Put(x.record()); err != nil {
		t.Fatal(err)
	}
}

func everythingIn(v *directory.View) string {
	var b []byte
	for typ := range directory.Type(directory.NumTypes) {
		b = append(bytes.Join(v.Pieces(nil, typ, 0, v.Len(typ)), nil), b...)
	}
	return string(b)
}

// checkShared gives how many resources are passed over.
func checkShared(t *testing.T, v *directory.View) (hidden int) {
	t.Helper()
	counts := make(map[[2]string]*directory.Shared)
	for typ := range directory.Type(directory.NumTypes) {
		owner := make(map[string]directory.Resource)
		var all, want []directory.Resource
		for _, s := range v.Snapshots() {
			one := directory.NewView(s)
			for r := range one.Resources(typ, 0, one.Len(typ)) {
				all = append(all, r)
				if was, ok := owner[r.ID()]; !ok || was.Detached() && !r.Detached() {
					owner[r.ID()] = r
				}
			}
		}
		inactive := 0
		for _, r := range all {
			by := owner[r.ID()].Source()
			if by == r.Source() {
				want = append(want, r)
				if !r.Active() {
					inactive++
				}
				continue
			}
			hidden++
			key := [2]string{r.Source(), by}
			if counts[key] == nil {
				counts[key] = &directory.Shared{Source: key[0], By: key[1]}
			}
			counts[key].Counts[typ]++
		}
		if v.Len(typ) != len(want) {
			t.Fatalf("%d of %s are there, want %d", v.Len(typ), typ, len(want))
		}
		var bodies []byte
		byName, byMember, byGroup := make(map[string][]int), make(map[string][]int), make(map[string][]int)
		for i, r := range want {
			if i > 0 {
				bodies = append(bodies, ',')
			}
			bodies = r.AppendJSON(bodies)
			same := func(how string, got directory.Resource) {
				t.Helper()
				if got.ID() != r.ID() || got.Source() != r.Source() || got.Position() != i {
					t.Fatalf("%s: %s of %s at %d, want %s of %s at %d", how, got.ID(), got.Source(), got.Position(), r.ID(), r.Source(), i)
				}
			}
			same("by position", v.At(typ, i))
			got, ok := v.ByID(r.ID())
			if !ok {
				t.Fatalf("%s is not found", r.ID())
			}
			same("by id", got)
			byName[r.UserName()] = append(byName[r.UserName()], i)
			for other := range r.Elements() {
				var named struct{ Value string }
				if err := json.Unmarshal(other, &named); err != nil {
					t.Fatal(err)
				}
				id := named.Value
				if typ == directory.Group {
					byMember[id] = append(byMember[id], i)
				} else {
					byGroup[id] = append(byGroup[id], i)
				}
				if !got.Linked(id) {
					t.Fatalf("%s names %s, and is not linked with it", r.ID(), id)
				}
			}
		}
		if got := bytes.Join(v.Pieces(nil, typ, 0, len(want)), nil); !bytes.Equal(got, bodies) {
			t.Fatalf("the list is\n%s\nwant\n%s", got, bodies)
		}
		if got := (&world{t: t}).unpack(v.PackedPieces(nil, typ, 0, len(want))); got != string(bodies) {
			t.Fatalf("the packed list is\n%s\nwant\n%s", got, bodies)
		}
		if since := v.ModifiedSince(typ, time.Unix(1, 0)); len(since) != len(want) {
			t.Fatalf("%d have changed at any time, of %d", len(since), len(want))
		}
		for _, index := range []struct {
			ix   directory.Index
			want map[string][]int
		}{{directory.ByUserName, byName}, {directory.ByMember, byMember}, {directory.ByGroup, byGroup}} {
			for key, positions := range index.want {
				if got := v.Find(typ, index.ix, key); key != "" && !slices.Equal(got, positions) {
					t.Fatalf("%s by %v %s are at %v, want %v", typ, index.ix, key, got, positions)
				}
			}
		}
	}
	for _, s := range v.Shared() {
		if want := counts[[2]string{s.Source, s.By}]; want == nil || *want != s {
			t.Fatalf("shared is %+v, want %+v", s, want)
		}
		delete(counts, [2]string{s.Source, s.By})
	}
	if len(counts) > 0 {
		t.Fatalf("not told: %v", counts)
	}
	return hidden
}
