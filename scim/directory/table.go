package directory

import (
	"cmp"
	"slices"
)

// A table is the list of one type's resources in a snapshot: the rows of the
// oldest segment, the base, with what newer segments change of it laid over.
// The overlay is small (segments are merged when it grows) and is copied, never
// changed, when a snapshot follows another.
type table struct {
	base []rowRecord

	// replaced are the base rows that a newer segment has again, dead those
	// that are gone, both by base row, ascending.
	replaced []overlayRow
	dead     []uint32

	// added are the rows seen after the base was written, by sequence number:
	// their numbers are all above the base's.
	added []overlayRow
}

// An overlayRow is a row of a segment that is not the base.
type overlayRow struct {
	at      uint32 // the base row it replaces; in added: the sequence number
	segment uint32 // position in Snapshot.segments
	row     uint32
}

func (o overlayRow) compare(at uint32) int { return cmp.Compare(o.at, at) }

// len is the number of resources.
func (t *table) len() int { return len(t.base) - len(t.dead) + len(t.added) }

// overlaid is how many rows the overlay has or hides.
func (t *table) overlaid() int { return len(t.replaced) + len(t.dead) + len(t.added) }

// with lays one more segment over the table.
func (t *table) with(segment uint32, rows []rowRecord, base *segment, typ Type) table {
	var overBase, overAdded []overlayRow
	gone := make(map[uint32]bool) // by row of the new segment
	for i := range rows {
		o := overlayRow{segment: segment, row: uint32(i)}
		if rows[i].flags&flagTombstone != 0 {
			gone[o.row] = true
		}
		if p, ok := base.rowOf(typ, rows[i].seq); ok {
			o.at = uint32(p)
			overBase = append(overBase, o)
		} else {
			o.at = rows[i].seq
			overAdded = append(overAdded, o)
		}
	}
	next := table{base: t.base}
	next.replaced = overlay(t.replaced, overBase, gone)
	next.added = overlay(t.added, overAdded, gone)
	next.dead = slices.Clip(slices.Clone(t.dead))
	for _, o := range overBase {
		i, found := slices.BinarySearch(next.dead, o.at)
		switch {
		case gone[o.row] && !found:
			next.dead = slices.Insert(next.dead, i, o.at)
		case !gone[o.row] && found:
			next.dead = slices.Delete(next.dead, i, i+1)
		}
	}
	return next
}

// overlay merges rows over old ones, both in order; gone ones end in neither.
func overlay(old, over []overlayRow, gone map[uint32]bool) []overlayRow {
	if len(over) == 0 {
		return old
	}
	merged := make([]overlayRow, 0, len(old)+len(over))
	for _, o := range over {
		for len(old) > 0 && old[0].at < o.at {
			merged = append(merged, old[0])
			old = old[1:]
		}
		if len(old) > 0 && old[0].at == o.at {
			old = old[1:]
		}
		if !gone[o.row] {
			merged = append(merged, o)
		}
	}
	return append(merged, old...)
}

// row gives the row at a list position, as the segment's position in
// Snapshot.segments and its row number.
func (t *table) row(i int) (segment, row uint32) {
	live := len(t.base) - len(t.dead)
	if i >= live {
		o := t.added[i-live]
		return o.segment, o.row
	}
	p := t.baseRow(i)
	if k, ok := slices.BinarySearchFunc(t.replaced, p, overlayRow.compare); ok {
		return t.replaced[k].segment, t.replaced[k].row
	}
	return 0, p
}

// baseRow gives the base row of the i-th list position, which lies in the base:
// i and as many as are dead up to there.
func (t *table) baseRow(i int) uint32 {
	lo, hi := 0, len(t.dead)
	for lo < hi {
		mid := (lo + hi) / 2
		if int(t.dead[mid])-mid > i {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return uint32(i + lo)
}

// baseSpan gives the rows from list position i on, before j, which lie in the
// base: one that replaces a base row, or base rows up to the next that is
// replaced or dead.
func (t *table) baseSpan(i, j int) span {
	p := t.baseRow(i)
	k, replaced := slices.BinarySearchFunc(t.replaced, p, overlayRow.compare)
	if replaced {
		return single(t.replaced[k])
	}
	end := int(p) + j - i
	if k < len(t.replaced) {
		end = min(end, int(t.replaced[k].at))
	}
	if d, _ := slices.BinarySearch(t.dead, p); d < len(t.dead) {
		end = min(end, int(t.dead[d]))
	}
	return span{first: int(p), end: end}
}

// addedSpan gives the rows from the i-th of the added on, before the j-th.
func (t *table) addedSpan(i, j int) span {
	s := single(t.added[i])
	for i++; i < j && t.added[i].segment == s.segment && int(t.added[i].row) == s.end; i++ {
		s.end++
	}
	return s
}

func single(o overlayRow) span {
	return span{segment: o.segment, first: int(o.row), end: int(o.row) + 1}
}

// position gives the list position of a row, and false where the row is not
// the one that is visible.
func (t *table) position(segment, row uint32, seq uint32, base *segment, typ Type) (int, bool) {
	p, inBase := int(row), segment == 0
	if !inBase {
		p, inBase = base.rowOf(typ, seq)
	}
	if !inBase {
		i, ok := slices.BinarySearchFunc(t.added, seq, overlayRow.compare)
		if !ok || t.added[i].segment != segment || t.added[i].row != row {
			return 0, false
		}
		return len(t.base) - len(t.dead) + i, true
	}
	deadBefore, dead := slices.BinarySearch(t.dead, uint32(p))
	if dead {
		return 0, false
	}
	k, replaced := slices.BinarySearchFunc(t.replaced, uint32(p), overlayRow.compare)
	if replaced != (segment != 0) || replaced && (t.replaced[k].segment != segment || t.replaced[k].row != row) {
		return 0, false
	}
	return p - deadBefore, true
}

// bySeq finds the visible row with a sequence number.
func (t *table) bySeq(seq uint32, base *segment, typ Type) (segment, row uint32, ok bool) {
	p, inBase := base.rowOf(typ, seq)
	if !inBase {
		i, ok := slices.BinarySearchFunc(t.added, seq, overlayRow.compare)
		if !ok {
			return 0, 0, false
		}
		return t.added[i].segment, t.added[i].row, true
	}
	if _, dead := slices.BinarySearch(t.dead, uint32(p)); dead {
		return 0, 0, false
	}
	if k, ok := slices.BinarySearchFunc(t.replaced, uint32(p), overlayRow.compare); ok {
		return t.replaced[k].segment, t.replaced[k].row, true
	}
	return 0, uint32(p), true
}
