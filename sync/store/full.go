package store

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// A fullRead remembers what a full read of a kind has shown: one bit for each
// id and, for groups, for each membership, by their numbers.
type fullRead struct {
	objects, edges marks
}

func (f *fullRead) see(n int64) {
	if f != nil {
		f.objects.set(n)
	}
}

func (f *fullRead) seeEdge(m int64) {
	if f != nil {
		f.edges.set(m)
	}
}

// marks is a set of numbers.
type marks []uint64

func (s *marks) set(n int64) {
	word := int(n >> 6)
	if word >= len(*s) {
		*s = append(*s, make([]uint64, word+1-len(*s))...)
	}
	(*s)[word] |= 1 << (n & 63)
}

func (s marks) has(n int64) bool {
	word := int(n >> 6)
	return word < len(s) && s[word]&(1<<(n&63)) != 0
}

// next gives the first number from n on that is in the set (or with in=false is
// not), and limit if there is none below.
func (s marks) next(n, limit int64, in bool) int64 {
	for n < limit {
		var word uint64
		if w := int(n >> 6); w < len(s) {
			word = s[w]
		} else if in {
			return limit
		}
		if !in {
			word = ^word
		}
		if word >>= n & 63; word != 0 {
			return min(limit, n+int64(bits.TrailingZeros64(word)))
		}
		n = (n | 63) + 1
	}
	return limit
}

// gaps calls visit with the ranges of numbers below limit that are not in the
// set.
func (s marks) gaps(limit int64, visit func(span) error) error {
	for n := s.next(0, limit, false); n < limit; {
		end := s.next(n, limit, true)
		if err := visit(span{n, end - 1}); err != nil {
			return err
		}
		n = s.next(end, limit, false)
	}
	return nil
}

// BeginFull implements [Tx].
func (r *round) BeginFull(kind Kind) (err error) {
	defer r.leave("beginning a full read", &err)
	if err := r.enter(); err != nil {
		return err
	}
	code, err := kindCode(kind)
	if err != nil {
		return err
	}
	if r.reads[code] != nil {
		return fmt.Errorf("a full read of %ss is under way", kind)
	}
	r.reads[code] = new(fullRead)
	return nil
}

// reading gives the full read of a kind that is under way.
func (r *round) reading(kind Kind) (code int64, read *fullRead, err error) {
	if code, err = kindCode(kind); err != nil {
		return 0, nil, err
	}
	if read = r.reads[code]; read == nil {
		return 0, nil, fmt.Errorf("no full read of %ss is under way", kind)
	}
	return code, read, nil
}

// Seen implements [Tx].
func (r *round) Seen(kind Kind, id string) (seen bool, err error) {
	defer r.leave("looking whether an object was seen", &err)
	if err := r.enter(); err != nil {
		return false, err
	}
	_, read, err := r.reading(kind)
	if err != nil {
		return false, err
	}
	n, known, err := r.lookup(id)
	return known && read.objects.has(n), err
}

// Unseen implements [Tx].
func (r *round) Unseen(kind Kind) (objects, edges int, err error) {
	defer r.leave("counting what was not seen", &err)
	if err := r.enter(); err != nil {
		return 0, 0, err
	}
	code, read, err := r.reading(kind)
	if err != nil {
		return 0, 0, err
	}
	count := func(int64, *stagedObject) error { return nil }
	if objects, err = r.eachUnseen(code, read.objects, count); err != nil || kind != Group {
		return objects, 0, err
	}
	edges, err = r.eachUnseenEdge(read.edges, func(ends, *stagedEdge) error { return nil })
	return objects, edges, err
}

