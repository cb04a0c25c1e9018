package directory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"scimbridge/scim/fair"
)

// Tidy merges segments where there have come to be many, so that reading stays
// a matter of one file. It changes nothing that can be seen. Mostly it does
// nothing; now and then it writes the whole picture anew. To be called between
// a Publish and the next Draft.
func (p *Picture) Tidy(ctx context.Context) error {
	s := p.Current()
	if s == nil {
		return nil
	}
	from, ok := mergeFrom(s.segments, p.overlayRows(s))
	if !ok {
		return nil
	}
	seg, err := p.merge(ctx, s, from)
	if err != nil {
		return fmt.Errorf("merging segments: %w", err)
	}
	tidy := newSnapshot(s.source, append(slices.Clone(s.segments[:from]), seg))
	tidy.generation, tidy.published, tidy.tag, tidy.nextSeq = s.generation, s.published, s.tag, s.nextSeq
	tidy.inactive = s.inactive
	p.mu.Lock()
	defer p.mu.Unlock()
	info := p.manifest.Generations[len(p.manifest.Generations)-1]
	info.Segments = segmentIDs(tidy.segments)
	if err := p.record(info); err != nil {
		return fmt.Errorf("merging segments: %w", err)
	}
	p.makeCurrent(tidy)
	return nil
}

// mergeFrom decides which segments to merge: those from the given one on. All,
// when what lies over the base has grown to a good part of it; else the newest
// ones that are of one size, so that their number grows with the logarithm of
// what was written.
func mergeFrom(segments []*segment, mostRows int) (from int, ok bool) {
	last := len(segments) - 1
	if last < 1 {
		return 0, false
	}
	base := segments[0]
	var size int64
	var rows int
	for _, s := range segments[1:] {
		size += s.size
		rows += len(s.rows[User]) + len(s.rows[Group])
	}
	if size > max(base.size/4, 256<<10) || rows > mostRows {
		return 0, true
	}
	from, size = last, segments[last].size
	for from > 1 && segments[from-1].size <= 2*size {
		from--
		size += segments[from].size
	}
	return from, from < last
}

// overlayRows is how many rows may lie over the base of a snapshot before it is
// written anew. A draft that changes more writes all of it at once.
func (p *Picture) overlayRows(s *Snapshot) int {
	if len(s.segments) == 0 {
		return p.leastOverlay
	}
	base := s.segments[0]
	return max((len(base.rows[User])+len(base.rows[Group]))/8, p.leastOverlay)
}

// A mergeRow is a row that a merged segment will have.
type mergeRow struct{ segment, row uint32 }

// A merger writes the segment that takes the place of the segments from one on.
type merger struct {
	s      *Snapshot
	from   int
	w      *segmentWriter
	merged map[uint32]bool // ids of the segments that are merged
	// row of each merged segment -> row in the new one, +1
	rows [][]uint32
}

func (p *Picture) merge(ctx context.Context, s *Snapshot, from int) (*segment, error) {
	w, err := p.newSegment()
	if err != nil {
		return nil, err
	}
	w.base = from == 0
	m := &merger{s: s, from: from, w: w, merged: make(map[uint32]bool), rows: make([][]uint32, len(s.segments))}
	for _, seg := range s.segments[from:] {
		m.merged[seg.id] = true
	}
	var pace fair.Pace
	for t := range Type(NumTypes) {
		for i := from; i < len(s.segments); i++ {
			m.rows[i] = make([]uint32, len(s.segments[i].rows[t]))
		}
		for i, r := range m.choose(t) {
			if i&0xfff == 0 && ctx.Err() != nil {
				w.discard()
				return nil, ctx.Err()
			}
			m.rows[r.segment][r.row] = m.copyRow(m.s.resource(t, r.segment, r.row, -1)) + 1
			pace.Keep()
		}
		m.copyKeys(t)
	}
	return w.finish()
}

