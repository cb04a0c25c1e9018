package directory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"scimbridge/scim/bulk"
	"scimbridge/scim/fair"
)

// A cutting says how the members of groups are cut.
type cutting struct {
	// chunk is how many members a new chunk has: fewer are more chunks of forty
	// bytes each, more are more elements to be written, of some two hundred bytes,
	// with each change of a member. One that grows past twice that is cut.
	chunk int
	// run is how many references to chunks, of eight bytes, are written with a change,
	// and of how many there is one run, of twelve, in a group much of which changed
	// since all was written; all its runs are written with a change, too. One that
	// grows past twice that is cut.
	run int
	// rebuild is up to how many members a group is written anew, all in one place,
	// when one of them changes.
	rebuild int
}

var usualCut = cutting{chunk: 8, run: 64, rebuild: 256}

// Seal ends the draft. The snapshot it gives contains the draft's changes and
// is not visible before [Picture.Publish]. now is the lastModified of what
// changed, moved on where needed so that it is later than that of every
// earlier generation. A draft without any change gives a snapshot whose Diff
// is empty and whose generation is that of the base.
//
// It fails when ctx ends or a file can't be written; the draft is then spent
// and nothing that was published has changed.
func (d *Draft) Seal(ctx context.Context, now time.Time, tag Tag) (*Snapshot, error) {
	defer d.Discard()
	s := &sealer{
		Draft: d, ctx: ctx,
		now:       max(now.UnixMilli(), d.base.published+1),
		diff:      &Diff{before: d.base},
		ancestors: make(map[ref][]ref),
		renamed:   make(map[ref]bool),
		shown:     make(map[shownKey][]byte),
	}
	defer s.close()
	lists := d.picture.lists
	s.joined.Place, s.left.Place, s.affected.Place, s.all.Place = lists, lists, lists, lists
	if err := d.bodies.open(); err != nil {
		return nil, fmt.Errorf("reading the draft back: %w", err)
	}
	s.settle()
	s.byID.Close() // all that is named by an id is known
	seg, err := s.write()
	if err != nil {
		return nil, err
	}
	next := newSnapshot(d.picture.opts.Source, nil)
	if seg == nil || !s.whole {
		next = d.base.next(d.picture.opts.Source)
	}
	next.generation, next.published = d.base.generation, d.base.published
	next.tag, next.nextSeq = tag, d.nextSeq
	next.diff.Store(s.diff)
	next.inactive = d.base.inactive + s.inactive
	s.diff.after = next
	if seg != nil {
		next.lay(seg)
	}
	if !s.diff.Empty() || d.base.generation == 0 {
		next.generation = d.picture.nextGeneration()
		next.published = s.now
	}
	return next, nil
}

// A sealer turns a draft into a segment. It touches what changed and what that
// reaches (the groups and users that name a changed resource), never the rest.
type sealer struct {
	*Draft
	ctx  context.Context
	now  int64
	diff *Diff
	w    *segmentWriter
	// whole: the segment takes the place of all that there are, instead of being
	// laid over them. changed: it says something that they do not.
	whole, changed bool

	// Changes of direct membership, as (member, group) pairs in order.
	joined, left bulk.List[uint64]

	renamed   map[ref]bool  // resources whose display changed -> it is a group
	ancestors map[ref][]ref // group -> all groups above it; a cache
	shown     map[shownKey][]byte
	rendering rendering      // the row being made; its memory serves the next
	scratch   []byte         // for what is rendered and written at once
	links     []byte         // likewise, for a user's groups
	plan      []plannedChunk // likewise, for a group's members
	inactive  int            // users served as inactive, more than in the base
	affected  bulk.List[ref] // what may have to be written, ascending, users and groups
	all       bulk.List[ref] // members of the group being written
}

func (s *sealer) close() {
	s.joined.Close()
	s.left.Close()
	s.affected.Close()
	s.all.Close()
}

type shownKey struct {
	group  ref
	direct bool
}

func pair(member, group ref) uint64 { return uint64(member)<<32 | uint64(group) }

// settle finds what the draft's changes come to.
func (s *sealer) settle() {
	for _, p := range s.pending {
		g, ok := s.resolve(p.group)
		m, ok2 := s.resolve(p.member)
		if ok && ok2 {
			s.op(g, m, p.kind)
		}
	}
	entries := s.entries.All()
	for i := range entries {
		s.settleEntry(&entries[i])
	}
	s.settleOps()
	slices.Sort(s.joined.All())
	slices.Sort(s.left.All())
	s.left.Resize(len(slices.Compact(s.left.All()))) // a member and its group may go together
	s.findAffected()
}