// UnseenIDs implements [Tx].
func (r *round) UnseenIDs(kind Kind, visit func(id string) error) (err error) {
	ids, err := r.unseenIDs(kind)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) unseenIDs(kind Kind) (ids []string, err error) {
	defer r.leave("listing what was not seen", &err)
	if err := r.enter(); err != nil {
		return nil, err
	}
	code, read, err := r.reading(kind)
	if err != nil {
		return nil, err
	}
	first := kindSpan(r.source, code).first
	_, err = r.eachUnseen(code, read.objects, func(slot int64, _ *stagedObject) error {
		id, err := r.idOf(slot - first)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// idOf gives the id of a number.
func (r *round) idOf(n int64) (string, error) {
	at, staged := slices.BinarySearchFunc(r.stage.ids, n, func(s stagedID, n int64) int { return cmp.Compare(s.n, n) })
	if staged {
		return r.stage.ids[at].id, nil
	}
	for _, schema := range r.schemas() {
		var id any
		found, err := r.one("SELECT id FROM "+schema+".ids WHERE ref = ?", []any{r.ref(n)}, &id)
		if err != nil {
			return "", err
		}
		if found {
			return decodeID(id)
		}
	}
	return "", fmt.Errorf("the id of object %d is missing", n)
}

// AbortFull implements [Tx].
func (r *round) AbortFull(kind Kind) (err error) {
	defer r.leave("giving up a full read", &err)
	if err := r.enter(); err != nil {
		return err
	}
	code, _, err := r.reading(kind)
	if err == nil {
		r.reads[code] = nil
	}
	return err
}

// EndFull implements [Tx].
func (r *round) EndFull(kind Kind, removal Removal) (objects, edges int, err error) {
	defer r.leave("ending a full read", &err)
	if err := r.enter(); err != nil {
		return 0, 0, err
	}
	code, read, err := r.reading(kind)
	if err != nil {
		return 0, 0, err
	}
	if objects, err = r.eachUnseen(code, read.objects, func(slot int64, row *stagedObject) error {
		return r.remove(code, slot, row, removal)
	}); err != nil {
		return 0, 0, err
	}
	if kind == Group {
		if edges, err = r.eachUnseenEdge(read.edges, r.part); err != nil {
			return 0, 0, err
		}
	}
	r.reads[code] = nil
	r.fulls[kind] = removal.At
	return objects, edges, nil
}

// batch is how many rows are looked at between changes to the tables.
const batch = 1000

// eachUnseen visits the present objects of a kind whose numbers are not in
// seen, and counts them.
func (r *round) eachUnseen(code int64, seen marks, do func(slot int64, row *stagedObject) error) (count int, err error) {
	first := kindSpan(r.source, code).first
	var visited marks // a row may lie in the stage and in several tables
	vanish := func(slot int64) error {
		if visited.has(slot - first) {
			return nil
		}
		visited.set(slot - first)
		row, _, err := r.row(slot)
		if err != nil || row == nil || row.removed != nil {
			return err
		}
		count++
		return do(slot, row)
	}
	for _, slot := range r.stagedUnseen(code, seen) {
		if err := vanish(slot); err != nil {
			return count, err
		}
	}
	err = seen.gaps(r.nextN, func(gap span) error {
		return r.eachPresent(span{first + gap.first, first + gap.last}, vanish)
	})
	return count, err
}

// stagedUnseen gives the slots of staged objects that are not in seen.
func (r *round) stagedUnseen(code int64, seen marks) (slots []int64) {
	kind := kindSpan(r.source, code)
	for slot := range r.stage.objects {
		if slot >= kind.first && slot <= kind.last && !seen.has(slot-kind.first) {
			slots = append(slots, slot)
		}
	}
	slices.Sort(slots)
	return slots
}

// eachPresent visits the slots in a range that some table beneath the stage has
// as present; the stage, or an upper table, may know better.
func (r *round) eachPresent(in span, visit func(slot int64) error) error {
	for _, schema := range r.schemas() {
		for from := in.first; from <= in.last; {
			slots, err := r.presentSlots(schema, span{from, in.last})
			if err != nil {
				return err
			}
			for _, slot := range slots {
				if err := visit(slot); err != nil {
					return err
				}
			}
			if len(slots) < batch {
				break
			}
			from = slots[len(slots)-1] + 1
		}
	}
	return nil
}

func (r *round) presentSlots(schema string, in span) (slots []int64, err error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	st, err := r.stmt("SELECT slot FROM " + schema + ".objects WHERE slot BETWEEN ? AND ? AND removed_at IS NULL ORDER BY slot LIMIT ?")
	if err != nil {
		return nil, err
	}
	rows, err := st.Query(in.first, in.last, batch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var slot int64
		if err := rows.Scan(&slot); err != nil {
			return nil, err
		}
		slots = append(slots, slot)
	}
	return slots, rows.Err()
}

// eachUnseenEdge visits the memberships whose numbers are not in seen, where
// neither end is removed, and counts them.
func (r *round) eachUnseenEdge(seen marks, do func(ends, *stagedEdge) error) (count int, err error) {
	var visited marks
	part := func(at ends) error {
		e, err := r.edge(at)
		if err != nil || e == nil || e.ended || seen.has(e.m) || visited.has(e.m) {
			return err
		}
		visited.set(e.m)
		if hidden, err := r.hidden(at); hidden || err != nil {
			return err
		}
		count++
		return do(at, e)
	}
	for _, at := range r.stagedUnseenEdges(seen) {
		if err := part(at); err != nil {
			return count, err
		}
	}
	err = seen.gaps(r.nextM, func(gap span) error { return r.eachEdge(gap, part) })
	return count, err
}

func (r *round) stagedUnseenEdges(seen marks) (found []ends) {
	for at, e := range r.stage.edges {
		if !seen.has(e.m) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, func(a, b ends) int { return int(r.stage.edges[a].m - r.stage.edges[b].m) })
	return found
}

// hidden says whether an end of a membership is removed.
func (r *round) hidden(at ends) (bool, error) {
	for _, slot := range []int64{r.slot(1, at.group), r.slot(0, at.member), r.slot(1, at.member)} {
		row, _, err := r.row(slot)
		if err != nil || row != nil && row.removed != nil {
			return true, err
		}
	}
	return false, nil
}

// eachEdge visits the memberships in a range of numbers that some table beneath
// the stage has as not ended.
func (r *round) eachEdge(in span, visit func(ends) error) error {
	for _, schema := range r.schemas() {
		for from := in.first; from <= in.last; {
			found, last, err := r.presentEdges(schema, span{from, in.last})
			if err != nil {
				return err
			}
			for _, at := range found {
				if err := visit(at); err != nil {
					return err
				}
			}
			if len(found) < batch {
				break
			}
			from = last + 1
		}
	}
	return nil
}

func (r *round) presentEdges(schema string, in span) (found []ends, last int64, err error) {
	if err := r.ctx.Err(); err != nil {
		return nil, 0, err
	}
	st, err := r.stmt("SELECT m, grp, member FROM " + schema + ".edges WHERE m BETWEEN ? AND ? AND ended = 0 ORDER BY m LIMIT ?")
	if err != nil {
		return nil, 0, err
	}
	edges, refs := edgeSpan(r.source).first, refSpan(r.source).first
	rows, err := st.Query(edges+in.first, edges+in.last, batch)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var at ends
		if err := rows.Scan(&last, &at.group, &at.member); err != nil {
			return nil, 0, err
		}
		found = append(found, ends{at.group - refs, at.member - refs})
	}
	return found, last - edges, rows.Err()
}
