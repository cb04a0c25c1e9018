package directory

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"scimbridge/scim/fair"
)

// write renders what is affected into a segment. It gives nil where nothing
// has to be written.
func (s *sealer) write() (*segment, error) {
	if s.affected.Len() == 0 && s.base.generation > 0 {
		return nil, nil
	}
	w, err := s.picture.newSegment()
	if err != nil {
		return nil, fmt.Errorf("writing the picture: %w", err)
	}
	s.w, w.base = w, s.whole || len(s.base.segments) == 0
	var pace fair.Pace
	for t := range Type(NumTypes) {
		for i, r := range s.affected.All() {
			if i&0xfff == 0 && s.ctx.Err() != nil {
				w.discard()
				return nil, s.ctx.Err()
			}
			if r.typ() == t {
				s.writeResource(r)
				pace.Keep()
			}
		}
	}
	if w.err == nil && !s.changed && s.base.generation > 0 {
		w.discard()
		return nil, nil
	}
	seg, err := w.finish()
	if err != nil {
		return nil, fmt.Errorf("writing the picture: %w", err)
	}
	return seg, nil
}

// A rendering is a row being made.
type rendering struct {
	ref   ref
	entry *entry // nil: the attributes are those of base
	base  Resource
	known bool // base is valid

	head     []byte
	parents  []ref
	indirect []ref
}

func (s *sealer) writeResource(r ref) {
	v := &s.rendering
	*v = rendering{ref: r, entry: s.entry(r), parents: v.parents, indirect: v.indirect[:0]}
	v.base, v.known = s.base.byRef(r)
	if v.entry != nil && v.entry.gone {
		if v.known {
			s.changed = true
			if !s.whole {
				s.w.add(r.typ(), rowRecord{seq: r.seq(), flags: flagTombstone})
			}
			if v.base.Active() {
				s.diff.add(r, Removed)
			} else {
				s.inactive--
				s.diff.add(r, Purged)
			}
		}
		return
	}
	if v.entry != nil {
		v.head = s.body(v.entry)
	} else {
		v.head = v.base.Head()
	}
	v.parents = s.parents(v.parents, r)
	if r.typ() == User {
		v.indirect = s.indirect(v.indirect, v.parents)
		s.writeUser(v)
	} else {
		s.writeGroup(v)
	}
}

// writeUser writes a user unless she is as she was.
func (s *sealer) writeUser(v *rendering) {
	links := s.renderGroups(v)
	row := rowRecord{hash: hash64(v.head) + hash64(links)}
	same := v.known && !s.rebase && row.hash == v.base.rec.hash && bytes.Equal(v.head, v.base.Head())
	// Being detached is no part of what is served, but it is what becomes of
	// somebody: so it counts as a change. Whom a user reports to and may not name
	// is nobody's business.
	same = same && s.sameFlags(v)
	if same && s.sameManager(v) {
		s.keep(v)
		return
	}
	s.begin(v, &row)
	if len(links) > 0 {
		s.w.body(linksLabel[User])
		s.w.body(links)
	}
	s.end(v, &row, !same)
}

// renderGroups gives the JSON array of a user's groups, empty where there are
// none. It is good until the next call.
func (s *sealer) renderGroups(v *rendering) []byte {
	b := s.links[:0]
	for _, g := range v.parents {
		b = append(append(b, ','), s.showGroup(g, true)...)
	}
	for _, g := range v.indirect {
		b = append(append(b, ','), s.showGroup(g, false)...)
	}
	if len(b) > 0 {
		b[0] = '['
		b = append(b, ']')
	}
	s.links = b
	return b
}

// showGroup gives a group as it stands in its members' groups.
func (s *sealer) showGroup(g ref, direct bool) []byte {
	key := shownKey{g, direct}
	b, ok := s.shown[key]
	if !ok {
		kind := "indirect"
		if direct {
			kind = "direct"
		}
		b = s.element(nil, g, kind)
		s.shown[key] = b
	}
	return b
}