// settleEntry adds the changes of membership that a changed resource brings:
// one that goes leaves its groups, and its members leave it; one whose
// display changed is shown again where it is a member.
func (s *sealer) settleEntry(e *entry) {
	if !e.known {
		return
	}
	base, _ := s.base.byRef(e.ref)
	kind := opShow
	switch {
	case e.gone || e.detached:
		kind = opLeave
	case bytes.Equal(base.display(), s.display(e)):
		return
	default:
		s.renamed[e.ref] = e.ref.typ() == Group
	}
	for _, g := range base.parents() {
		s.op(g, e.ref, kind)
	}
	if e.gone && e.ref.typ() == Group {
		for m := range base.memberRefs() {
			s.left.Add(pair(m, e.ref))
		}
	}
}

// settleOps puts the operations in the order of groups and members, and leaves of them
// those that change something.
func (s *sealer) settleOps() {
	ops := s.ops.All()
	fair.SortFunc(ops, func(a, b memberOp) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member), cmp.Compare(a.nth, b.nth))
	})
	settled := ops[:0]
	for len(ops) > 0 {
		n := 1
		for n < len(ops) && ops[n].group == ops[0].group {
			n++
		}
		settled = s.settleGroup(settled, ops[:n])
		ops = ops[n:]
	}
	s.ops.Resize(len(settled))
}

// opsOf gives the operations on a group, once they are settled.
func (s *sealer) opsOf(group ref) []memberOp {
	ops := s.ops.All()
	i, _ := slices.BinarySearchFunc(ops, group, func(op memberOp, g ref) int { return cmp.Compare(op.group, g) })
	j, _ := slices.BinarySearchFunc(ops[i:], group+1, func(op memberOp, g ref) int { return cmp.Compare(op.group, g) })
	return ops[i : i+j]
}

// settleGroup appends what the operations on one group change: one for each member.
// settled may grow over those that were read.
func (s *sealer) settleGroup(settled, ops []memberOp) []memberOp {
	group := ops[0].group
	if e := s.entry(group); e != nil && e.gone {
		return settled // settleEntry told its members
	}
	base, known := s.base.byRef(group)
	for i := 0; i < len(ops); {
		m, kind := ops[i].member, opShow
		for ; i < len(ops) && ops[i].member == m; i++ {
			if ops[i].kind != opShow {
				kind = ops[i].kind // the last word counts
			}
		}
		if !s.attachable(m) || m == group {
			kind = opLeave
		}
		isMember := known && base.hasMember(m)
		switch {
		case kind == opJoin && !isMember:
			s.joined.Add(pair(m, group))
		case kind == opLeave && isMember:
			s.left.Add(pair(m, group))
		case kind == opShow && isMember:
		case kind == opJoin && s.redisplayed(m):
			kind = opShow
		default:
			continue
		}
		settled = append(settled, memberOp{group: group, member: m, kind: kind})
	}
	return settled
}

// redisplayed says whether the draft has the resource with another display.
func (s *sealer) redisplayed(r ref) bool {
	e := s.entry(r)
	if e == nil || !e.known || e.gone {
		return false
	}
	base, _ := s.base.byRef(r)
	return !bytes.Equal(base.display(), s.display(e))
}

// attachable says whether a resource is there to be a member.
func (s *sealer) attachable(r ref) bool {
	if e := s.entry(r); e != nil {
		return !e.gone && !e.detached
	}
	base, ok := s.base.byRef(r)
	return ok && !base.Detached()
}

// findAffected lists what may look different now.
func (s *sealer) findAffected() {
	var moved []ref // groups whose place among groups, or whose display, changed
	s.affected.Grow(s.entries.Len())
	for _, e := range s.entries.All() {
		s.affected.Add(e.ref)
	}
	s.whole = s.rebase || s.entries.Len() > s.picture.overlayRows(s.base)
	if s.whole {
		for t := range Type(NumTypes) {
			for i := range s.base.Len(t) {
				s.affected.Add(s.base.at(t, i).ref())
			}
		}
	}
	for i, op := range s.ops.All() {
		if i == 0 || op.group != s.ops.All()[i-1].group {
			s.affected.Add(op.group)
		}
	}
	for _, pairs := range [][]uint64{s.joined.All(), s.left.All()} {
		for _, p := range pairs {
			m := ref(p >> 32)
			if s.entry(m) == nil { // those of the draft are in it
				s.affected.Add(m)
			}
			if m.typ() == Group {
				moved = append(moved, m)
			}
		}
	}
	for g, isGroup := range s.renamed {
		if isGroup {
			moved = append(moved, g)
		}
	}
	for m := range s.below(moved) {
		if m.typ() == User {
			s.affected.Add(m)
		}
	}
	slices.Sort(s.affected.All())
	s.affected.Resize(len(slices.Compact(s.affected.All())))
}

