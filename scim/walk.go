package scim

import (
	"slices"
	"strings"
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
//
//  2. A request whose startIndex is the one that a walk of this client and
//     query expects next continues that walk; the startIndex of the walk's
//     latest page repeats that page (the client did not get it).
//
//  3. Where several walks would do, the request is taken for that of the walk
//     last asked over the same connection, else by the same user agent, else
//     with the same count, else for the one used last.
//
//  4. Any other startIndex is answered from the walk used last, and leaves that
//     walk's place alone; where there is none, it opens a walk on the current
//     view, so that the rest holds still.
//
//  5. A walk is over when its last page was asked for, or after walkIdle
//     without a request. A finished one is kept for walkRest, for a client
//     that asks for the last page again or for one page too many.
//
//  6. A walk that was idle for walkIdle, had to make room, or was read from the
//     file of [OpenSessions] after a restart sleeps: it knows its view by ID
//     only. The request that it expects wakes it. If its view is no longer
//     kept, the walk is lost, and the request fails: the same place in another
//     view could leave somebody out, whom the importer would deprovision. A
//     failed import harms nobody, and the next begins with startIndex=1.
//
//  7. A walk of a client that has come to see other sources since is lost as
//     well: in the new view its places are others, and the old one is no longer
//     the client's to read.
//
// Paging by cursor needs none of that: the cursor says it all. A walk is noted
// for it all the same, so that Status tells of the import; it always sleeps, and
// rules 1 to 6 pass over it.
const (
	walkIdle   = time.Hour
	walkRest   = 5 * time.Minute
	walkForget = 24 * time.Hour // sleeping ones

	// maxWalks bounds the walks of a client that are awake: each keeps a view's
	// files mapped.
	maxWalks = 32
	// maxAsleep bounds the others.
	maxAsleep = 256
	// maxPositions bounds the memory of a client's filtered and sorted walks,
	// at four bytes a position.
	maxPositions = 8 << 20
	// maxHistory is how many past imports are remembered for Status.
	maxHistory = 20
	// probeSize is how many resources a client reads that means to read them
	// all. Tests of credentials and look-ups ask for fewer, and are no imports
	// that broke off.
	probeSize = 25
)

// A session is what is kept of one client from request to request.
type session struct {
	mu       sync.Mutex
	limiter  *rate.Limiter // nil before the first limited request
	walks    []*walk       // by time of last use, oldest first
	history  []WalkStatus  // past imports, oldest first
	ended    []WalkStatus  // those that nobody has been told of
	expired  time.Time     // when walks were last looked through for expired ones
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
	pin             // zero while the walk sleeps
	query  [16]byte // what is asked, by whom, and what he sees
	asked  [16]byte // what is asked; zero: not known
	status WalkStatus
	lost   bool // its view is gone
	past   bool // it is in the history, as one broken off
	told   bool // its end has been told
	looked bool // it has one page, and the client began anew since: a look, no import
	first  int  // startIndex of the first page
	next   int  // startIndex expected next
	latest int  // startIndex of the latest page
	size   int  // count of the latest page
	peer   string
	agent  string
}

// A step is one request of a walk.
type step struct {
	query [16]byte
	asked [16]byte
	name  string // the endpoint, for Status
	whole bool   // not filtered: the walk is an import
	delta bool   // it asks for what changed since some time
	start int    // startIndex
	size  int    // resources that fit in the page
	peer  string // the connection; empty where a proxy hides it
	agent string
}

// asleep says whether the walk knows its view by ID only.
func (w *walk) asleep() bool { return w.view == nil }

// sleep lets go of the view and of what was found in it.
func (w *walk) sleep() { w.pin = pin{} }

// resume finds the walk that a step belongs to and takes the step. Where there
// is none it gives nil, and the caller takes the current view, unless ok is false:
// the walk is one of when the client saw other sources. A walk that it gives must
// not be looked into without the lock; what the caller may use is the pin, which
// is zero if the walk sleeps.
func (s *session) resume(st step, now time.Time) (w *walk, p pin, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	w, expected := s.match(st)
	if w == nil {
		return nil, pin{}, !slices.ContainsFunc(s.walks, st.outdated)
	}
	if w.past { // it goes on, so it did not break off
		s.history = slices.DeleteFunc(s.history, func(h WalkStatus) bool {
			return !h.Done && h.Started.Equal(w.status.Started) && h.View == w.status.View && h.Endpoint == w.status.Endpoint
		})
		w.past, w.told = false, false
	}
	if expected {
		w.take(st, now)
	}
	w.status.LastRequest = now
	s.touch(w)
	s.finish(w)
	return w, w.pin, true
}

// outdated says whether a walk is of what the step asks, by index, and of when
// the client saw other sources.
func (st *step) outdated(w *walk) bool {
	return !w.status.Cursor && w.asked == st.asked && w.query != st.query
}

// byCursor notes a page that was read by cursor, of a result with so many
// resources in the view of that ID. It says whether that began something that is
// kept over a restart.
func (s *session) byCursor(st step, view string, total int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if st.start == 1 {
		w := newWalk(st, view, total, now)
		w.status.Cursor = true
		return s.begin(w, st, now)
	}
	for _, w := range s.walks {
		if w.status.Cursor && w.query == st.query && w.status.View == view && (w.next == st.start || w.latest == st.start) {
			w.take(st, now)
			s.touch(w)
			s.finish(w)
			break
		}
	}
	return false
}

// wake gives a sleeping walk its view back. It is false if what was found there
// is not what it was: then, and without a pin, the walk is lost.
func (s *session) wake(w *walk, p pin) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.view == nil || p.result.total() != w.status.Total {
		w.lost = true
		return false
	}
	w.pin = p
	s.bound()
	return true
}

