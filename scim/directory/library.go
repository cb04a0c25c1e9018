package directory

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"weak"
)

// A Library gives the views over the pictures of several sources. Its methods
// may be called from any goroutine.
type Library struct {
	mu       sync.Mutex
	pictures []*Picture
	last     *View
	earlier  map[string]weak.Pointer[View] // by ID, where something is shared
}

// SetPictures says which pictures the views consist of, in their order. A
// picture without a published generation is left out of the views.
func (l *Library) SetPictures(pictures []*Picture) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pictures = pictures
	l.last, l.earlier = nil, make(map[string]weak.Pointer[View])
}

// View is the current view. It is the same one as long as nothing new is
// published.
func (l *Library) View() *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	var room [8]*Snapshot // each request asks
	snaps := room[:0]
	for _, p := range l.pictures {
		if s := p.Current(); s != nil {
			snaps = append(snaps, s)
		}
	}
	if l.last == nil || !sameSnapshots(l.last, snaps) {
		l.last = NewView(snaps...)
	}
	return l.last
}

func sameSnapshots(v *View, snaps []*Snapshot) bool {
	if len(v.parts) != len(snaps) {
		return false
	}
	for i, p := range v.parts {
		if p.snap.all() != snaps[i] {
			return false
		}
	}
	return true
}

// ByID gives the view with an ID that [View.ID] gave, and false where one of
// its generations is not kept any longer. The order of its sources is that of
// the ID.
func (l *Library) ByID(id string) (*View, bool) {
	l.mu.Lock()
	pictures, earlier := l.pictures, l.earlier
	known := earlier[id].Value()
	l.mu.Unlock()
	var snaps []*Snapshot
	for name := range strings.SplitSeq(id, "+") {
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return nil, false
		}
		generation, err := strconv.ParseUint(name[dot+1:], 10, 64)
		if err != nil {
			return nil, false
		}
		s := find(pictures, name[:dot], generation)
		if s == nil {
			return nil, false
		}
		snaps = append(snaps, s)
	}
	if known != nil {
		return known, true // of the same snapshots: what they share is found already
	}
	v := NewView(snaps...)
	if len(v.shared) == 0 {
		return v, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Where the pictures are others now, nobody looks into this map again.
	maps.DeleteFunc(earlier, func(_ string, v weak.Pointer[View]) bool { return v.Value() == nil })
	earlier[id] = weak.Make(v)
	return v, true
}

func find(pictures []*Picture, source string, generation uint64) *Snapshot {
	for _, p := range pictures {
		if p.opts.Source == source {
			s, _ := p.At(generation)
			return s
		}
	}
	return nil
}
