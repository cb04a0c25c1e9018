package graph

import "strings"

// slab hands out copies of slices from a few large allocations, so that the
// thousands of small values of a page cost a handful of them.
type slab[T any] struct {
	chunk int // elements of one allocation
	free  []T // the part already handed out is free[:len(free)]
}

// clone gives a copy of src that nothing can be appended to in place.
func (s *slab[T]) clone(src []T) []T {
	if len(src) == 0 {
		return nil
	}
	if cap(s.free)-len(s.free) < len(src) {
		s.free = make([]T, 0, max(s.chunk, len(src)))
	}
	start := len(s.free)
	s.free = append(s.free, src...)
	return s.free[start:len(s.free):len(s.free)]
}

// texts does the same for strings.
type texts struct {
	chunk int // bytes of one allocation
	b     strings.Builder
}

// clone gives src as a string. What a Builder has given out stays as it is when
// more is written behind it.
func (t *texts) clone(src []byte) string {
	if t.b.Cap()-t.b.Len() < len(src) {
		t.b = strings.Builder{}
		t.b.Grow(max(t.chunk, len(src)))
	}
	start := t.b.Len()
	t.b.Write(src)
	return t.b.String()[start:]
}
