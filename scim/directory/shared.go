package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"weak"
)

// An id names one resource of the whole endpoint (RFC 7643 §3.1). Two sources have
// one id where both read the same tenant, each another part of it. A view shows it
// once: as the first source has it that does not keep it for gone, in the order of
// the view. In the others' parts of the view it is passed over, as if it were
// removed there; so all positions, totals and look-ups are those of what is shown.
// Who is shown what is decided by the snapshots of the view alone, so that a client
// who sees one of the sources only sees all that it has.

// A Shared counts the resources of a source that a view shows as another source has
// them.
type Shared struct {
	Source, By string
	Counts     [NumTypes]int
}

// Shared gives what several of the view's sources have, by the source that it is
// not shown of.
func (v *View) Shared() []Shared { return v.shared }

// showOnce gives the snapshots, in the order of a view, as they are seen in it.
func showOnce(snaps []*Snapshot) (seen []*Snapshot, shared []Shared) {
	hashes := commonIDs(snaps)
	if len(hashes) == 0 {
		return snaps, nil
	}
	hidden := make([][NumTypes][]int, len(snaps))
	counts := make(map[[2]string]*Shared)
	type place struct {
		snap int
		Resource
	}
	for _, h := range hashes {
		byID := make(map[string][]place)
		for i, s := range snaps {
			for t := range Type(NumTypes) {
				for r := range s.matches(t, keyID, h) {
					byID[r.ID()] = append(byID[r.ID()], place{i, r})
				}
			}
		}
		for _, places := range byID {
			shown := max(0, slices.IndexFunc(places, func(p place) bool { return !p.Detached() }))
			for i, p := range places {
				if i == shown {
					continue
				}
				hidden[p.snap][p.typ] = append(hidden[p.snap][p.typ], p.pos)
				between := [2]string{p.Source(), places[shown].Source()}
				if counts[between] == nil {
					counts[between] = &Shared{Source: between[0], By: between[1]}
				}
				counts[between].Counts[p.typ]++
			}
		}
	}
	for i, s := range snaps {
		seen = append(seen, s.without(&hidden[i]))
	}
	for c := range maps.Values(counts) {
		shared = append(shared, *c)
	}
	slices.SortFunc(shared, func(a, b Shared) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.By, b.By)) })
	return seen, shared
}

// commonIDs gives the hashes of ids that more than one of the snapshots has, and
// perhaps some more, each once.
func commonIDs(snaps []*Snapshot) (hashes []uint64) {
	for i, s := range snaps {
		for _, other := range snaps[:i] {
			for _, a := range s.segments {
				for _, b := range other.segments {
					hashes = append(hashes, a.common(b)...)
				}
			}
		}
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// shares is what a segment remembers of others: the hashes of the ids that both
// have. Segments never change, and a round adds a small one; so what a new view
// costs is its part in that.
type shares struct {
	mu   sync.Mutex
	with map[weak.Pointer[segment]][]uint64
}

// common gives the hashes of ids that both segments have.
func (s *segment) common(other *segment) []uint64 {
	s.shares.mu.Lock()
	defer s.shares.mu.Unlock()
	key := weak.Make(other)
	if known, ok := s.shares.with[key]; ok {
		return known
	}
	maps.DeleteFunc(s.shares.with, func(p weak.Pointer[segment], _ []uint64) bool { return p.Value() == nil })
	if s.shares.with == nil {
		s.shares.with = make(map[weak.Pointer[segment]][]uint64)
	}
	var hashes []uint64
	for t := range NumTypes {
		for u := range NumTypes {
			hashes = inBoth(hashes, s.hashes[t][keyID], other.hashes[u][keyID])
		}
	}
	s.shares.with[key] = hashes
	return hashes
}

// near is how far the next common hash is looked for one by one.
const near = 8

// inBoth appends what two ascending lists have in common.
func inBoth(dst, a, b []uint64) []uint64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	for _, h := range a {
		i := 0
		for i < near && i < len(b) && b[i] < h {
			i++
		}
		if i == near { // the one list is much longer than the other
			step := near
			for step < len(b) && b[step] < h {
				step *= 2
			}
			n, _ := slices.BinarySearch(b[step/2:min(step+1, len(b))], h)
			i = step/2 + n
		}
		if b = b[i:]; len(b) == 0 {
			break
		}
		if b[0] == h {
			dst = append(dst, h)
		}
	}
	return dst
}

// without gives the snapshot as it is seen where the resources at some positions,
// in no order, are shown of another source.
func (s *Snapshot) without(hidden *[NumTypes][]int) *Snapshot {
	n := *s
	n.whole = s.all()
	for t := range Type(NumTypes) {
		if len(hidden[t]) == 0 {
			continue
		}
		slices.Sort(hidden[t])
		for _, i := range hidden[t] {
			if !s.at(t, i).Active() {
				n.inactive--
			}
		}
		n.tables[t] = s.tables[t].without(hidden[t])
	}
	return &n
}

// all is the snapshot with what a view passes over.
func (s *Snapshot) all() *Snapshot {
	if s.whole != nil {
		return s.whole
	}
	return s
}

// without gives the table without the resources at list positions, ascending.
func (t *table) without(positions []int) table {
	n := table{base: t.base, dead: slices.Clone(t.dead)}
	live := len(t.base) - len(t.dead)
	for _, i := range positions {
		if i < live {
			n.dead = append(n.dead, t.baseRow(i))
		}
	}
	slices.Sort(n.dead)
	n.replaced = slices.DeleteFunc(slices.Clone(t.replaced), func(o overlayRow) bool {
		_, gone := slices.BinarySearch(n.dead, o.at)
		return gone
	})
	for k, o := range t.added {
		if _, gone := slices.BinarySearch(positions, live+k); !gone {
			n.added = append(n.added, o)
		}
	}
	return n
}
