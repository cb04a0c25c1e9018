package guid

import (
	"hash/maphash"
	"iter"
	"strings"

	"scimbridge/scim/bulk"
)

// A Table has a number for each id. GUIDs take some thirty bytes each, in a
// [bulk.List]: what there is of a whole tenant is no burden on the heap.
type Table[N int32 | uint32] struct {
	seed   maphash.Seed
	slots  bulk.List[slot] // a power of two of them, or none
	guids  int
	others map[string]N // ids that are no GUIDs
}

// A slot is a GUID with its number, plus one: 0 is a free slot.
type slot struct {
	guid GUID
	n    uint32
}

// leastSlots is how many slots a table begins with.
const leastSlots = 64

// NewTable makes a table, kept in a place, with room for so many GUIDs. It is to be
// closed.
func NewTable[N int32 | uint32](place bulk.Place, room int) *Table[N] {
	t := &Table[N]{seed: maphash.MakeSeed(), others: make(map[string]N)}
	t.slots.Place = place
	if room > 0 {
		t.resize(room)
	}
	return t
}

// resize gives an empty table slots for so many GUIDs: a third and more of them stay
// free, so that what is looked for is near.
func (t *Table[N]) resize(room int) {
	n := leastSlots
	for n*2 < room*3 {
		n *= 2
	}
	t.slots.Resize(n)
}

// Set gives an id its number, which is less than the largest of its type.
func (t *Table[N]) Set(id string, n N) {
	g, ok := Parse(id)
	if !ok {
		t.others[strings.Clone(id)] = n // it may be a part of all that there is on her
		return
	}
	if t.guids*3 >= t.slots.Len()*2 {
		t.enlarge()
	}
	s := t.slot(g)
	if s.n == 0 {
		s.guid = g
		t.guids++
	}
	s.n = uint32(n) + 1
}

// enlarge doubles the slots.
func (t *Table[N]) enlarge() {
	old := t.slots
	t.slots = bulk.List[slot]{Place: old.Place}
	t.resize(2 * max(t.guids, leastSlots/2))
	for _, s := range old.All() {
		if s.n != 0 {
			*t.slot(s.guid) = s
		}
	}
	old.Close()
}

// slot gives the slot of a GUID, or the free one that it is to have.
func (t *Table[N]) slot(g GUID) *slot {
	slots := t.slots.All()
	for i := maphash.Comparable(t.seed, g); ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		if s.n == 0 || s.guid == g {
			return s
		}
	}
}

// Find gives an id's number; ok is false for one that has none.
func (t *Table[N]) Find(id string) (n N, ok bool) {
	g, isGUID := Parse(id)
	if !isGUID {
		n, ok = t.others[id]
		return n, ok
	}
	if t.guids == 0 {
		return 0, false
	}
	s := t.slot(g)
	return N(s.n - 1), s.n != 0
}

// Has says whether an id has a number: where they are all that counts, the table is a
// set.
func (t *Table[N]) Has(id string) bool {
	_, ok := t.Find(id)
	return ok
}

// All gives the ids with their numbers, in no order. The table must not change
// meanwhile.
func (t *Table[N]) All() iter.Seq2[string, N] {
	return func(yield func(string, N) bool) {
		for _, s := range t.slots.All() {
			if s.n != 0 && !yield(s.guid.String(), N(s.n-1)) {
				return
			}
		}
		for id, n := range t.others {
			if !yield(id, n) {
				return
			}
		}
	}
}

// Close gives the table's memory back, and leaves it empty.
func (t *Table[N]) Close() {
	t.slots.Close()
	t.guids = 0
	clear(t.others)
}