// element appends an element of groups or members (RFC 7643 §4.1.2, §4.2).
func (s *sealer) element(dst []byte, r ref, kind string) []byte {
	id, display := s.name(r)
	dst = append(append(append(dst, `{"value":"`...), id...), `","$ref":"`...)
	dst = append(append(dst, s.picture.opts.BaseURL...), r.typ().Endpoint()...)
	dst = append(append(append(dst, '/'), id...), '"')
	if display != nil {
		dst = append(append(dst, `,"display":`...), display...)
	}
	return append(append(append(dst, `,"type":"`...), kind...), `"}`...)
}

// sameFlags says whether the entry, if there is one, has the base's flags.
func (s *sealer) sameFlags(v *rendering) bool {
	return v.entry == nil || v.entry.inactive != v.base.Active() && v.entry.detached == v.base.Detached()
}

// keep leaves a row as it is: where the segment takes the place of all others, by
// a copy.
func (s *sealer) keep(v *rendering) {
	if s.whole {
		m := merger{s: s.base, w: s.w}
		s.index(v, m.copyRow(v.base))
	}
}

// sameManager says whether the entry, if there is one, has the base's manager.
func (s *sealer) sameManager(v *rendering) bool {
	return v.entry == nil || v.entry.manager == v.base.manager() && v.entry.hides == v.base.HidesManager()
}

// begin writes a row's attributes.
func (s *sealer) begin(v *rendering, row *rowRecord) {
	row.off, row.seq = s.w.off, v.ref.seq()
	s.w.body([]byte{'{'})
	s.w.body(v.head)
	row.head = uint32(1 + len(v.head))
	row.flags |= saysActive(v.ref.typ(), v.head)
	row.links = uint32(s.w.links.Len())
	row.direct = uint32(len(v.parents))
	row.total = uint32(len(v.parents) + len(v.indirect))
	s.w.links.Add(v.parents...)
	s.w.links.Add(v.indirect...)
	if e := v.entry; e != nil {
		rest := s.rest(e)
		row.idOff, row.idLen = rest.idOff+1, uint16(rest.idLen)
		if rest.displayLen > 0 {
			row.display, row.displayLen = rest.display+1, rest.displayLen
		}
		if e.inactive {
			row.flags |= flagInactive
		}
		if e.detached {
			row.flags |= flagDetached
		}
		if e.hides {
			row.flags |= flagHides
		}
		return
	}
	base := v.base.rec
	row.idOff, row.idLen, row.display, row.displayLen = base.idOff, base.idLen, base.display, base.displayLen
	row.flags |= base.flags & (flagInactive | flagDetached | flagHides)
}

// saysActive gives the flags for what a user's attributes say of active.
func saysActive(t Type, head []byte) uint16 {
	if t != User {
		return 0
	}
	switch string(topLevel(head, "active")) {
	case "true":
		return flagTrue
	case "false":
		return flagFalse
	}
	return 0
}

// end writes a row's meta, and the row.
func (s *sealer) end(v *rendering, row *rowRecord, visible bool) {
	s.changed = true
	row.modified = s.now
	if !visible {
		row.modified = v.base.rec.modified
	}
	tail := append(s.scratch[:0], metaLabel...)
	tail = append(tail, metaOpen[v.ref.typ()]...)
	switch {
	case v.entry != nil && s.rest(v.entry).created != 0:
		tail = appendTime(tail, s.rest(v.entry).created)
	case v.known:
		tail = append(tail, v.base.created()...)
	default:
		tail = appendTime(tail, s.now)
	}
	tail = append(appendTime(append(tail, `","lastModified":"`...), row.modified), `","location":"`...)
	id, _ := s.name(v.ref)
	tail = append(append(append(tail, s.picture.opts.BaseURL...), v.ref.typ().Endpoint()...), '/')
	tail = append(append(tail, id...), `","version":"W/\"`...)
	tail = append(appendHex(tail, row.hash), `\""}}`...)
	s.scratch = tail
	s.w.body(tail)
	row.tail = uint32(len(tail))
	row.size = uint32(s.w.off - row.off)
	s.w.body(comma)
	at := s.w.add(v.ref.typ(), *row)
	s.index(v, at)
	s.aside(v, row, at)
	if v.known && !v.base.Active() {
		s.inactive--
	}
	if row.flags&flagInactive != 0 {
		s.inactive++
	}
	if !visible {
		return
	}
	if !v.known {
		s.diff.add(v.ref, Added)
		return
	}
	s.diff.add(v.ref, changeKind(v.base.Active(), row.flags&flagInactive == 0))
}

