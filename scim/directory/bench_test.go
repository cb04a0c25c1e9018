package directory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// benchUser is a user of some 1.3 KB, as a real one is.
func benchUser(i int, title string) directory.Record {
	id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761&0xffffffff, i)
	name := fmt.Sprintf("user%d@contoso.example", i)
	body := fmt.Sprintf(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"%s","userName":"%s","name":{"familyName":"Family%d","givenName":"Given%d"},"displayName":"Given%d Family%d","title":"%s","active":true,"emails":[{"value":"%s","type":"work","primary":true}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Department %d","notes":"%s"}`,
		id, name, i, i, i, i, title, name, i%50, strings.Repeat("x", 700))
	return directory.Record{
		Type: directory.User, ID: id, Body: []byte(body), Active: true,
		UserName: name, DisplayName: fmt.Sprintf("Given%d Family%d", i, i), Emails: []string{name},
	}
}

func benchGroup(i int) directory.Record {
	id := fmt.Sprintf("%08x-1111-4000-8000-%012x", i, i)
	name := fmt.Sprintf("Group %d", i)
	body := fmt.Sprintf(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"%s","displayName":"%s"`, id, name)
	return directory.Record{Type: directory.Group, ID: id, Body: []byte(body), Active: true, DisplayName: name}
}

// benchPicture has n users, each in five of n/50 groups and in one of all.
func benchPicture(b testing.TB, n int) *directory.Picture { return benchPictureOf(b, n, n/50+1) }

// benchPictureOf has n users, each in five of so many groups and in one of all.
func benchPictureOf(b testing.TB, n, groups int) *directory.Picture {
	b.Helper()
	p, err := directory.Open(directory.Options{Dir: b.TempDir(), Source: "bench", BaseURL: baseURL, Keep: 2})
	if err != nil {
		b.Fatal(err)
	}
	d := p.Draft()
	ids := make([]string, groups)
	for i := range groups {
		g := benchGroup(i)
		ids[i] = g.ID
		if err := d.Put(g); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		u := benchUser(i, "Engineer")
		if err := d.Put(u); err != nil {
			b.Fatal(err)
		}
		d.Join(ids[0], u.ID)
		for k := range 5 {
			d.Join(ids[(i*7+k*13)%groups], u.ID)
		}
	}
	benchSeal(b, p, d)
	return p
}

func benchSeal(b testing.TB, p *directory.Picture, d *directory.Draft) {
	b.Helper()
	s, err := d.Seal(b.Context(), time.Now(), directory.Tag{})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Publish(s); err != nil {
		b.Fatal(err)
	}
}

// A first import: everything is put, sealed and published.
func BenchmarkFirst(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchPicture(b, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/user")
		})
	}
}

// A round of a hundred changes, in tenants of different size.
func BenchmarkDelta(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			p := benchPicture(b, n)
			b.ReportAllocs()
			round := 0
			for b.Loop() {
				round++
				d := p.Draft()
				for i := range 100 {
					if err := d.Put(benchUser((round*7919+i*104729)%n, fmt.Sprint("Engineer ", round))); err != nil {
						b.Fatal(err)
					}
				}
				benchSeal(b, p, d)
				if err := p.Tidy(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	opts := directory.Options{Dir: dir, Source: "bench", BaseURL: baseURL}
	p, err := directory.Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	d := p.Draft()
	for i := range 100_000 {
		if err := d.Put(benchUser(i, "Engineer")); err != nil {
			b.Fatal(err)
		}
	}
	benchSeal(b, p, d)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := directory.Open(opts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	v := directory.NewView(benchPicture(b, n).Current())
	b.Run("a page of 100", func(b *testing.B) {
		b.ReportAllocs()
		var pieces [][]byte
		for i := 0; b.Loop(); i++ {
			pieces = v.Pieces(pieces[:0], directory.User, i*100%n, i*100%n+100)
		}
	})
	b.Run("by id", func(b *testing.B) {
		b.ReportAllocs()
		id := v.At(directory.User, n/3).ID()
		for b.Loop() {
			if _, ok := v.ByID(id); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("by userName", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(v.Find(directory.User, directory.ByUserName, "user4711@contoso.example")) != 1 {
				b.Fatal("not found")
			}
		}
	})
}
