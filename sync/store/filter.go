package store

import "hash/maphash"

// A filter says of most keys that were never added that they were not: a Bloom
// filter with four probes and two bytes for each key. A first round asks it
// before it asks the tables, which know next to nothing yet. Its zero value is
// empty.
type filter struct {
	layers [][]uint64 // each twice as large as the one before
	room   int        // how many keys the last layer takes yet
}

const firstLayer = 1 << 14 // keys

func (f *filter) add(hash uint64) {
	if f.room == 0 {
		f.room = firstLayer << len(f.layers)
		f.layers = append(f.layers, make([]uint64, f.room/4))
	}
	f.room--
	last := f.layers[len(f.layers)-1]
	for probe := range probes(hash) {
		last[probe>>6&uint64(len(last)-1)] |= 1 << (probe & 63)
	}
}

func (f *filter) mayHave(hash uint64) bool {
	for _, layer := range f.layers {
		if inLayer(layer, hash) {
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

// A seen is the filter over the ids and memberships of one round.
type seen struct {
	seed       maphash.Seed
	ids, edges filter
}

func (s *seen) hashID(id string) uint64 { return maphash.String(s.seed, id) }
func (s *seen) hashEdge(at ends) uint64 { return maphash.Comparable(s.seed, at) }
