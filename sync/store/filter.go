package store

import (
	"hash/maphash"

	"scimbridge/scim/bulk"
	"scimbridge/scim/guid"
)

// A filter says of most keys that were never added that they were not: a Bloom
// filter with four probes and two bytes for each key. A first round asks it
// before it asks the tables, which know next to nothing yet. Its zero value is
// empty.
type filter struct {
	lists  bulk.Place
	layers []bulk.List[uint64] // each twice as large as the one before
	room   int                 // how many keys the last layer takes yet
}

const firstLayer = 1 << 14 // keys

func (f *filter) add(hash uint64) {
	if f.room == 0 {
		f.room = firstLayer << len(f.layers)
		f.layers = append(f.layers, bulk.List[uint64]{Place: f.lists})
		f.layers[len(f.layers)-1].Resize(f.room / 4)
	}
	f.room--
	last := f.layers[len(f.layers)-1].All()
	for probe := range probes(hash) {
		last[probe>>6&uint64(len(last)-1)] |= 1 << (probe & 63)
	}
}

func (f *filter) mayHave(hash uint64) bool {
	for i := range f.layers {
		if inLayer(f.layers[i].All(), hash) {
			return true
		}
	}
	return false
}

func inLayer(layer []uint64, hash uint64) bool {
	for probe := range probes(hash) {
		if layer[probe>>6&uint64(len(layer)-1)]&(1<<(probe&63)) == 0 {
			return false
		}
	}
	return true
}

func probes(hash uint64) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		step := hash<<32 | hash>>32 | 1
		for range 4 {
			if !yield(hash) {
				return
			}
			hash += step
		}
	}
}

// A seen is what a first round knows of what it wrote, so that it need not ask
// the tables: they hold nothing else of the source.
type seen struct {
	seed    maphash.Seed
	edges   filter
	ids     *guid.Table[uint32]
	objects [2]marks // by kind code, the numbers of the ids that are objects
	stored  [2]marks // those whose rows are in the tables
	storedM int64    // from this number on memberships are not
}

// newSeen makes a seen that is kept in a place, until it is closed.
func newSeen(lists bulk.Place) *seen {
	return &seen{seed: maphash.MakeSeed(), edges: filter{lists: lists}, ids: guid.NewTable[uint32](lists, 0)}
}

// close gives back the memory. The receiver may be nil.
func (s *seen) close() {
	if s == nil {
		return
	}
	s.ids.Close()
	for i := range s.edges.layers {
		s.edges.layers[i].Close()
	}
}

// hasObject says whether the slot has a row.
func (s *seen) hasObject(slot int64) bool {
	return s.objects[slot>>32&(1<<kindBits-1)].has(slot & (1<<refBits - 1))
}

// firstTime notes that the slot's row goes into the tables now, and says whether
// it is known to be the first. The receiver may be nil: then it is not.
func (s *seen) firstTime(slot int64) bool {
	if s == nil {
		return false
	}
	stored, n := &s.stored[slot>>32&(1<<kindBits-1)], slot&(1<<refBits-1)
	if stored.has(n) {
		return false
	}
	stored.set(n)
	return true
}

func (s *seen) hashEdge(at ends) uint64 { return maphash.Comparable(s.seed, at) }
