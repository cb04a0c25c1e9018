package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// scanPath is a filter on an attribute without an index, which nobody passes.
var scanPath = "/Users?count=10&filter=" + url.QueryEscape(`title co "zzz"`)

// queries are timed at each size.
var queries = []struct {
	title, path string
	plain       bool // the plain server can, too
}{
	{`filter=title co "zzz": nobody, found by looking at all`, scanPath, true},
	{`filter=name.familyName eq … or …:department eq …: nobody, likewise`, "/Users?count=10&filter=" + url.QueryEscape(`name.familyName eq "Zzz" or urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Zzz"`), false},
	{`filter=active eq true, the first 100 of nearly all`, "/Users?count=100&filter=" + url.QueryEscape(`active eq true`), false},
	{`filter=meta.lastModified gt now: nobody, by index`, "/Users?filter=" + url.QueryEscape(`meta.lastModified gt "2100-01-01T00:00:00Z"`), false},
	{`filter=emails.value eq, by index`, "/Users?filter=" + url.QueryEscape(`emails.value eq "nobody@nowhere.example"`), false},
	{`sortBy=name.familyName, the first 100, again`, "/Users?count=100&sortBy=name.familyName", false},
	{`attributes=userName, 1000`, "/Users?count=1000&attributes=userName", false},
	{`excludedAttributes=groups, 1000`, "/Users?count=1000&excludedAttributes=groups", false},
	{`groups without members, 1000`, "/Groups?count=1000&excludedAttributes=members", false},
}

// unsorted are attributes that nothing was sorted by yet, so that the order has
// to be made.
var unsorted = []string{"title", "name.givenName", "displayName", "userType", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"}

// queries measures filters, sorting and projections.
func (b *bench) queries(ctx context.Context) error {
	headings := []string{"one request"}
	for _, w := range b.worlds {
		headings = append(headings, thousands(w.people)+" people")
	}
	if b.plain != nil {
		headings = append(headings, "plain server, "+thousands(b.serve().people))
	}
	t := b.report.table("queries", headings...)
	for _, q := range queries {
		cells := []string{q.title}
		for _, w := range b.worlds {
			took, err := b.timeAll(ctx, w.client, w.scim, []string{q.path})
			if err != nil {
				return err
			}
			cells = append(cells, took.show(duration))
			if q.path == scanPath {
				b.report.curve("filter over all", "s", w.people, took.median())
			}
		}
		if b.plain != nil && q.plain {
			took, err := b.timeAll(ctx, b.serve().client, b.plain.url, []string{q.path})
			if err != nil {
				return err
			}
			cells = append(cells, took.show(duration))
		}
		t.row(cells...)
	}
	cells := []string{"sortBy what nobody sorted by yet, the first 100"}
	for _, w := range b.worlds {
		var paths []string
		for _, name := range unsorted[:min(b.repeat, len(unsorted))] {
			paths = append(paths, "/Users?count=100&sortBy="+name)
		}
		var took series
		for _, path := range paths {
			one, err := timeOne(ctx, w.client, w.scim+path)
			if err != nil {
				return err
			}
			took = append(took, one)
		}
		cells = append(cells, took.show(duration))
	}
	t.row(cells...)
	return nil
}

// timeAll asks for each of the paths in turn, once unmeasured and then as often
// as figures are measured.
func (b *bench) timeAll(ctx context.Context, client *http.Client, base string, paths []string) (took series, err error) {
	for i := range b.repeat + 1 {
		for _, path := range paths {
			one, err := timeOne(ctx, client, base+path)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				took = append(took, one)
			}
		}
	}
	return took, nil
}

// timeOne is the seconds until an answer is read.
func timeOne(ctx context.Context, client *http.Client, url string) (float64, error) {
	begun := time.Now()
	res, err := get(ctx, client, url, false)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return time.Since(begun).Seconds(), err
}
