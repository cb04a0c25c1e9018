package graphtest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A round of delta queries is planned as a whole when it begins: which objects
// it names, in which order, and where the pages end. The pages then show each
// object as it is when its page is asked for, so that an object changed while
// a client pages comes with the newer values if its page is still ahead, and
// one deleted meanwhile comes as @removed. The deltaLink names the position at
// which the round began: whatever changed since comes (again) in the next
// round. Memberships are those at the beginning; later ones follow likewise.
//
// Asking for the same nextLink twice gives the same objects, as a client that
// lost an answer needs.
type round struct {
	id      uint64
	kind    kind
	full    bool
	minimal bool // Prefer: return=minimal
	sel     *selection
	ids     []string  // of $filter
	start   uint64    // position in the log
	used    time.Time // when a page was last asked for
	ended   time.Time // when the last page was asked for
	items   []item
	ends    []int                   // per page, the end of its items
	members map[uint32][]uint32     // first round: group -> its members
	news    map[uint32]*news        // later rounds: object -> what happened
	entries map[uint32][]linkChange // later rounds: group -> its members@delta
	ghosts  []string                // ids never seen, shown as @removed
}

// item is one entry of a page.
type item struct {
	obj  uint32 // number of the object, or position in ghosts
	part int32  // part of its members; ghostPart: an unknown id
}

const ghostPart = -1

// roundBook keeps the rounds that are under way. A round is dropped once its
// last nextLink has expired, a while after its end, or when too many are open.
type roundBook struct {
	open  map[uint64]*round
	order []uint64
	last  uint64
	seed  uint64
	epoch int // of nextLinks: those of an earlier one are expired
}

const (
	maxOpenRounds = 64
	afterEnd      = time.Minute
)

func (b *roundBook) init(seed uint64) { b.open, b.seed = map[uint64]*round{}, seed }

func (b *roundBook) enter(r *round, lifetime time.Duration) {
	b.order = slices.DeleteFunc(b.order, func(id uint64) bool {
		old := b.open[id]
		gone := r.used.Sub(old.used) > lifetime || !old.ended.IsZero() && r.used.Sub(old.ended) > afterEnd
		if gone {
			delete(b.open, id)
		}
		return gone
	})
	if len(b.order) >= maxOpenRounds {
		delete(b.open, b.order[0])
		b.order = b.order[1:]
	}
	b.open[r.id] = r
	b.order = append(b.order, r.id)
}

// roundRequest is what the first request of a round asks for.
type roundRequest struct {
	kind    kind
	full    bool
	since   uint64
	sel     *selection
	ids     []string
	minimal bool
	size    int // objects a page
	faults  []Fault
}

// plan begins a round.
func (t *Tenant) plan(q roundRequest) *round {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginRound(q.kind)
	t.rounds.last++
	r := &round{id: t.rounds.last, kind: q.kind, full: q.full, minimal: q.minimal && !q.full, sel: q.sel,
		ids: q.ids, start: t.seq, used: t.opts.Now()}
	chance := rand.New(rand.NewPCG(t.rounds.seed^r.id<<20, streamRounds))
	if q.full {
		t.planFull(r, chance)
	} else {
		t.planDelta(r, t.rewind(q, chance), chance)
	}
	r.disturb(q.faults, chance)
	if !t.opts.Calm {
		r.shuffle(chance)
		r.repeat(chance)
	}
	r.paginate(q.size, t.opts.Calm, chance)
	t.rounds.enter(r, t.opts.PageLifetime)
	return r
}

// rewind moves the beginning of a round back now and then, so that changes
// are replayed.
func (t *Tenant) rewind(q roundRequest, chance *rand.Rand) uint64 {
	back := uint64(0)
	if !t.opts.Calm && chance.IntN(8) == 0 {
		back = 1 + chance.Uint64N(8)
	}
	for _, f := range q.faults {
		if f.Kind == FaultReplay {
			back += 200
		}
	}
	return q.since - min(back, q.since)
}