// aside keeps of a user's row what is no part of it: the manager, and since when
// she has been detached.
func (s *sealer) aside(v *rendering, row *rowRecord, at uint32) {
	if v.ref.typ() != User {
		return
	}
	manager := uint64(0)
	if v.entry != nil {
		manager = v.entry.manager
	} else {
		manager = v.base.manager()
	}
	s.w.manage(at, manager)
	if row.flags&flagDetached == 0 {
		return
	}
	since := row.modified
	if v.known && v.base.Detached() {
		since = v.base.DetachedSince().UnixMilli()
	}
	s.w.detach(at, since)
}

// index has the row found under its keys. A row whose attributes did not change
// takes them from the row it follows.
func (s *sealer) index(v *rendering, row uint32) {
	keys := &s.w.keys[v.ref.typ()]
	if v.entry == nil {
		v.base.eachKey(func(key int, hash uint64) {
			keys[key].Add(keyEntry{hash, row})
		})
		return
	}
	for k, hash := range s.rest(v.entry).keys {
		if hash != 0 {
			keys[k].Add(keyEntry{hash, row})
		}
	}
	for _, hash := range s.emails(v.entry) {
		keys[keyEmail].Add(keyEntry{hash, row})
	}
}

// writeGroup writes a group unless it is as it was. A group whose own groups
// changed is written again for their sake, although nobody sees a difference.
func (s *sealer) writeGroup(v *rendering) {
	ops := s.opsOf(v.ref)
	same := v.known && !s.rebase && len(ops) == 0 && bytes.Equal(v.head, v.base.Head())
	if same && s.sameFlags(v) && slices.Equal(v.parents, v.base.parents()) {
		s.keep(v)
		return
	}
	row := rowRecord{hash: hash64(v.head)}
	var chunks []plannedChunk // in the row itself
	if s.scatters(v, ops) {
		row.hash += v.base.rec.hash - hash64(v.base.Head())
		s.scatter(v.base, ops, &row) // before the row's own bytes
	} else {
		s.all.Resize(0)
		for m := range s.members(v.ref) {
			s.all.Add(m)
		}
		chunks = s.cut(nil, s.all.All())
		row.chunk, row.chunks = uint32(s.w.chunkRefs.Len()), uint32(len(chunks))
	}
	s.begin(v, &row)
	if row.chunks > 0 {
		s.w.body(linksLabel[Group])
		s.w.body([]byte{'['})
		s.writeChunks(chunks, &row)
		s.w.body([]byte{']'})
	}
	s.end(v, &row, !same)
}

// scatters says whether of a group's chunks only those are written that changed,
// rather than all in one place: it is a large one.
func (s *sealer) scatters(v *rendering, ops []memberOp) bool {
	if !v.known || s.whole {
		return false
	}
	count := len(ops)
	for _, c := range v.base.chunkRecords() {
		if count += int(c.count); count > s.picture.cut.rebuild {
			return true
		}
	}
	return false
}

// scatter writes the chunks that changed, and the row's runs. Of those of before
// which nothing changed in stay as they are; what changed in a very long one is cut
// out of it.
func (s *sealer) scatter(base Resource, ops []memberOp, row *rowRecord) {
	row.flags = flagScattered | flagRuns
	row.chunk = uint32(s.w.runs.Len())
	next := 0 // the first run of before that is not dealt with yet
	for len(ops) > 0 {
		at := base.runOf(ops[0].member)
		for ; next < at; next++ {
			s.w.runs.Add(base.run(next))
		}
		n := len(ops)
		if at+1 < base.runs() {
			n = opsBefore(ops, base.firstOf(base.chunksOf(base.run(at + 1))[0]))
		}
		s.scatterRun(base, base.run(at), ops[:n], row)
		ops, next = ops[n:], at+1
	}
	for ; next < base.runs(); next++ {
		s.w.runs.Add(base.run(next))
	}
	if row.chunks = uint32(s.w.runs.Len()) - row.chunk; row.chunks == 0 {
		row.flags = 0 // nobody is left
	}
}

