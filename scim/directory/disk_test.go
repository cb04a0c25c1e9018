package directory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// content is everything that a picture serves, "" where it has none.
func content(p *directory.Picture) string {
	s := p.Current()
	if s == nil {
		return ""
	}
	var b strings.Builder
	v := directory.NewView(s)
	for t := range directory.Type(directory.NumTypes) {
		for i := range v.Len(t) {
			body, _, _ := strings.Cut(string(v.At(t, i).AppendJSON(nil)), `,"meta":`)
			b.WriteString(body + "\n")
		}
	}
	return b.String()
}

// A trial is one publication, with a merge after it, on a copy of a directory.
type trial struct {
	t    *testing.T
	opts directory.Options
}

func (x trial) open(dir string) *directory.Picture {
	x.t.Helper()
	opts := x.opts
	opts.Dir = dir
	p, err := directory.Open(opts)
	if err != nil {
		x.t.Fatal(err)
	}
	p.SetFanOut(2) // so that there is something to merge soon
	return p
}

// copied gives a copy of a directory, as a crash leaves it.
func (x trial) copied(dir string) string {
	x.t.Helper()
	to := filepath.Join(x.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		x.t.Fatal(err)
	}
	return to
}

// publish makes the change; published tells that it took effect.
func (x trial) publish(p *directory.Picture) (published bool, err error) {
	d := p.Draft()
	defer d.Discard()
	for i := range 40 {
		id := fmt.Sprint("u", i)
		y := &thing{typ: directory.User, id: id, userName: id, display: "renamed", title: strings.Repeat("x", 200)}
		if err := d.Put(y.record()); err != nil {
			return false, err
		}
	}
	d.Remove("u50")
	d.Leave("g", "u60")
	s, err := d.Seal(x.t.Context(), time.Now(), directory.Tag{Round: 9})
	if err == nil {
		err = p.Publish(s)
	}
	if err != nil {
		return false, err
	}
	return true, p.Tidy(x.t.Context())
}

// prepared makes a picture with a base and some segments over it, which the next
// publication has merged.
func (x trial) prepared() string {
	x.t.Helper()
	dir := filepath.Join(x.t.TempDir(), "picture")
	p := x.open(dir)
	for round := range 3 {
		publish(x.t, p, func(d *directory.Draft) {
			for i := round; i < 300; i += 1 + round*7 {
				id := fmt.Sprint("u", i)
				y := &thing{typ: directory.User, id: id, userName: id, display: fmt.Sprint("User ", i, round)}
				if err := d.Put(y.record()); err != nil {
					x.t.Fatal(err)
				}
			}
			g := &thing{typ: directory.Group, id: "g", display: "All"}
			if err := d.Put(g.record()); err != nil {
				x.t.Fatal(err)
			}
			for i := range 300 {
				d.Join("g", fmt.Sprint("u", i))
			}
		})
	}
	p.Close()
	return dir
}

// Whatever step of writing a picture fails, and however: what is served, and
// what is served after a crash there and then, is the old picture or the new
// one, whole; and the next publication heals everything.
func TestEveryStepOfWritingFails(t *testing.T) {
	for _, keep := range []int{1, 4} {
		t.Run(fmt.Sprintf("keep %d", keep), func(t *testing.T) {
			x := trial{t, directory.Options{Source: "s", BaseURL: baseURL, Keep: keep}}
			prepared := x.prepared()
			p := x.open(x.copied(prepared))
			before := content(p)
			seen := make(map[string]bool)
			steps := 0
			p.SetFailpoint(func(step string, done bool) error {
				steps++
				seen[step] = true
				return nil
			})
			if _, err := x.publish(p); err != nil {
				t.Fatal(err)
			}
			after := content(p)
			p.Close()
			if before == after || len(seen) < 11 || steps < 40 {
				t.Fatalf("%d steps, of these kinds: %v", steps, seen)
			}
			for n := range steps {
				x.fail(prepared, n, before, after)
			}
		})
	}
}

// fail has the n-th call of the failpoint fail.
func (x trial) fail(prepared string, n int, before, after string) {
	x.t.Helper()
	dir := x.copied(prepared)
	p := x.open(dir)
	var crashed, at string
	calls := 0
	p.SetFailpoint(func(step string, done bool) error {
		calls++
		if calls != n+1 {
			return nil
		}
		at = fmt.Sprintf("step %d (%s, done: %t)", n, step, done)
		crashed = x.copied(dir)
		return fmt.Errorf("%s: %w", step, []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO}[n%3])
	})
	old := func(what, got string) {
		x.t.Helper()
		if got != before && got != after {
			x.t.Errorf("%s: %s is neither the old picture nor the new one: %d bytes, where they have %d and %d", at, what, len(got), len(before), len(after))
		}
	}
	published, err := x.publish(p)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EIO) {
		x.t.Errorf("%s: the error is %v", at, err)
	}
	want := before
	if published {
		want = after
	}
	if content(p) != want {
		x.t.Errorf("%s: published: %t, and what is served is not that", at, published)
	}
	old("what a crash at that moment left", content(x.open(crashed)))
	p.Draft().Discard() // removes what nobody needs
	old("what a crash after it left", content(x.open(x.copied(dir))))
	p.SetFailpoint(nil)
	if _, err := x.publish(p); err != nil {
		x.t.Errorf("%s: the next publication: %v", at, err)
	}
	p.Close()
	again := x.open(dir)
	if content(again) != after || again.Verify() != nil {
		x.t.Errorf("%s: after the next publication and a restart it is not the new picture, or damaged: %v", at, again.Verify())
	}
	if err := again.Close(); err != nil {
		x.t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		x.t.Errorf("%s: %v are left", at, left)
	}
}
