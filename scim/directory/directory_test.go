package directory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// Random histories of changes, publications, merges and restarts give what the
// model gives, every time, for every reader.
func TestHistories(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			kept := map[uint64]string{} // generation -> everything it serves
			for round := range 25 {
				w.draft = w.picture.Draft()
				for range 1 + w.rnd.IntN(60)/(1+round%4*6) {
					w.step()
				}
				w.publish()
				if w.rnd.IntN(2) == 0 {
					if err := w.picture.Tidy(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if w.rnd.IntN(4) == 0 {
					w.open()
				}
				w.check()
				s := w.picture.Current()
				kept[s.Generation()] = everything(s)
				for _, g := range w.picture.Generations() {
					old, ok := w.picture.At(g.Number)
					if !ok || everything(old) != kept[g.Number] {
						t.Fatalf("generation %d is not what it was", g.Number)
					}
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			if err := w.picture.Verify(); err != nil {
				t.Error(err)
			}
			if w.packed == 0 {
				t.Error("no compressed block was looked at")
			}
		})
	}
}

// A large group that changed may lie beside another in a segment, and is still served
// with members that lie elsewhere.
func TestBigGroupBesideAnother(t *testing.T) {
	w := newWorld(t, 5) // which is not written anew so soon
	w.draft = w.picture.Draft()
	w.put(&thing{typ: directory.User, id: "ada", userName: "ada"})
	w.publish() // the base
	w.draft = w.picture.Draft()
	w.put(&thing{typ: directory.Group, id: "small", display: "Small"})
	w.put(&thing{typ: directory.Group, id: "big", display: "Big"})
	for i := range 300 {
		id := fmt.Sprintf("u%d", i)
		w.put(&thing{typ: directory.User, id: id, userName: id})
		w.model.join("big", id)
		w.draft.Join("big", id)
	}
	w.publish()
	w.draft = w.picture.Draft()
	w.put(&thing{typ: directory.Group, id: "small", display: "Little"})
	w.model.join("big", "ada")
	w.draft.Join("big", "ada")
	w.publish()
	w.check()
}

// What a program of format 3 wrote of large groups is served, and changed, as if it
// had been written now.
func TestPictureWithoutRunsIsRead(t *testing.T) {
	w := newWorld(t, 4) // whose groups are cut small
	rounds := func(n int) {
		for range n {
			w.draft = w.picture.Draft()
			for range 20 {
				w.step()
			}
			w.publish()
			w.check()
		}
	}
	rounds(12)
	before := everything(w.picture.Current())
	scattered, err := directory.AsFormat3(w.picture.Current())
	if err != nil || scattered == 0 {
		t.Fatalf("%d scattered rows, %v", scattered, err)
	}
	w.open()
	if got := everything(w.picture.Current()); got != before {
		t.Fatalf("served is\n%s\nwant\n%s", got, before)
	}
	rounds(4)
	if err := w.picture.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.check()
	rounds(8)
}

func everything(s *directory.Snapshot) string {
	v := directory.NewView(s)
	var b bytes.Buffer
	for t := range directory.Type(directory.NumTypes) {
		for _, p := range v.Pieces(nil, t, 0, v.Len(t)) {
			b.Write(p)
		}
	}
	return b.String()
}

// A group of thousands is written in chunks, of which a change rewrites few.
func TestBigGroup(t *testing.T) {
	w := newWorld(t, 1)
	w.draft = w.picture.Draft()
	w.put(&thing{typ: directory.Group, id: "all", display: "All staff"})
	for i := range 2500 {
		id := fmt.Sprintf("u%05d", i)
		w.put(&thing{typ: directory.User, id: id, userName: id, display: "User " + id})
		w.model.join("all", id)
		w.draft.Join("all", id)
	}
	w.publish()
	w.check()
	for round := range 8 {
		w.draft = w.picture.Draft()
		for i := range 5 {
			id := fmt.Sprintf("u%05d", (round*911+i*377)%2500)
			switch x := w.model.things[id]; {
			case x == nil:
			case i == 0:
				w.model.remove(id)
				w.draft.Remove(id)
			case i == 1:
				delete(w.model.members["all"], id)
				w.draft.Leave("all", id)
			default:
				y := *x
				y.display += "!"
				w.put(&y)
			}
		}
		id := fmt.Sprintf("new%d", round)
		w.put(&thing{typ: directory.User, id: id, userName: id, display: "New " + id})
		w.model.join("all", id)
		w.draft.Join("all", id)
		before := filesSize(t, w.opts.Dir)
		w.publish()
		if grown := filesSize(t, w.opts.Dir) - before; grown > 300<<10 {
			t.Errorf("a change of a few members wrote %d bytes; the whole group has some 350,000", grown)
		}
		w.check()
		if err := w.picture.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check()
	}
	w.open()
	w.check()
}

func filesSize(t *testing.T, dir string) (total int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func TestDraft(t *testing.T) {
	user := func(id, name string) directory.Record {
		x := &thing{typ: directory.User, id: id, userName: id, display: name}
		return x.record()
	}
	group := func(id string) directory.Record {
		x := &thing{typ: directory.Group, id: id, display: id}
		return x.record()
	}
	start := func(t *testing.T) *directory.Picture {
		p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "s", BaseURL: baseURL})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, p, func(d *directory.Draft) {
			for _, rec := range []directory.Record{user("ada", "Ada"), user("bob", "Bob"), group("eng"), group("all")} {
				if err := d.Put(rec); err != nil {
					t.Fatal(err)
				}
			}
			d.Join("eng", "ada")
			d.Join("all", "eng")
		})
		return p
	}
	members := func(p *directory.Picture, id string) string {
		r, _ := p.Current().ByID(id)
		return string(r.Attribute(r.LinksName()))
	}

	t.Run("a membership may be said before its ends are there", func(t *testing.T) {
		p := start(t)
		publish(t, p, func(d *directory.Draft) {
			d.Join("new", "cyd")
			d.Join("new", "nobody")
			d.Put(user("cyd", "Cyd"))
			d.Put(group("new"))
		})
		if got := members(p, "new"); !strings.Contains(got, `"cyd"`) || strings.Contains(got, "nobody") {
			t.Errorf("members are %s", got)
		}
	})
	t.Run("the last word on a membership counts", func(t *testing.T) {
		p := start(t)
		publish(t, p, func(d *directory.Draft) {
			d.Leave("eng", "ada")
			d.Join("eng", "ada")
			d.Join("eng", "bob")
			d.Leave("eng", "bob")
		})
		if got := members(p, "eng"); !strings.Contains(got, `"ada"`) || strings.Contains(got, `"bob"`) {
			t.Errorf("members are %s", got)
		}
	})
	t.Run("a detached user is in no group and comes back when joined again", func(t *testing.T) {
		p := start(t)
		rec := user("ada", "Ada")
		rec.Active, rec.Detached = false, true
		publish(t, p, func(d *directory.Draft) { d.Put(rec); d.Join("all", "ada") })
		if got := members(p, "eng") + members(p, "ada"); got != "" {
			t.Errorf("memberships of a detached user: %s", got)
		}
		publish(t, p, func(d *directory.Draft) { d.Put(user("ada", "Ada")); d.Join("eng", "ada") })
		if got := members(p, "ada"); !strings.Contains(got, `"eng"`) || !strings.Contains(got, `"indirect"`) {
			t.Errorf("groups are %s", got)
		}
	})
	t.Run("groups may contain one another", func(t *testing.T) {
		p := start(t)
		publish(t, p, func(d *directory.Draft) { d.Join("eng", "all"); d.Join("eng", "eng") })
		if got := members(p, "ada"); strings.Count(got, `"value"`) != 2 {
			t.Errorf("groups are %s", got)
		}
	})
	t.Run("nothing changed gives an empty diff and the same generation", func(t *testing.T) {
		p := start(t)
		d := p.Draft()
		d.Put(user("ada", "Ada"))
		d.Join("eng", "ada")
		d.Remove("nobody")
		s, err := d.Seal(t.Context(), time.Now(), directory.Tag{Round: 7})
		if err != nil {
			t.Fatal(err)
		}
		if !s.Diff().Empty() || s.Generation() != 1 {
			t.Errorf("diff %+v, generation %d", s.Diff().Counts, s.Generation())
		}
		if err := p.Publish(s); err != nil {
			t.Fatal(err)
		}
		if got := p.Current().Tag().Round; got != 7 {
			t.Errorf("round is %d, want 7", got)
		}
	})
	t.Run("lastModified goes on when the clock goes back", func(t *testing.T) {
		p := start(t)
		first := p.Current().Published()
		d := p.Draft()
		d.Put(user("ada", "Ada L."))
		s, err := d.Seal(t.Context(), first.Add(-time.Hour), directory.Tag{})
		if err != nil {
			t.Fatal(err)
		}
		if r, _ := s.ByID("ada"); !r.LastModified().After(first) {
			t.Errorf("lastModified %s is not after %s", r.LastModified(), first)
		}
	})
	t.Run("another base URL renders everything again, in the same order", func(t *testing.T) {
		dir := t.TempDir()
		opts := directory.Options{Dir: dir, Source: "s", BaseURL: baseURL}
		p, err := directory.Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, p, func(d *directory.Draft) {
			d.Put(user("bob", "Bob"))
			d.Put(user("ada", "Ada"))
			d.Put(group("eng"))
			d.Join("eng", "ada")
		})
		before := everything(p.Current())
		opts.BaseURL = "https://other.example/v2"
		if p, err = directory.Open(opts); err != nil {
			t.Fatal(err)
		}
		s := publish(t, p, func(d *directory.Draft) { d.Put(user("ada", "Ada")) })
		if c := s.Diff().Counts; c[directory.User].Changed != 2 || c[directory.Group].Changed != 1 {
			t.Errorf("changes are %+v", c)
		}
		stamp := regexp.MustCompile(`"lastModified":"[^"]*"|"version":"W/[^}]*"`)
		want := strings.ReplaceAll(before, baseURL, opts.BaseURL)
		if got := everything(p.Current()); stamp.ReplaceAllString(got, "") != stamp.ReplaceAllString(want, "") {
			t.Errorf("served is\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("an abandoned snapshot cannot be published", func(t *testing.T) {
		p := start(t)
		d := p.Draft()
		d.Remove("ada")
		held, err := d.Seal(t.Context(), time.Now(), directory.Tag{})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, p, func(d *directory.Draft) { d.Put(user("cyd", "Cyd")) })
		if err := p.Publish(held); err == nil {
			t.Error("it was")
		}
		if _, ok := p.Current().ByID("ada"); !ok {
			t.Error("ada is gone")
		}
		if _, ok := held.ByID("ada"); ok {
			t.Error("the abandoned snapshot can't be read")
		}
	})
	t.Run("a cancelled seal leaves no file", func(t *testing.T) {
		dir := t.TempDir()
		p, err := directory.Open(directory.Options{Dir: dir, Source: "s", BaseURL: baseURL})
		if err != nil {
			t.Fatal(err)
		}
		d := p.Draft()
		d.Put(user("ada", "Ada"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.Seal(ctx, time.Now(), directory.Tag{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if n := filesSize(t, dir); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
	for name, rec := range map[string]directory.Record{
		"an id that a URL can't carry": {ID: "a/b", Body: []byte(`"schemas":[],"id":"a/b"`)},
		"no id":                        {Body: []byte(`"schemas":[]`)},
		"another id":                   {ID: "x", Body: []byte(`"schemas":[],"id":"y"`)},
		"no schemas":                   {ID: "x", Body: []byte(`"id":"x"`)},
		"the id of a group":            {ID: "eng", Body: []byte(`"schemas":[],"id":"eng"`)},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if err := start(t).Draft().Put(rec); err == nil {
				t.Error("no error")
			}
		})
	}
}

func publish(t *testing.T, p *directory.Picture, change func(*directory.Draft)) *directory.Snapshot {
	t.Helper()
	d := p.Draft()
	change(d)
	s, err := d.Seal(t.Context(), time.Now(), directory.Tag{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// A damaged generation is never served: the one before it is.
func TestDamage(t *testing.T) {
	w := newWorld(t, 3)
	for range 3 {
		w.draft = w.picture.Draft()
		for range 50 {
			w.step()
		}
		w.publish()
	}
	files, _ := filepath.Glob(filepath.Join(w.opts.Dir, "*.segment"))
	whole, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	previous := w.picture.Generations()[1].Number
	for name, damage := range map[string]func([]byte) []byte{
		"empty":            func([]byte) []byte { return nil },
		"cut short":        func(b []byte) []byte { return b[:len(b)-100] },
		"header only":      func(b []byte) []byte { return b[:1024] },
		"a flipped bit":    func(b []byte) []byte { b[len(b)-20] ^= 4; return b },
		"a foreign file":   func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
		"another's number": func([]byte) []byte { b, _ := os.ReadFile(files[0]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(w.opts.Dir)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, filepath.Base(files[len(files)-1]))
			if err := os.WriteFile(path, damage(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			opts := w.opts
			opts.Dir = dir
			p, err := directory.Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Current().Generation(); got != previous {
				t.Errorf("generation %d is current, want %d", got, previous)
			}
		})
	}
	t.Run("a flipped bit in a body is found by Verify", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(w.opts.Dir)); err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(whole)
		b[1030] ^= 1
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(files[len(files)-1])), b, 0o600); err != nil {
			t.Fatal(err)
		}
		opts := w.opts
		opts.Dir = dir
		p, err := directory.Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(); err == nil {
			t.Error("it was not")
		}
	})
	t.Run("another source's picture is refused", func(t *testing.T) {
		opts := w.opts
		opts.Source = "fabrikam"
		if _, err := directory.Open(opts); err == nil {
			t.Error("it was not")
		}
	})
}

func TestLibrary(t *testing.T) {
	var pictures []*directory.Picture
	for _, name := range []string{"contoso", "fabrikam", "empty"} {
		p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: name, BaseURL: baseURL, Keep: 2})
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, p)
	}
	add := func(p *directory.Picture, id string) {
		publish(t, p, func(d *directory.Draft) {
			x := &thing{typ: directory.User, id: id, userName: id, display: id}
			if err := d.Put(x.record()); err != nil {
				t.Fatal(err)
			}
		})
	}
	add(pictures[0], "a1")
	add(pictures[1], "b1")
	var l directory.Library
	l.SetPictures(pictures)
	first := l.View()
	if l.View() != first {
		t.Error("the view changed although nothing was published")
	}
	add(pictures[0], "a2")
	second := l.View()
	var ids []string
	for i := range second.Len(directory.User) {
		ids = append(ids, second.At(directory.User, i).ID())
	}
	if got := strings.Join(ids, " "); got != "a1 a2 b1" {
		t.Errorf("users are %s", got)
	}
	if r, ok := second.ByID("b1"); !ok || r.Position() != 2 || r.Source() != "fabrikam" {
		t.Errorf("b1 is %v at %d from %s", ok, r.Position(), r.Source())
	}
	if got := second.Find(directory.User, directory.ByUserName, "B1"); len(got) != 1 || got[0] != 2 {
		t.Errorf("b1 is found at %v", got)
	}
	only := second.Only("fabrikam")
	if only.Len(directory.User) != 1 || only.ID() != "fabrikam.1" {
		t.Errorf("restricted view has %d users, id %s", only.Len(directory.User), only.ID())
	}
	again, ok := l.ByID(first.ID())
	if !ok || again.Len(directory.User) != 2 {
		t.Errorf("the first view is had again: %t", ok)
	}
	add(pictures[0], "a3")
	if _, ok := l.ByID(first.ID()); ok {
		t.Error("a view whose generation is not kept is had again")
	}
	for _, id := range []string{"", "contoso", "contoso.x", "nobody.1", "contoso.99"} {
		if _, ok := l.ByID(id); ok {
			t.Errorf("a view %q is had", id)
		}
	}
}
