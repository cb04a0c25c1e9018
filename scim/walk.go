package scim

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"scimbridge/scim/directory"
)

// Index paging is pinned. A SCIM client that asks for startIndex=1, 101, 201 …
// takes hours for a large directory, and what it does not find it takes for
// removed. So the pages of one import are all cut from the view of its first:
//
//  1. A request with startIndex=1 opens a walk on the current view, unless its
//     page is already the whole result.
//  2. A request whose startIndex is the one that a walk of this client and
//     query expects next continues that walk; the startIndex of the walk's
//     latest page repeats that page (the client did not get it).
//  3. Where several walks would do, the request is taken for that of the walk
//     last asked over the same connection, else by the same user agent, else
//     with the same count, else for the one used last.
//  4. Any other startIndex is answered from the walk used last, and leaves that
//     walk's place alone; where there is none (we have been restarted), it
//     opens a walk on the current view, so that at least the rest holds still.
//  5. A walk is over when its last page was asked for, or after walkIdle
//     without a request. A finished one is kept for walkRest, for a client
//     that asks for the last page again or for one page too many.
const (
	walkIdle = time.Hour
	walkRest = 5 * time.Minute

	// maxWalks bounds the walks of a client: each keeps a view's files mapped.
	maxWalks = 32
	// maxPositions bounds the memory of a client's filtered and sorted walks,
	// at four bytes a position.
	maxPositions = 8 << 20
	// maxHistory is how many past imports are remembered for Status.
	maxHistory = 20
)

// A session is what is kept of one client from request to request.
type session struct {
	mu       sync.Mutex
	limiter  *rate.Limiter // nil before the first limited request
	walks    []*walk       // by time of last use, oldest first
	history  []WalkStatus  // past imports, oldest first
	requests uint64
	failures uint64 // of them answered with 4xx or 5xx
	last     time.Time
	agent    string // of the last request
}

// A pin is what all pages of a walk have in common.
type pin struct {
	view   *directory.View
	result result
}

// A walk is one import in pages.
type walk struct {
	pin
	query  [16]byte
	status WalkStatus
	first  int // startIndex of the first page
	next   int // startIndex expected next
	latest int // startIndex of the latest page
	size   int // count of the latest page
	peer   string
	agent  string
}

// A step is one request of a walk.
type step struct {
	query [16]byte
	name  string // the endpoint, for Status
	whole bool   // not filtered: the walk is an import
	start int    // startIndex
	size  int    // resources that fit in the page
	peer  string // the connection; empty where a proxy hides it
	agent string
}

// resume finds the walk that a step belongs to and takes the step. The second
// result is false where there is none, and the caller takes the current view.
func (s *session) resume(st step, now time.Time) (pin, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	w, expected := s.match(st)
	if w == nil {
		return pin{}, false
	}
	if expected {
		w.take(st, now)
	}
	w.status.LastRequest = now
	s.touch(w)
	return w.pin, true
}

// match gives the walk for a step and whether the walk expected it.
func (s *session) match(st step) (found *walk, expected bool) {
	best := -1
	var latest *walk
	for _, w := range s.walks { // later ones are used later
		if w.query != st.query {
			continue
		}
		if !w.status.Done {
			latest = w
		}
		if w.next == st.start || w.latest == st.start {
			if n := w.kinship(st); n >= best {
				found, best = w, n
			}
		}
	}
	if found != nil {
		return found, true
	}
	return latest, false
}

// kinship says how much speaks for a step being the walk's next one.
func (w *walk) kinship(st step) (n int) {
	if w.peer != "" && w.peer == st.peer {
		n += 4
	}
	if w.agent == st.agent {
		n += 2
	}
	if w.size == st.size {
		n++
	}
	return n
}

// open starts a walk with its first page, where more pages follow.
func (s *session) open(st step, p pin, now time.Time) {
	w := &walk{pin: p, query: st.query, first: st.start, next: st.start}
	w.status = WalkStatus{
		Endpoint: st.name, Filtered: !st.whole, Agent: st.agent,
		Started: now, Total: p.result.total(),
	}
	w.take(st, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if w.status.Done && w.status.Pages == 1 {
		s.remember(w)
		return
	}
	s.walks = append(s.walks, w)
	s.bound()
}

// take moves the walk on by one page, or repeats its latest one.
func (w *walk) take(st step, now time.Time) {
	fresh := w.next == st.start
	w.next = st.start + w.result.page(st.start, st.size)
	w.latest, w.size, w.peer, w.agent = st.start, st.size, st.peer, st.agent
	w.status.LastRequest = now
	w.status.Resources = w.next - w.first
	w.status.Done = w.next > w.status.Total
	if fresh && w.next > st.start {
		w.status.Pages++
	}
}

// touch makes w the walk used last.
func (s *session) touch(w *walk) {
	i := slices.Index(s.walks, w)
	s.walks = append(slices.Delete(s.walks, i, i+1), w)
}

// expire drops the walks that nobody has asked for long enough.
func (s *session) expire(now time.Time) {
	s.walks = slices.DeleteFunc(s.walks, func(w *walk) bool {
		idle := now.Sub(w.status.LastRequest)
		if idle < walkRest || !w.status.Done && idle < walkIdle {
			return false
		}
		s.remember(w)
		return true
	})
}

// bound drops the walks idle for longest until the rest fits.
func (s *session) bound() {
	positions := 0
	for _, w := range s.walks {
		positions += w.result.weight()
	}
	for len(s.walks) > 1 && (len(s.walks) > maxWalks || positions > maxPositions) {
		positions -= s.walks[0].result.weight()
		s.remember(s.walks[0])
		s.walks = slices.Delete(s.walks, 0, 1)
	}
}

// remember notes a walk that is gone, if it was an import and no mere probe.
func (s *session) remember(w *walk) {
	if w.status.Pages < 2 && (w.status.Filtered || !w.status.Done) {
		return
	}
	if len(s.history) == maxHistory {
		s.history = slices.Delete(s.history, 0, 1)
	}
	s.history = append(s.history, w.report())
}

// report is the walk's status with what is not needed before someone asks.
func (w *walk) report() WalkStatus {
	status := w.status
	status.View = w.view.ID()
	return status
}