// below gives the members, direct and indirect, that the groups will have.
func (s *sealer) below(groups []ref) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		seen := make(map[ref]bool)
		for queue := groups; len(queue) > 0; queue = queue[1:] {
			if seen[queue[0]] {
				continue
			}
			seen[queue[0]] = true
			for m := range s.members(queue[0]) {
				if !yield(m) {
					return
				}
				if m.typ() == Group {
					queue = append(queue, m)
				}
			}
		}
	}
}

// members gives the direct members that a group will have, ascending.
func (s *sealer) members(group ref) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		if e := s.entry(group); e != nil && e.gone {
			return
		}
		ops := s.opsOf(group)
		if base, ok := s.base.byRef(group); ok {
			for m := range base.memberRefs() {
				for len(ops) > 0 && ops[0].member < m {
					if ops[0].kind == opJoin && !yield(ops[0].member) {
						return
					}
					ops = ops[1:]
				}
				if len(ops) > 0 && ops[0].member == m && ops[0].kind == opLeave {
					continue
				}
				if !yield(m) {
					return
				}
			}
		}
		for _, op := range ops {
			if op.kind == opJoin && !yield(op.member) {
				return
			}
		}
	}
}

// parents gives the groups that will have r as a direct member, ascending, in the
// memory of scratch.
func (s *sealer) parents(scratch []ref, r ref) []ref {
	parents := scratch[:0]
	if base, ok := s.base.byRef(r); ok {
		parents = append(parents, base.parents()...)
	}
	for _, p := range pairsOf(s.left.All(), r) {
		if i, ok := slices.BinarySearch(parents, ref(p)); ok {
			parents = slices.Delete(parents, i, i+1)
		}
	}
	for _, p := range pairsOf(s.joined.All(), r) {
		parents = append(parents, ref(p))
	}
	slices.Sort(parents)
	return slices.Compact(parents)
}

// pairsOf gives the pairs of one member.
func pairsOf(pairs []uint64, member ref) []uint64 {
	i, _ := slices.BinarySearch(pairs, pair(member, 0))
	j := i
	for j < len(pairs) && ref(pairs[j]>>32) == member {
		j++
	}
	return pairs[i:j]
}

// above gives all groups above a group, the group itself among them only where
// it is nested in itself by way of others.
func (s *sealer) above(group ref) []ref {
	if known, ok := s.ancestors[group]; ok {
		return known
	}
	var all []ref
	seen := make(map[ref]bool)
	for queue := s.parents(nil, group); len(queue) > 0; queue = queue[1:] {
		if g := queue[0]; !seen[g] {
			seen[g] = true
			all = append(all, g)
			queue = append(queue, s.parents(nil, g)...)
		}
	}
	slices.Sort(all)
	s.ancestors[group] = all
	return all
}

// indirect gives the groups above the direct ones that are not among them, in the
// memory of scratch.
func (s *sealer) indirect(scratch, direct []ref) []ref {
	all := scratch[:0]
	for _, g := range direct {
		all = append(all, s.above(g)...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(g ref) bool {
		_, ok := slices.BinarySearch(direct, g)
		return ok
	})
}

// body gives the attributes of an entry.
func (s *sealer) body(e *entry) []byte {
	rest := s.rest(e)
	return s.bodies.get(e.off+int64(restSize+8*rest.emails), rest.size)
}

// rest gives what is kept with an entry's body.
func (s *sealer) rest(e *entry) *entryRest {
	return &asRecords[entryRest](s.bodies.get(e.off, restSize))[0]
}

// emails gives the hashes of an entry's e-mail addresses but the first.
func (s *sealer) emails(e *entry) []uint64 {
	return asRecords[uint64](s.bodies.get(e.off+int64(restSize), 8*s.rest(e).emails))
}

// display gives the displayName of an entry as a JSON string, or nil.
func (s *sealer) display(e *entry) []byte {
	rest := s.rest(e)
	if rest.displayLen == 0 {
		return nil
	}
	return s.body(e)[rest.display : rest.display+rest.displayLen]
}

// name gives the id and the display of a resource as they will be.
func (s *sealer) name(r ref) (id, display []byte) {
	if e := s.entry(r); e != nil && !e.gone {
		rest := s.rest(e)
		return s.body(e)[rest.idOff : rest.idOff+rest.idLen], s.display(e)
	}
	base, ok := s.base.byRef(r)
	if !ok {
		panic(fmt.Sprintf("directory: a membership names resource %d, which is not there", r))
	}
	return base.id(), base.display()
}