// scatterRun does it for one run and what changed in it.
func (s *sealer) scatterRun(base Resource, run chunkRun, ops []memberOp, row *rowRecord) {
	chunks, size := base.chunksOf(run), s.picture.cut.run
	done := 0
	keep := func(end int) {
		if end > done {
			s.w.runs.Add(chunkRun{run.segment, run.first + uint32(done), uint32(end - done)})
		}
	}
	for len(ops) > 0 {
		from, end := 0, len(chunks)
		if len(chunks) > 2*size {
			from = base.chunkOf(chunks, ops[0].member) / size * size
			end = min(from+size, len(chunks))
		}
		n := len(ops)
		if end < len(chunks) {
			n = opsBefore(ops, base.firstOf(chunks[end]))
		}
		keep(from)
		plan := s.plan[:0]
		for i, c := range chunks[from:end] {
			// The operations on members up to the next chunk's first are this one's.
			k := n
			if i+1 < end-from {
				k = opsBefore(ops[:n], base.firstOf(chunks[from+i+1]))
			}
			if k == 0 {
				plan = append(plan, plannedChunk{old: c})
				continue
			}
			seg, chunk := base.chunk(c)
			row.hash -= chunk.sum
			plan = s.cut(plan, applyOps(chunk.refs(seg), ops[:k]))
			ops, n = ops[k:], n-k
		}
		s.plan = plan
		for len(plan) > 0 {
			part := plan
			if len(plan) > 2*size {
				part = plan[:size]
			}
			first := s.w.chunkRefs.Len()
			s.writeChunks(part, row)
			s.w.runFrom(first)
			plan = plan[len(part):]
		}
		done = end
	}
	keep(len(chunks))
}

// opsBefore is how many operations are on members before one.
func opsBefore(ops []memberOp, m ref) int {
	n, _ := slices.BinarySearchFunc(ops, m, func(op memberOp, m ref) int { return cmp.Compare(op.member, m) })
	return n
}

// A plannedChunk is a chunk that stays where it is, or the members of one to be
// written.
type plannedChunk struct {
	old     chunkRef
	members []ref
}

// applyOps gives the members after the operations, both ascending.
func applyOps(members []ref, ops []memberOp) []ref {
	var result []ref
	for len(members) > 0 || len(ops) > 0 {
		switch {
		case len(ops) == 0 || len(members) > 0 && members[0] < ops[0].member:
			result = append(result, members[0])
			members = members[1:]
			continue
		case len(members) > 0 && members[0] == ops[0].member:
			members = members[1:]
			if ops[0].kind != opLeave {
				result = append(result, ops[0].member)
			}
		case ops[0].kind == opJoin:
			result = append(result, ops[0].member)
		}
		ops = ops[1:]
	}
	return result
}

// cut appends chunks for the members to the plan.
func (s *sealer) cut(plan []plannedChunk, members []ref) []plannedChunk {
	for size := s.picture.cut.chunk; len(members) > 2*size; members = members[size:] {
		plan = append(plan, plannedChunk{members: members[:size]})
	}
	if len(members) > 0 {
		plan = append(plan, plannedChunk{members: members})
	}
	return plan
}

// writeChunks writes the new ones among the chunks, with a comma between them,
// and the row's references to all of them.
func (s *sealer) writeChunks(plan []plannedChunk, row *rowRecord) {
	for i, p := range plan {
		if p.members == nil {
			s.w.chunkRefs.Add(p.old)
			continue
		}
		if i > 0 {
			s.w.body(comma)
		}
		c := s.writeChunk(p.members)
		row.hash += c.sum
		s.w.addChunk(c)
	}
}

// writeChunk writes the elements of some members.
func (s *sealer) writeChunk(members []ref) chunkRecord {
	c := chunkRecord{off: s.w.off, count: uint32(len(members)), members: uint32(s.w.members.Len())}
	s.w.members.Add(members...)
	for i, m := range members {
		if i > 0 {
			s.w.body(comma)
		}
		s.scratch = s.element(s.scratch[:0], m, m.typ().String())
		c.sum += hash64(s.scratch)
		s.w.body(s.scratch)
	}
	c.size = uint32(s.w.off - c.off)
	return c
}
