package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"scimbridge/scim/directory"
	"scimbridge/scim/fair"
)

// schemaList is the schema of a list (RFC 7644 §3.4.2).
const schemaList = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// A result is what a query found, in the order in which it is returned.
type result []section

// A section is a part of a result: either all resources of a type in list
// order, or chosen ones of any type.
type section struct {
	n      int
	t      directory.Type // where chosen is nil
	chosen []uint32       // see placeOf; nil for all of type t. It may be shared
}

// typeBit is where a place holds the type, above the position.
const typeBit = 31

// placeOf names a resource by its type and position in the view.
func placeOf(t directory.Type, position int) uint32 { return uint32(t)<<typeBit | uint32(position) }

// placed takes a place apart.
func placed(place uint32) (t directory.Type, position int) {
	return directory.Type(place >> typeBit), int(place & (1<<typeBit - 1))
}

// place is the type and the position in the view of the section's i-th
// resource.
func (s section) place(i int) (directory.Type, int) {
	if s.chosen == nil {
		return s.t, i
	}
	return placed(s.chosen[i])
}

// run is how many resources from the i-th on, before the j-th, lie side by side
// in the view.
func (s section) run(i, j int) int {
	if s.chosen == nil {
		return j - i
	}
	n := 1
	for i+n < j && s.chosen[i+n] == s.chosen[i]+uint32(n) {
		n++
	}
	return n
}

// total is the number of resources in the result.
func (r result) total() (n int) {
	for _, s := range r {
		n += s.n
	}
	return n
}

// weight is how many positions are kept for the result.
func (r result) weight() (n int) {
	for _, s := range r {
		n += len(s.chosen)
	}
	return n
}

// page is how many resources are in the page at startIndex start, of so many at
// most.
func (r result) page(start, size int) int {
	return max(0, min(size, r.total()-start+1))
}

// cut calls f for the parts of the sections that lie in the given range of the
// result, from i up to but not j.
func (r result) cut(i, j int, f func(s section, i, j int)) {
	for _, s := range r {
		if from, to := max(i, 0), min(j, s.n); from < to {
			f(s, from, to)
		}
		i, j = i-s.n, j-s.n
	}
}

// A page is one answer's part of a result.
type page struct {
	pin
	total int
	start int // startIndex
	size  int // resources that would have fitted
	items int // itemsPerPage: resources in the page

	cursors  bool   // paged by cursor: no startIndex
	next     string // nextCursor; empty on the last page
	previous string // previousCursor; empty on the first page
}

// newPage cuts the page at startIndex start out of a result.
func newPage(p pin, start, size int) page {
	return page{pin: p, total: p.result.total(), start: start, size: size, items: p.result.page(start, size)}
}

// tag is the page's entity tag. It names everything that the answer depends on:
// the view, by the generations of its sources and, should these have been
// counted anew, by its time; what the client sees and asks; and the range.
func (p *page) tag(pl plan) string {
	b := p.view.AppendID(make([]byte, 0, 256))
	for _, n := range [...]int64{p.view.LastModified().UnixMilli(), int64(p.start), int64(p.size), int64(p.total)} {
		b = strconv.AppendInt(append(b, '\n'), n, 10)
	}
	sum := sha256.Sum256(append(append(b, '\n'), pl.bound[:]...))
	b = base64.RawURLEncoding.AppendEncode(append(b[:0], `W/"`...), sum[:12])
	return string(append(b, '"'))
}

// appendHead appends the list's envelope up to and with the bracket that opens
// Resources. Its members come in the order that strict importers want.
func (p *page) appendHead(dst []byte) []byte {
	dst = append(dst, `{"schemas":["`+schemaList+`"],"totalResults":`...)
	dst = strconv.AppendInt(dst, int64(p.total), 10)
	dst = append(dst, `,"itemsPerPage":`...)
	dst = strconv.AppendInt(dst, int64(p.items), 10)
	if !p.cursors {
		dst = append(dst, `,"startIndex":`...)
		dst = strconv.AppendInt(dst, int64(p.start), 10)
	}
	if p.previous != "" {
		dst = append(append(append(dst, `,"previousCursor":"`...), p.previous...), '"')
	}
	if p.next != "" {
		dst = append(append(append(dst, `,"nextCursor":"`...), p.next...), '"')
	}
	return append(dst, `,"Resources":[`...)
}

// listTail closes what appendHead opened.
var listTail = []byte(`]}`)

// comma stands between resources.
var comma = []byte(`,`)

// gather puts the slices that together are the page into b. Where nothing is
// filtered, sorted or projected it costs the same for every page size.
func (p *page) gather(b *body, proj *projection) {
	b.scratch = p.appendHead(b.scratch)
	b.cut()
	first := true
	var pace fair.Pace
	p.result.cut(p.start-1, p.start-1+p.items, func(s section, i, j int) {
		for i < j {
			if !first {
				b.pieces = append(b.pieces, comma)
			}
			first = false
			run := 1
			t, at := s.place(i)
			if proj != nil {
				b.held = p.view.At(t, at)
				b.pieces, b.scratch = proj.pieces(b.pieces, b.scratch, &b.held)
				if i%16 == 0 {
					pace.Keep()
				}
			} else {
				run = s.run(i, j)
				b.pieces = p.view.Pieces(b.pieces, t, at, at+run)
			}
			i += run
		}
	})
	b.pieces = append(b.pieces, listTail)
}