// choose gives the rows that the new segment will have, by sequence number:
// those that are visible, and where older segments stay below, the tombstones.
func (m *merger) choose(t Type) []mergeRow {
	if m.from == 0 {
		rows := make([]mergeRow, m.s.Len(t))
		for i := range rows {
			rows[i].segment, rows[i].row = m.s.tables[t].row(i)
		}
		return rows
	}
	var rows []mergeRow
	buried := make(map[uint32]bool)
	for i := len(m.s.segments) - 1; i >= m.from; i-- {
		for row, rec := range m.s.segments[i].rows[t] {
			r := mergeRow{uint32(i), uint32(row)}
			if rec.flags&flagTombstone == 0 {
				if _, visible := m.s.tables[t].position(r.segment, r.row, rec.seq, m.s.segments[0], t); visible {
					rows = append(rows, r)
				}
			} else if _, _, alive := m.s.tables[t].bySeq(rec.seq, m.s.segments[0], t); !alive && !buried[rec.seq] {
				buried[rec.seq] = true
				rows = append(rows, r)
			}
		}
	}
	fair.SortFunc(rows, func(a, b mergeRow) int { return cmp.Compare(m.record(t, a).seq, m.record(t, b).seq) })
	return rows
}

func (m *merger) record(t Type, r mergeRow) *rowRecord {
	return &m.s.segments[r.segment].rows[t][r.row]
}

// copyRow writes a row again and gives its number.
func (m *merger) copyRow(res Resource) uint32 {
	old := res.rec
	if old.flags&flagTombstone != 0 {
		return m.w.add(res.typ, *old)
	}
	row := *old
	row.links = uint32(m.w.links.n)
	m.w.links.add(res.linkRefs()...)
	row.chunk = uint32(m.w.chunkRefs.n)
	switch {
	case old.flags&flagScattered == 0:
		row.off = m.w.off
		m.w.body(res.bytes(0, old.size))
		for seg, c := range res.chunkRecords() {
			m.addChunk(seg, *c, row.off+c.off-old.off)
		}
	case m.from == 0:
		m.gather(res, &row)
	default:
		m.scatter(res, &row)
	}
	m.w.body(comma)
	at := m.w.add(res.typ, row)
	if res.typ == User {
		m.w.manage(at, res.manager())
		if res.Detached() {
			m.w.detach(at, res.DetachedSince().UnixMilli())
		}
	}
	return at
}

// addChunk adds a chunk whose elements are written already.
func (m *merger) addChunk(seg *segment, c chunkRecord, off uint64) {
	members := c.refs(seg)
	c.off, c.members = off, uint32(m.w.members.n)
	m.w.members.add(members...)
	m.w.addChunk(c)
}

// gather writes a scattered row with all its chunks in place.
func (m *merger) gather(res Resource, row *rowRecord) {
	row.off = m.w.off
	row.flags &^= flagScattered
	open := res.rec.head + uint32(len(linksLabel[Group])) + 1
	m.w.body(res.bytes(0, open))
	first := true
	for seg, c := range res.chunkRecords() {
		if !first {
			m.w.body(comma)
		}
		first = false
		off := m.w.off
		m.w.body(seg.body[c.off : c.off+uint64(c.size)])
		m.addChunk(seg, *c, off)
	}
	m.w.body(res.bytes(open, res.rec.size))
	row.size = uint32(m.w.off - row.off)
}

// scatter writes a scattered row, before it those of its chunks whose segments
// are merged away, and refers to the others where they are.
func (m *merger) scatter(res Resource, row *rowRecord) {
	for i := range int(res.rec.chunks) {
		seg, c := res.chunkAt(i)
		if !m.merged[seg.id] {
			m.w.chunkRefs.add(res.seg.chunkRefs[int(res.rec.chunk)+i])
			continue
		}
		off := m.w.off
		m.w.body(seg.body[c.off : c.off+uint64(c.size)])
		m.addChunk(seg, *c, off)
	}
	row.off = m.w.off
	m.w.body(res.bytes(0, res.rec.size))
}

// copyKeys has the copied rows found under the keys of the old ones.
func (m *merger) copyKeys(t Type) {
	var pace fair.Pace
	for i := m.from; i < len(m.s.segments); i++ {
		seg := m.s.segments[i]
		for k := range numKeys {
			for n, row := range seg.keyRows[t][k] {
				if to := m.rows[i][row]; to > 0 {
					m.w.keys[t][k].add(keyEntry{seg.hashes[t][k][n], to - 1})
				}
				if n%1024 == 0 {
					pace.Keep()
				}
			}
		}
	}
}
