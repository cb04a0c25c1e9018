package directory

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"

	"scimbridge/scim/bulk"
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
	from, ok := p.mergeFrom(s)
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

// usualFanOut is how many segments of one tier are merged into one of the next.
// With fewer a row is written more often until it comes into the base, by the
// logarithm of its number; with more a look-up has more segments to look into.
const usualFanOut = 8

// mergeFrom decides which segments to merge: those from the given one on. All,
// when what lies over the base has grown to a good part of it; else the newest,
// once there are enough of one tier, so that what is written of a row, and the
// number of segments, grow with the logarithm of what there is.
func (p *Picture) mergeFrom(s *Snapshot) (from int, ok bool) {
	if len(s.segments) < 2 {
		return 0, false
	}
	var size int64
	rows := 0
	for _, seg := range s.segments[1:] {
		size += seg.size
	}
	for t := range s.tables {
		rows += s.tables[t].overlaid()
	}
	if size > max(s.segments[0].size/2, 256<<10) || rows > p.overlayRows(s) {
		return 0, true
	}
	for t := 0; from != 1; t++ {
		same := 0
		for from = len(s.segments); from > 1 && tier(s.segments[from-1].size) <= t; from-- {
			if tier(s.segments[from-1].size) == t {
				same++
			}
		}
		// Those of different tiers, by turns, would never be enough of one.
		if same >= p.fanOut || len(s.segments)-from >= 3*p.fanOut {
			return from, true
		}
	}
	return 0, false
}

// tier is 0 for a segment below 64 KiB, and one more with each eightfold.
func tier(size int64) int { return (bits.Len64(uint64(size)>>16) + 2) / 3 }

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
	rows   []bulk.List[uint32]
	chosen bulk.List[mergeRow]
}

func (m *merger) close() {
	for i := range m.rows {
		m.rows[i].Close()
	}
	m.chosen.Close()
}

func (p *Picture) merge(ctx context.Context, s *Snapshot, from int) (*segment, error) {
	w, err := p.newSegment()
	if err != nil {
		return nil, err
	}
	w.base = from == 0
	m := &merger{s: s, from: from, w: w, merged: make(map[uint32]bool), rows: make([]bulk.List[uint32], len(s.segments))}
	defer m.close()
	m.chosen.Place = p.lists
	for _, seg := range s.segments[from:] {
		m.merged[seg.id] = true
	}
	var pace fair.Pace
	for t := range Type(NumTypes) {
		for i := from; i < len(s.segments); i++ {
			m.rows[i].Place = p.lists
			m.rows[i].Resize(0)
			m.rows[i].Resize(len(s.segments[i].rows[t]))
		}
		for i, r := range m.choose(t) {
			if i&0xfff == 0 && ctx.Err() != nil {
				w.discard()
				return nil, ctx.Err()
			}
			m.rows[r.segment].All()[r.row] = m.copyRow(m.s.resource(t, r.segment, r.row, -1)) + 1
			pace.Keep()
		}
		m.copyKeys(t)
	}
	return w.finish()
}

// choose gives the rows that the new segment will have, by sequence number:
// those that are visible, and where older segments stay below, the tombstones. They
// are good until the next call.
func (m *merger) choose(t Type) []mergeRow {
	m.chosen.Resize(0)
	if m.from == 0 {
		for i := range m.s.Len(t) {
			segment, row := m.s.tables[t].row(i)
			m.chosen.Add(mergeRow{segment, row})
		}
		return m.chosen.All()
	}
	buried := make(map[uint32]bool)
	for i := len(m.s.segments) - 1; i >= m.from; i-- {
		for row, rec := range m.s.segments[i].rows[t] {
			r := mergeRow{uint32(i), uint32(row)}
			if rec.flags&flagTombstone == 0 {
				if _, visible := m.s.tables[t].position(r.segment, r.row, rec.seq, m.s.segments[0], t); visible {
					m.chosen.Add(r)
				}
			} else if _, _, alive := m.s.tables[t].bySeq(rec.seq, m.s.segments[0], t); !alive && !buried[rec.seq] {
				buried[rec.seq] = true
				m.chosen.Add(r)
			}
		}
	}
	fair.SortFunc(m.chosen.All(), func(a, b mergeRow) int { return cmp.Compare(m.record(t, a).seq, m.record(t, b).seq) })
	return m.chosen.All()
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
	row.links = uint32(m.w.links.Len())
	m.w.links.Add(res.linkRefs()...)
	row.chunk = uint32(m.w.chunkRefs.Len())
	row.flags &^= flagScattered | flagRuns
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
	c.off, c.members = off, uint32(m.w.members.Len())
	m.w.members.Add(members...)
	m.w.addChunk(c)
}

// gather writes a scattered row with all its chunks in place.
func (m *merger) gather(res Resource, row *rowRecord) {
	row.off = m.w.off
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
	row.chunks = uint32(m.w.chunkRefs.Len()) - row.chunk
}

// scatter writes a scattered row, before it those of its chunks whose segments
// are merged away, and refers to the others where they are.
func (m *merger) scatter(res Resource, row *rowRecord) {
	row.flags |= flagScattered | flagRuns
	row.chunk, row.chunks = uint32(m.w.runs.Len()), uint32(res.runs())
	for i := range res.runs() {
		run := res.run(i)
		if !m.merged[run.segment] { // nor are those that it refers to
			m.w.runs.Add(run)
			continue
		}
		first := m.w.chunkRefs.Len()
		for _, ref := range res.chunksOf(run) {
			seg, c := res.chunk(ref)
			if !m.merged[seg.id] {
				m.w.chunkRefs.Add(ref)
				continue
			}
			off := m.w.off
			m.w.body(seg.body[c.off : c.off+uint64(c.size)])
			m.addChunk(seg, *c, off)
		}
		m.w.runFrom(first)
	}
	row.off = m.w.off
	m.w.body(res.bytes(0, res.rec.size))
}

// copyKeys has the copied rows found under the keys of the old ones.
func (m *merger) copyKeys(t Type) {
	var pace fair.Pace
	for i := m.from; i < len(m.s.segments); i++ {
		seg, rows := m.s.segments[i], m.rows[i].All()
		for k := range numKeys {
			for n, row := range seg.keyRows[t][k] {
				if to := rows[row]; to > 0 {
					m.w.keys[t][k].Add(keyEntry{seg.hashes[t][k][n], to - 1})
				}
				if n%1024 == 0 {
					pace.Keep()
				}
			}
		}
	}
}
