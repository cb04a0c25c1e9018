package directory

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A View is the directory that one request reads: the snapshots of one or more
// sources side by side. It never changes. Positions count from 0 in list
// order, each type for itself: the resources of the first source in the order
// in which they were first seen, then those of the next. What several sources have
// is there once ([View.Shared]).
//
// The byte slices that a View and its Resources give lie in files mapped into
// memory, which stay mapped for as long as the View is reachable: a caller
// that passes them on keeps the View alive (runtime.KeepAlive) until the last
// byte is used. They must not be changed.
type View struct {
	parts  []part
	total  [NumTypes]int
	shared []Shared
	only   sync.Map // names of sources, quoted -> *View; of a view in which something is shared
}

// A part is one source's snapshot, as it is seen in the view, and where its lists
// begin.
type part struct {
	snap  *Snapshot
	start [NumTypes]int
}

// NewView puts snapshots side by side, in the given order.
func NewView(snapshots ...*Snapshot) *View {
	snapshots, shared := showOnce(snapshots)
	v := sideBySide(snapshots)
	v.shared = shared
	return v
}

func sideBySide(snapshots []*Snapshot) *View {
	v := &View{}
	for _, s := range snapshots {
		v.parts = append(v.parts, part{s, v.total})
		for t := range Type(NumTypes) {
			v.total[t] += s.Len(t)
		}
	}
	return v
}

// Only gives the view restricted to the named sources.
func (v *View) Only(sources ...string) *View {
	var kept []*Snapshot
	for _, p := range v.parts {
		if slices.Contains(sources, p.snap.source) {
			kept = append(kept, p.snap.all())
		}
	}
	if len(v.shared) == 0 {
		return sideBySide(kept)
	}
	key := fmt.Sprintf("%q", sources)
	only, ok := v.only.Load(key)
	if !ok {
		only, _ = v.only.LoadOrStore(key, NewView(kept...))
	}
	return only.(*View)
}

// Snapshots are the view's snapshots in its order, with what it shows of others.
func (v *View) Snapshots() []*Snapshot {
	snaps := make([]*Snapshot, len(v.parts))
	for i, p := range v.parts {
		snaps[i] = p.snap.all()
	}
	return snaps
}

// Sources ranges over the names of the view's sources, in its order.
func (v *View) Sources(yield func(string) bool) {
	for i := range v.parts {
		if !yield(v.parts[i].snap.source) {
			return
		}
	}
}

// ID names the view's snapshots, source by source with their generations, so
// that the same view can be had again later ([Library.ByID]). Two views with
// one ID hold the same resources with the same bytes.
func (v *View) ID() string {
	var room [64]byte
	return string(v.AppendID(room[:0]))
}

// AppendID appends the view's ID to dst.
func (v *View) AppendID(dst []byte) []byte {
	for i, p := range v.parts {
		if i > 0 {
			dst = append(dst, '+')
		}
		dst = append(append(dst, p.snap.source...), '.')
		dst = strconv.AppendUint(dst, p.snap.generation, 10)
	}
	return dst
}

// Len is the number of resources of a type.
func (v *View) Len(t Type) int { return v.total[t] }

// At gives the resource at position i. It panics when i is out of range.
func (v *View) At(t Type, i int) Resource {
	for k := len(v.parts) - 1; k >= 0; k-- {
		if p := v.parts[k]; i >= p.start[t] {
			r := p.snap.at(t, i-p.start[t])
			r.pos = i
			return r
		}
	}
	panic(fmt.Sprintf("directory: %s %d of %d", t, i, v.total[t]))
}

// Resources gives the resources at the positions i to j-1, one after the other
// and for less than as many calls of At.
func (v *View) Resources(t Type, i, j int) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		pos := i
		for s, r := range v.ranges(t, i, j) {
			for run := range s.spans(t, r.from, r.to) {
				seg := s.segments[run.segment]
				for row := run.first; row < run.end; row++ {
					if !yield(Resource{snap: s.all(), seg: seg, rec: &seg.rows[t][row], typ: t, pos: pos}) {
						return
					}
					pos++
				}
			}
		}
	}
}

// ByID finds the resource of any type with the given id (case-exact).
func (v *View) ByID(id string) (Resource, bool) {
	for _, p := range v.parts {
		if r, ok := p.snap.ByID(id); ok {
			r.pos += p.start[r.typ]
			return r, true
		}
	}
	return Resource{}, false
}

// Find gives the positions, ascending, of the resources of type t that hold
// key in the index. It may give a few more (hashes collide): the caller checks
// each against its own predicate. It never gives fewer.
func (v *View) Find(t Type, ix Index, key string) []int {
	return v.gather(t, func(s *Snapshot) []int { return s.find(t, ix, key) })
}

// Named gives the positions of the resources of type t that people may mean by a
// text, each once: by userName, e-mail address, displayName, externalId, in this
// order. As of Find there may be a few more.
func (v *View) Named(t Type, text string) (all []int) {
	for _, ix := range []Index{ByUserName, ByEmail, ByDisplayName, ByExternalID} {
		for _, i := range v.Find(t, ix, text) {
			if !slices.Contains(all, i) {
				all = append(all, i)
			}
		}
	}
	return all
}

// ModifiedSince gives the positions, ascending, of the resources of type t
// whose lastModified is at or after the given time.
func (v *View) ModifiedSince(t Type, since time.Time) []int {
	// A time between two milliseconds is before the later one.
	milli := since.UnixMilli()
	if since.After(time.UnixMilli(milli)) {
		milli++
	}
	return v.gather(t, func(s *Snapshot) []int { return s.modifiedSince(t, milli) })
}

// gather puts together what find gives of each snapshot, which it may change.
func (v *View) gather(t Type, find func(*Snapshot) []int) []int {
	var all []int
	for _, p := range v.parts {
		found := find(p.snap)
		for i := range found {
			found[i] += p.start[t]
		}
		if all == nil {
			all = found
		} else {
			all = append(all, found...)
		}
	}
	return all
}

// LastModified is the time of the latest change to anything in the view,
// removals included. It is zero for a view without snapshots.
func (v *View) LastModified() time.Time {
	var latest time.Time
	for _, p := range v.parts {
		if at := p.snap.Published(); at.After(latest) {
			latest = at
		}
	}
	return latest
}

// Pieces appends to dst the byte slices that, put together, are the JSON
// objects of the resources i to j-1 with a comma between them, and returns
// dst. Where resources lie together in a file they come as one slice.
func (v *View) Pieces(dst [][]byte, t Type, i, j int) [][]byte {
	before := len(dst)
	for s, r := range v.ranges(t, i, j) {
		dst = s.pieces(dst, t, r.from, r.to)
	}
	if len(dst) == before {
		return dst
	}
	// Every resource came with a comma after it; the last is not followed.
	last := &dst[len(dst)-1]
	if *last = (*last)[:len(*last)-1]; len(*last) == 0 {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// positions is a range of list positions, to not among them.
type positions struct{ from, to int }

// ranges gives the parts of the range i to j-1, each with its snapshot and the
// positions there.
func (v *View) ranges(t Type, i, j int) iter.Seq2[*Snapshot, positions] {
	return func(yield func(*Snapshot, positions) bool) {
		for k, p := range v.parts {
			start, end := p.start[t], v.total[t]
			if k+1 < len(v.parts) {
				end = v.parts[k+1].start[t]
			}
			if from, to := max(i, start), min(j, end); from < to && !yield(p.snap, positions{from - start, to - start}) {
				return
			}
		}
	}
}
