package graphtest

import (
	"slices"
	"sort"
)

// changeKind is what happened to an object.
type changeKind uint8

const (
	created       changeKind = iota // or restored: the object comes whole
	updated                         // props says which
	retired                         // removed or purged
	memberAdded                     // other is the member
	memberRemoved                   // other is the member
	managerSet                      // other is the manager before, + 1; 0: none
)

// change is one entry of a change log.
type change struct {
	seq   uint64
	obj   uint32
	other uint32
	what  changeKind
	props []uint16
}

// changeLog is what delta queries of one collection go by: the changes in the
// order in which they show. A deltaLink names a position in it.
type changeLog struct {
	entries []change
	lag     int // rounds that a change waits
	begun   int // rounds begun so far
	waiting []waitingChange
}

type waitingChange struct {
	due int // shows once so many rounds have begun
	change
}

func (t *Tenant) note(k kind, c change) {
	if int(k) >= len(t.logs) {
		return
	}
	log := &t.logs[k]
	if log.lag > 0 {
		log.waiting = append(log.waiting, waitingChange{log.begun + log.lag + 1, c})
		return
	}
	t.show(log, c)
}

func (t *Tenant) noteCreated(n uint32) {
	o := t.objects[n]
	if int(o.kind) < len(t.logs) && t.logs[o.kind].lag > 0 {
		o.unborn = true
	}
	t.note(o.kind, change{obj: n, what: created})
}

func (t *Tenant) show(log *changeLog, c change) {
	t.seq++
	c.seq = t.seq
	log.entries = append(log.entries, c)
	if c.what == created {
		t.objects[c.obj].unborn = false
	}
}

// beginRound lets what was held back long enough show.
func (t *Tenant) beginRound(k kind) {
	log := &t.logs[k]
	log.begun++
	rest := log.waiting[:0]
	for _, w := range log.waiting {
		if w.due <= log.begun {
			t.show(log, w.change)
		} else {
			rest = append(rest, w)
		}
	}
	log.waiting = rest
}

// since is the part of the log after a position.
func (l *changeLog) since(seq uint64) []change {
	at := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].seq > seq })
	return l.entries[at:]
}

// news is all that happened to one object since a position.
type news struct {
	obj     uint32
	whole   bool // created or restored: everything is new
	retired bool
	props   map[uint16]bool // changed properties
	links   []linkChange    // members, in the order of the changes
	moved   bool            // manager changed
	before  []uint32        // the managers until then, each + 1, the first one first
}

// linkChange is one entry of members@delta.
type linkChange struct {
	member uint32
	gone   bool
}

// gather sums the changes up by object, in the order in which they first
// showed, leaving out what does not concern the selection.
func gather(changes []change, sel *selection) []*news {
	byObject := map[uint32]*news{}
	var list []*news
	for _, c := range changes {
		if !c.concerns(sel) {
			continue
		}
		n := byObject[c.obj]
		if n == nil {
			n = &news{obj: c.obj, props: map[uint16]bool{}}
			byObject[c.obj] = n
			list = append(list, n)
		}
		n.take(c)
	}
	return list
}

func (c *change) concerns(sel *selection) bool {
	switch c.what {
	case updated:
		return sel.touches(c.props)
	case memberAdded, memberRemoved, managerSet:
		return sel.links
	}
	return true
}

func (n *news) take(c change) {
	switch c.what {
	case created:
		n.whole = true
	case retired:
		n.retired = true
	case updated:
		for _, p := range c.props {
			n.props[p] = true
		}
	case memberAdded, memberRemoved:
		n.links = append(n.links, linkChange{c.other, c.what == memberRemoved})
	case managerSet:
		n.moved = true
		if c.other != 0 && !slices.Contains(n.before, c.other) {
			n.before = append(n.before, c.other)
		}
	}
}

// lastWord keeps of each member only the last entry.
func lastWord(entries []linkChange) []linkChange {
	last := make(map[uint32]int, len(entries))
	for i, e := range entries {
		last[e.member] = i
	}
	kept := entries[:0:0]
	for i, e := range entries {
		if last[e.member] == i {
			kept = append(kept, e)
		}
	}
	return kept
}
