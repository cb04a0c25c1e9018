package mapping

import (
	"slices"
	"strings"
)

// members says which members of an object are wanted, and where their spans
// go. The names are sorted. A member is wanted whole or in parts, never both.
type members struct {
	names []string
	slots []int      // of the names, in the table of spans; -1 where parts are wanted
	inner []*members // the parts that are wanted; nil where the whole is
}

// add makes room for the member at a path and gives it the slot, or the slot
// it has already.
func (m *members) add(path string, slot int) int {
	name, rest, deep := strings.Cut(path, ".")
	i, found := slices.BinarySearch(m.names, name)
	if !found {
		m.names = slices.Insert(m.names, i, name)
		m.slots = slices.Insert(m.slots, i, -1)
		m.inner = slices.Insert(m.inner, i, nil)
	}
	if deep {
		if m.inner[i] == nil {
			m.inner[i] = &members{}
		}
		return m.inner[i].add(rest, slot)
	}
	if m.slots[i] < 0 {
		m.slots[i] = slot
	}
	return m.slots[i]
}

// index finds a name, which most often is the one at hint or soon after:
// objects come with their properties sorted, and some of them missing.
func (m *members) index(name []byte, hint int) int {
	for i := hint; i < min(hint+8, len(m.names)); i++ {
		if m.names[i] == string(name) {
			return i
		}
	}
	lo, hi := 0, len(m.names)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.names[mid] < string(name) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(m.names) && m.names[lo] == string(name) {
		return lo
	}
	return -1
}

// find reads the object at i and notes the spans of the wanted members. Where
// a name comes twice the last one counts, as in encoding/json.
func (m *members) find(s scanner, i, depth int, spans []span) int {
	if i >= len(s) || s[i] != '{' || depth > maxDepth {
		return ^i
	}
	if i = s.space(i + 1); i < len(s) && s[i] == '}' {
		return i + 1
	}
	for hint := 0; ; {
		name, next := s.key(i)
		if next < 0 {
			return next
		}
		at := m.index(s.name(name), hint)
		if at < 0 {
			_, i = s.value(next, depth+1)
		} else {
			hint, i = at+1, m.note(at, s, next, depth+1, spans)
		}
		if i < 0 {
			return i
		}
		more := false
		if i, more = s.next(i, '}'); !more {
			return i
		}
	}
}

// note reads the value of the wanted member at index at.
func (m *members) note(at int, s scanner, i, depth int, spans []span) int {
	inner := m.inner[at]
	if inner != nil {
		inner.fill(span{}, spans)
		if i < len(s) && s[i] == '{' {
			return inner.find(s, i, depth, spans)
		}
	}
	v, end := s.value(i, depth)
	if end < 0 {
		return end
	}
	if inner != nil && v.kind != none {
		inner.fill(span{kind: v.kind, orphan: true}, spans)
	}
	if slot := m.slots[at]; slot >= 0 {
		spans[slot] = v
	}
	return end
}

// fill sets the spans of all wanted members.
func (m *members) fill(v span, spans []span) {
	for i, slot := range m.slots {
		if slot >= 0 {
			spans[slot] = v
		}
		if m.inner[i] != nil {
			m.inner[i].fill(v, spans)
		}
	}
}