// match gives the walk for a step and whether the walk expected it.
func (s *session) match(st step) (found *walk, expected bool) {
	best := -1
	var latest *walk
	for _, w := range s.walks { // later ones are used later
		if w.status.Cursor || w.query != st.query {
			continue
		}
		if !w.status.Done && !w.past {
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

// open starts a walk with its first page, where more pages follow. It says
// whether there is anything to keep over a restart.
func (s *session) open(st step, p pin, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if st.start == 1 { // whoever was told that his walk is lost begins again
		s.walks = slices.DeleteFunc(s.walks, func(o *walk) bool {
			if st.outdated(o) {
				s.remember(o)
				return true
			}
			return o.lost && o.query == st.query
		})
	}
	total := p.result.total()
	if st.start == 1 && total <= st.size && !st.whole && !st.delta {
		return false // a look-up: nothing goes on from here, and it is no import
	}
	w := newWalk(st, p.view.ID(), total, now)
	w.pin = p
	return s.begin(w, st, now)
}

// newWalk makes a walk before its first page.
func newWalk(st step, view string, total int, now time.Time) *walk {
	agent := strings.Clone(st.agent) // the rest of the request's header is not kept
	return &walk{query: st.query, asked: st.asked, first: st.start, next: st.start, agent: agent, status: WalkStatus{
		Endpoint: st.name, Filtered: !st.whole, Delta: st.delta, Agent: agent,
		View: view, Started: now, Total: total,
	}}
}

// begin takes a walk's first page and keeps the walk if it is not over with
// that. It says whether anything was kept.
func (s *session) begin(w *walk, st step, now time.Time) bool {
	w.take(st, now)
	s.finish(w)
	if w.status.Done && w.status.Pages == 1 {
		return s.remember(w)
	}
	for _, o := range s.walks {
		if o.query == w.query && o.status.Pages == 1 {
			o.looked = true
		}
	}
	s.walks = append(s.walks, w)
	s.bound()
	return true
}

// isImport says whether a walk is more than a look at a few of many.
func (w *walk) isImport() bool {
	switch st := &w.status; {
	case st.Pages > 1, st.Delta && st.Done:
		return true
	case st.Filtered:
		return false
	case st.Done:
		return true
	}
	return w.status.Resources >= probeSize && !w.looked
}

// finish notes, once, that a walk has come to its end. A delta read counts for
// the import whose picture it brings up to date.
func (s *session) finish(w *walk) {
	if w.told || !w.status.Done || !w.isImport() {
		return
	}
	w.told = true
	s.tell(w.status)
	if !w.status.Delta {
		return
	}
	if full := s.lastFull(w.status.Endpoint); full != nil {
		full.DeltaReads++
		full.DeltaResources += w.status.Resources
		full.LastDelta = w.status.LastRequest
	}
}

// lastFull gives the last import of everything that came to its end, or nil.
func (s *session) lastFull(endpoint string) (last *WalkStatus) {
	consider := func(w *WalkStatus) {
		if w.Done && !w.Filtered && w.Endpoint == endpoint && (last == nil || !w.LastRequest.Before(last.LastRequest)) {
			last = w
		}
	}
	for i := range s.history {
		consider(&s.history[i])
	}
	for _, w := range s.walks {
		consider(&w.status)
	}
	return last
}

// maxEnded bounds the ends that wait to be told.
const maxEnded = 1000

// tell queues the end of an import for the log.
func (s *session) tell(w WalkStatus) {
	if len(s.ended) < maxEnded {
		s.ended = append(s.ended, w)
	}
}

// take moves the walk on by one page, or repeats its latest one.
func (w *walk) take(st step, now time.Time) {
	fresh := w.next == st.start
	w.next = st.start + max(0, min(st.size, w.status.Total-st.start+1))
	w.latest, w.size, w.peer = st.start, st.size, st.peer
	if w.agent != st.agent {
		w.agent = strings.Clone(st.agent)
	}
	w.status.LastRequest = now
	w.status.Resources = w.next - w.first
	w.status.Done = w.next > w.status.Total
	if fresh && (w.next > st.start || w.status.Pages == 0) { // a page of nothing is one, if it is the first
		w.status.Pages++
	}
}

// touch makes w the walk used last.
func (s *session) touch(w *walk) {
	i := slices.Index(s.walks, w)
	s.walks = append(slices.Delete(s.walks, i, i+1), w)
}

// expire puts the walks to sleep that nobody has asked for long enough, and
// drops those that nobody will ask for any more.
func (s *session) expire(now time.Time) {
	if now.Sub(s.expired) < time.Second {
		return // what is about to go may as well stay for so long
	}
	s.expired = now
	s.walks = slices.DeleteFunc(s.walks, func(w *walk) bool {
		idle := now.Sub(w.status.LastRequest)
		if idle < walkRest || !w.status.Done && idle < walkIdle {
			return false
		}
		s.remember(w)
		w.sleep()
		return w.status.Done || idle >= walkForget
	})
}

// bound puts the walks idle for longest to sleep until the rest fits.
func (s *session) bound() {
	positions, awake := 0, 0
	for _, w := range s.walks {
		positions += w.result.weight()
		if !w.asleep() {
			awake++
		}
	}
	for _, w := range s.walks {
		if awake <= 1 || awake <= maxWalks && positions <= maxPositions {
			break
		}
		if !w.asleep() {
			positions -= w.result.weight()
			awake--
			w.sleep()
		}
	}
	if surplus := len(s.walks) - maxWalks - maxAsleep; surplus > 0 {
		for _, w := range s.walks[:surplus] {
			s.remember(w)
		}
		s.walks = slices.Delete(s.walks, 0, surplus)
	}
}

// remember notes a walk that is over, if it was an import and no mere look. A
// delta read that came to its end is counted already. It says whether the walk
// was noted.
func (s *session) remember(w *walk) bool {
	if w.past || !w.isImport() {
		return false
	}
	w.past = true
	if w.status.Delta && w.status.Done {
		return true
	}
	if !w.status.Done {
		w.status.BrokenOff = true
		s.tell(w.status)
		w.status.BrokenOff = false // of the one that may go on
	}
	if len(s.history) == maxHistory {
		s.history = slices.Delete(s.history, 0, 1)
	}
	s.history = append(s.history, w.status)
	return true
}
