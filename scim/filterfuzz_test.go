package scim

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
)

// Whatever the filter, compiling it ends; one that is accepted finds what the
// naive evaluator finds, and its key is the same filter.
func FuzzFilter(f *testing.F) {
	for _, tt := range filterCases {
		f.Add(tt.filter)
	}
	for _, text := range []string{
		`(((`, `a[`, `emails[`, `emails[type`, `emails[type eq "work"].`, `not (`, `not(not(`, `"\u`, `x eq "\ud800\udc00"`,
		`level eq -0`, `level eq 1e-400`, `level eq 1E+2`, `score ge -0.0`, `title eq "\u0000"`, `title ew "\ude80"`, `urn::::`, `:pr`, `. pr`, `a. pr`,
	} {
		f.Add(text)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, types := range [][]directory.Type{onUsers, onBoth} {
			compiled, err := b.attrs.compileFilter(types, text)
			if err != nil {
				if err.scimType != "invalidFilter" || !strings.HasPrefix(err.detail, "filter, character ") || !utf8.ValidString(err.detail) {
					t.Errorf("error %q", err.detail)
				}
				continue
			}
			if diff := cmp.Diff(b.expected(t, types, text), b.found(t, types, compiled)); diff != "" {
				t.Errorf("-naive +compiled:\n%s", diff)
			}
			if len(compiled.key()) > maxFilterLength {
				continue // escapes and parentheses may make it longer
			}
			again, err := b.attrs.compileFilter(types, string(compiled.key()))
			if err == nil && string(again.key()) != string(compiled.key()) {
				t.Errorf("the key %s becomes %s", compiled.key(), again.key())
			}
		}
	})
}

// Whatever the path, resolving it ends; orders and projections that are
// accepted are the naive ones.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"userName", "NAME.givenName", "emails.value", "members.value", "groups.$ref", "meta.lastModified", "department", "employeeNumber",
		"level", "score", "hired", "pager.pin", "secret", "notes", enterprise, enterprise + ":manager.value", testUser + ":vip", coreUser,
		coreUser + ":emails.type", "urn:", ":", ".", "a.b.c", "\u212aame", "users", "emails[type eq \"work\"]", "id,schemas", "name, meta ,", "\xff",
	} {
		f.Add(path)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, path string) {
		if o, err := b.attrs.compileSort(onUsers, path, "descending"); err == nil && o != nil {
			want := naiveOrder(b.maps[directory.User], b.naiveOf, path, true)
			if diff := cmp.Diff(want, b.sorted(t, onUsers, o)); diff != "" {
				t.Errorf("sorted by %q (-naive +compiled):\n%s", path, diff)
			}
		}
		list := names([]string{path})
		for _, only := range []bool{true, false} {
			var attributes, excluded []string
			if only {
				attributes = list
			} else {
				excluded = list
			}
			p, err := b.attrs.compileProjection(onBoth, attributes, excluded)
			if err != nil {
				t.Fatal(err)
			}
			for _, typ := range onBoth {
				for i, m := range b.maps[typ] {
					b.checkProjected(t, p, typ, i, b.naives[typ].project(m, attributes, excluded))
				}
			}
		}
	})
}

// Timestamps agree with the plain reading of them.
func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2026-11-23T24:15:00Z", "2026-11-23", "2026-11-23T12:00:00,5+0130", "2026-11-23T12:00:00 01", "2024-02-29T23:59:60.999999999-14:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseTime(text)
		want, wantOK := naiveTime(text)
		if ok != wantOK || ok && !got.Equal(want) {
			t.Errorf("parseTime(%q) = %v, %v; plainly %v, %v", text, got, ok, want, wantOK)
		}
	})
}
