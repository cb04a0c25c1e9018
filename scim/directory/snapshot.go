package directory

import (
	"iter"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"
)

// A Tag is what the caller wants remembered with a generation.
type Tag struct {
	Round   uint64 `json:"round"`   // the store's round that the generation contains
	Mapping string `json:"mapping"` // fingerprint of the mapping that rendered it
	// Epoch names the state that Round counts the rounds of: another state's
	// rounds are other rounds.
	Epoch string `json:"epoch,omitempty"`
}

// A Snapshot is one complete picture of one source at one time. It never
// changes, and may be read by any number of goroutines.
type Snapshot struct {
	source     string
	generation uint64
	published  int64 // milliseconds since 1970
	tag        Tag
	nextSeq    uint32
	inactive   int // users with active=false

	segments []*segment          // oldest first; the first is the base
	byNumber map[uint32]*segment // segment id -> segment
	tables   [NumTypes]table
	whole    *Snapshot // which has rows that a view passes over in this one; nil: this is all

	// diff is nil where the snapshot was read from disk, and once it is no longer
	// current: it leads to the one before.
	diff *atomic.Pointer[Diff]
}

// newSnapshot lays segments over one another, oldest first.
func newSnapshot(source string, segments []*segment) *Snapshot {
	s := &Snapshot{source: source, byNumber: make(map[uint32]*segment), diff: new(atomic.Pointer[Diff])}
	for _, seg := range segments {
		s.lay(seg)
	}
	return s
}

// lay adds the next segment to a snapshot that is being built.
func (s *Snapshot) lay(seg *segment) {
	s.segments = append(slices.Clip(s.segments), seg)
	s.byNumber[seg.id] = seg
	for t := range Type(NumTypes) {
		if len(s.segments) == 1 {
			s.tables[t] = table{base: seg.rows[t]}
			continue
		}
		s.tables[t] = s.tables[t].with(uint32(len(s.segments)-1), seg.rows[t], s.segments[0], t)
	}
}

// next starts the snapshot that follows s. The receiver may be nil.
func (s *Snapshot) next(source string) *Snapshot {
	n := newSnapshot(source, nil)
	if s == nil {
		return n
	}
	n.segments, n.tables = s.segments, s.tables
	for id, seg := range s.byNumber {
		n.byNumber[id] = seg
	}
	return n
}

// Source is the name of the snapshot's source.
func (s *Snapshot) Source() string { return s.source }

// Generation numbers the published snapshots of a source from 1. A sealed
// snapshot that changes nothing has the number of the one it was drafted from.
func (s *Snapshot) Generation() uint64 { return s.generation }

// Published is when the snapshot was sealed, which is the lastModified of all
// that it changed.
func (s *Snapshot) Published() time.Time { return time.UnixMilli(s.published).UTC() }

// Tag is what was given to [Draft.Seal].
func (s *Snapshot) Tag() Tag { return s.tag }

// Len is the number of resources of a type.
func (s *Snapshot) Len(t Type) int { return s.tables[t].len() }

// Active is the number of resources of a type that are not served as inactive.
func (s *Snapshot) Active(t Type) int {
	if t == User {
		return s.Len(t) - s.inactive
	}
	return s.Len(t)
}

// Detached gives the resources of a type that were put as [Record.Detached].
// It costs their number, not that of all.
func (s *Snapshot) Detached(t Type) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for i, seg := range s.segments {
			for _, row := range seg.detached[t] {
				p, ok := s.tables[t].position(uint32(i), row, seg.rows[t][row].seq, s.segments[0], t)
				if ok && !yield(s.resource(t, uint32(i), row, p)) {
					return
				}
			}
		}
	}
}

// Diff says what a sealed snapshot changes against the one it was drafted
// from. It is nil for a snapshot that was read from disk, or was current and is no
// longer.
func (s *Snapshot) Diff() *Diff { return s.diff.Load() }

// ByID finds a resource of any type.
func (s *Snapshot) ByID(id string) (Resource, bool) {
	if s == nil {
		return Resource{}, false
	}
	h := keyHash(id)
	for t := range Type(NumTypes) {
		// Written out, where other look-ups use matches: this one is on the way
		// of every request and may not allocate.
		for i, seg := range s.segments {
			for _, row := range seg.find(t, keyID, h) {
				p, ok := s.tables[t].position(uint32(i), row, seg.rows[t][row].seq, s.segments[0], t)
				if r := s.resource(t, uint32(i), row, p); ok && string(r.id()) == id {
					return r, true
				}
			}
		}
	}
	return Resource{}, false
}

// at gives the resource at a list position.
func (s *Snapshot) at(t Type, i int) Resource {
	segment, row := s.tables[t].row(i)
	return s.resource(t, segment, row, i)
}

func (s *Snapshot) resource(t Type, segment, row uint32, position int) Resource {
	seg := s.segments[segment]
	return Resource{snap: s.all(), seg: seg, rec: &seg.rows[t][row], typ: t, pos: position}
}

// byRef finds the resource that a reference names. Its position is not known.
func (s *Snapshot) byRef(r ref) (Resource, bool) {
	if s == nil || len(s.segments) == 0 {
		return Resource{}, false
	}
	segment, row, ok := s.tables[r.typ()].bySeq(r.seq(), s.segments[0], r.typ())
	if !ok {
		return Resource{}, false
	}
	return s.resource(r.typ(), segment, row, -1), true
}

