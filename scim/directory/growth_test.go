package directory

import (
	"fmt"
	"testing"
	"time"
)

// TestAChangedMemberCostsAsMuchInALargeGroup counts what a draft writes by which
// a few members leave a group: the bytes are those of the changes, at any size.
func TestAChangedMemberCostsAsMuchInALargeGroup(t *testing.T) {
	var sizes []int64
	for _, n := range []int{4000, 64_000} {
		p, err := Open(Options{Dir: t.TempDir(), Source: "a", BaseURL: "https://scim.example/v2"})
		if err != nil {
			t.Fatal(err)
		}
		user := func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", i) }
		seal := func(d *Draft) *Snapshot {
			s, err := d.Seal(t.Context(), time.UnixMilli(1), Tag{})
			if err == nil {
				err = p.Publish(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		put := func(d *Draft, typ Type, id string) {
			if err := d.Put(Record{Type: typ, ID: id, Active: true, Body: fmt.Appendf(nil, `"schemas":[],"id":"%s"`, id)}); err != nil {
				t.Fatal(err)
			}
		}
		d := p.Draft()
		put(d, Group, "everybody")
		for i := range n {
			put(d, User, user(i))
			d.Join("everybody", user(i))
		}
		seal(d)
		d = p.Draft()
		for i := range 10 {
			d.Leave("everybody", user((2*i+1)*n/20))
		}
		s := seal(d)
		sizes = append(sizes, s.segments[len(s.segments)-1].size)
	}
	t.Logf("%d bytes", sizes)
	if float64(sizes[1]) > 1.1*float64(sizes[0]) {
		t.Errorf("ten members who leave a group cost %d bytes, and %d where it is sixteen times as large", sizes[0], sizes[1])
	}
}