func (t *Tenant) planFull(r *round, chance *rand.Rand) {
	r.members = map[uint32][]uint32{}
	further := 0
	for n, o := range t.objects {
		if o.kind != r.kind || !r.covers(o.id) {
			continue
		}
		switch {
		case o.state == live && !o.unborn:
			r.items = append(r.items, item{obj: uint32(n)})
			if o.group != nil && r.sel.links && len(o.group.members) > 0 {
				r.members[uint32(n)] = o.group.share()
				further += parts(len(o.group.members), t.opts.MembersPerPart) - 1
			}
		case o.state != live && !t.opts.Calm && chance.IntN(3) == 0:
			r.items = append(r.items, item{obj: uint32(n)})
		}
	}
	r.items = slices.Grow(r.items, further)
	for _, it := range slices.Clone(r.items) {
		r.addParts(it.obj, parts(len(r.members[it.obj]), t.opts.MembersPerPart))
	}
	if !t.opts.Calm && r.ids == nil && chance.IntN(4) == 0 {
		r.addGhost(chance)
	}
}

// addParts enters the second and further parts of a group, after all else.
func (r *round) addParts(obj uint32, n int) {
	for p := 1; p < n; p++ {
		r.items = append(r.items, item{obj, int32(p)})
	}
}

func (r *round) addGhost(chance *rand.Rand) {
	r.items = append(r.items, item{uint32(len(r.ghosts)), ghostPart})
	r.ghosts = append(r.ghosts, newGUID(chance))
}

func (t *Tenant) planDelta(r *round, since uint64, chance *rand.Rand) {
	r.news, r.entries = map[uint32]*news{}, map[uint32][]linkChange{}
	for _, n := range gather(t.logs[r.kind].since(since), r.sel) {
		if !r.covers(t.objects[n.obj].id) {
			continue
		}
		r.news[n.obj] = n
		r.items = append(r.items, item{obj: n.obj})
		if r.kind == kindGroup && r.sel.links {
			t.planLinks(r, n, chance)
		}
	}
}

// planLinks decides which members@delta a group of a later round has. Mostly
// a member's last change is told; sometimes, when it fits one part, all of
// them in their order.
func (t *Tenant) planLinks(r *round, n *news, chance *rand.Rand) {
	entries := n.links
	if n.whole {
		all := make([]linkChange, 0, len(entries)+len(t.objects[n.obj].group.members))
		all = append(all, entries...)
		for _, m := range t.objects[n.obj].group.members {
			all = append(all, linkChange{member: m})
		}
		entries = all
	}
	if t.opts.Calm || len(entries) > t.opts.MembersPerPart || chance.IntN(4) != 0 {
		entries = lastWord(entries)
	}
	r.entries[n.obj] = entries
	r.addParts(n.obj, parts(len(entries), t.opts.MembersPerPart))
}

func (r *round) covers(id string) bool { return r.ids == nil || slices.Contains(r.ids, id) }

// disturb applies the faults that concern a round as a whole.
func (r *round) disturb(faults []Fault, chance *rand.Rand) {
	for _, f := range faults {
		switch f.Kind {
		case FaultEmpty:
			r.items = nil
		case FaultHalf:
			kept := r.items[:0]
			for i, it := range r.items {
				if i%2 == 0 {
					kept = append(kept, it)
				}
			}
			r.items = kept
		case FaultUnknownRemoval:
			r.addGhost(chance)
		}
	}
}

// shuffle mixes the entries, but keeps a group's parts in their order where
// the order has a meaning: entries that name a member twice are in one part.
func (r *round) shuffle(chance *rand.Rand) {
	chance.Shuffle(len(r.items), func(i, j int) { r.items[i], r.items[j] = r.items[j], r.items[i] })
}

// repeat lets one entry in a hundred come a second time, somewhere later.
func (r *round) repeat(chance *rand.Rand) {
	for i := len(r.items) - 1; i >= 0; i-- {
		if chance.IntN(100) == 0 {
			at := i + 1 + chance.IntN(len(r.items)-i)
			r.items = slices.Insert(r.items, at, r.items[i])
		}
	}
}

// paginate sets the page borders: full pages but the last in a calm tenant,
// else a short page now and then, and an empty one here and there.
func (r *round) paginate(size int, calm bool, chance *rand.Rand) {
	for at := 0; at < len(r.items); {
		n := size
		switch {
		case calm:
		case chance.IntN(16) == 0:
			n = 0
		case chance.IntN(8) == 0:
			n = 1 + chance.IntN(size)
		}
		at = min(at+n, len(r.items))
		r.ends = append(r.ends, at)
	}
	if len(r.ends) == 0 {
		r.ends = []int{0}
		if !calm && chance.IntN(16) == 0 {
			r.ends = []int{0, 0}
		}
	}
}

// page is the entries of one page.
func (r *round) page(i int) []item {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.items[begin:r.ends[i]]
}

func (r *round) isLast(page int) bool { return page == len(r.ends)-1 }