// locate is byRef with the list position.
func (s *Snapshot) locate(r ref) (Resource, bool) {
	res, ok := s.byRef(r)
	if !ok {
		return res, false
	}
	t := r.typ()
	segment, row, _ := s.tables[t].bySeq(r.seq(), s.segments[0], t)
	res.pos, ok = s.tables[t].position(segment, row, r.seq(), s.segments[0], t)
	return res, ok
}

// matches gives the visible resources whose key has the hash.
func (s *Snapshot) matches(t Type, key int, hash uint64) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		if s == nil {
			return
		}
		for i, seg := range s.segments {
			for _, row := range seg.find(t, key, hash) {
				p, ok := s.tables[t].position(uint32(i), row, seg.rows[t][row].seq, s.segments[0], t)
				if ok && !yield(s.resource(t, uint32(i), row, p)) {
					return
				}
			}
		}
	}
}

// find gives the positions that an index has for a key.
func (s *Snapshot) find(t Type, ix Index, key string) []int {
	var positions []int
	switch ix {
	case ByMember, ByGroup:
		positions = s.linked(t, ix, key)
	default:
		if ix != ByExternalID {
			key = Fold(key)
		}
		for r := range s.matches(t, keyUserName+int(ix), keyHash(key)) {
			positions = append(positions, r.pos)
		}
	}
	slices.Sort(positions)
	return slices.Compact(positions)
}

// linked gives the positions of the groups that a resource is a direct member
// of, or of the users below a group.
func (s *Snapshot) linked(t Type, ix Index, id string) []int {
	all := s.all() // who is shown of another source may have members in this one
	r, ok := all.ByID(id)
	if !ok || ix == ByMember && t != Group || ix == ByGroup && (t != User || r.typ != Group) {
		return nil
	}
	var positions []int
	if ix == ByMember {
		for _, g := range r.parents() {
			if group, ok := s.locate(g); ok {
				positions = append(positions, group.pos)
			}
		}
		return positions
	}
	for m := range all.below(r) {
		if user, ok := s.locate(m); ok && m.typ() == User {
			positions = append(positions, user.pos)
		}
	}
	return positions
}

// below gives the members of a group, direct and indirect; a group that is
// reached again is not entered again, but a user may come several times.
func (s *Snapshot) below(group Resource) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		seen := map[ref]bool{group.ref(): true}
		queue := []Resource{group}
		for len(queue) > 0 {
			g := queue[0]
			queue = queue[1:]
			for m := range g.memberRefs() {
				if !yield(m) {
					return
				}
				if m.typ() != Group || seen[m] {
					continue
				}
				seen[m] = true
				if sub, ok := s.byRef(m); ok {
					queue = append(queue, sub)
				}
			}
		}
	}
}

// modifiedSince gives the positions of resources changed at or after a time.
func (s *Snapshot) modifiedSince(t Type, since int64) []int {
	var positions []int
	for i, seg := range s.segments {
		rows, order := seg.rows[t], seg.modified[t]
		first, _ := slices.BinarySearchFunc(order, since, func(row uint32, since int64) int {
			if rows[row].modified < since {
				return -1
			}
			return 1
		})
		for _, row := range order[first:] {
			p, ok := s.tables[t].position(uint32(i), row, rows[row].seq, s.segments[0], t)
			if ok {
				positions = append(positions, p)
			}
		}
	}
	slices.Sort(positions)
	return positions
}

var comma = []byte{','}

// A span is a run of list positions that are rows of one segment, one after the
// other in its file; a scattered row is one by itself.
type span struct {
	segment    uint32 // position in Snapshot.segments
	first, end int    // rows
	scattered  bool
}

// spans gives the spans of the list positions i to j-1.
func (s *Snapshot) spans(t Type, i, j int) iter.Seq[span] {
	return func(yield func(span) bool) {
		tab := &s.tables[t]
		for live := len(tab.base) - len(tab.dead); i < j; {
			var next span
			if i < live {
				next = tab.baseSpan(i, min(j, live))
			} else {
				next = tab.addedSpan(i-live, j-live)
			}
			if next.segment > 0 { // the base has all its chunks in place
				next.part(s.segments[next.segment].rows[t])
			}
			if !yield(next) {
				return
			}
			i += next.end - next.first
		}
	}
}

// part ends the span before a scattered row, or after it where it begins with one.
func (p *span) part(rows []rowRecord) {
	scattered := func(r rowRecord) bool { return r.flags&flagScattered != 0 }
	if p.scattered = scattered(rows[p.first]); p.scattered {
		p.end = p.first + 1
	} else if n := slices.IndexFunc(rows[p.first:p.end], scattered); n > 0 {
		p.end = p.first + n
	}
}

// pieces appends the bodies of the list positions i to j-1, with a comma after
// each.
func (s *Snapshot) pieces(dst [][]byte, t Type, i, j int) [][]byte {
	for p := range s.spans(t, i, j) {
		if p.scattered {
			dst = append(s.resource(t, p.segment, uint32(p.first), -1).Pieces(dst), comma)
		} else {
			dst = append(dst, s.segments[p.segment].run(t, p.first, p.end))
		}
	}
	return dst
}

// run gives the bodies of rows that lie together, with the comma after each.
func (s *segment) run(t Type, first, end int) []byte {
	rows := s.rows[t]
	return s.body[rows[first].off : rows[end-1].off+uint64(rows[end-1].size)+1]
}

// keyHash is the hash under which a key is indexed. The key is read where it
// lies: a look-up does not copy it.
func keyHash(key string) uint64 { return hash64(unsafe.Slice(unsafe.StringData(key), len(key))) }
