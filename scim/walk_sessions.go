package scim

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"scimbridge/scim/directory"
)

// Sessions is what the endpoint keeps from request to request: each client's
// walks, allowance and counts, and the views that cursors name. It outlives
// the Handlers that a reload replaces. It is safe for concurrent use.
type Sessions struct {
	mu      sync.Mutex
	clients map[string]*session   // by name
	held    map[string]*heldView  // for cursors, by view ID
	results map[resultKey]*cached // of cursor queries
	swept   time.Time

	file walkFile // where the walks are kept
	log  *slog.Logger

	guesses guesses // of client secrets
}

// NewSessions starts with none, and tells no log.
func NewSessions() *Sessions {
	return &Sessions{
		clients: make(map[string]*session),
		held:    make(map[string]*heldView),
		results: make(map[resultKey]*cached),
		log:     slog.New(slog.DiscardHandler),
	}
}

// ClientStatus says what a client has done since the daemon started.
type ClientStatus struct {
	Client      string
	Requests    uint64
	Failures    uint64    // of them answered with 4xx or 5xx
	LastRequest time.Time // zero: none yet
	Agent       string    // User-Agent of the last request

	// Walks are the imports under way and past, the latest last. Requests that
	// read one page of many are no imports.
	Walks []WalkStatus
}

// WalkStatus is one import: a list read page by page.
type WalkStatus struct {
	Endpoint    string // /Users, /Groups or /
	Filtered    bool   // a part of the list only
	Delta       bool   // Filtered: what changed since some time
	Cursor      bool   // by cursor, not by index
	Agent       string
	View        string // the view's ID
	Started     time.Time
	LastRequest time.Time
	Total       int  // resources in the result
	Pages       int  // read so far
	Resources   int  // read so far
	Done        bool // to the last page
	BrokenOff   bool // not done, and no longer waited for

	// Of an import of everything: how often the client has asked since for what
	// changed, how many resources that gave it, and when it last did.
	DeltaReads     int
	DeltaResources int
	LastDelta      time.Time
}

// Kind names what was read: everything, what changed, or what a filter found.
func (w *WalkStatus) Kind() string {
	switch {
	case w.Delta:
		return "delta"
	case w.Filtered:
		return "filtered"
	}
	return "full"
}

// Status says what each client has done, ordered by name.
func (s *Sessions) Status() []ClientStatus {
	s.sweep(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ClientStatus
	for _, name := range slices.Sorted(maps.Keys(s.clients)) {
		status := s.clients[name].status()
		status.Client = name
		all = append(all, status)
	}
	return all
}

// status is what the session knows, but for the client's name.
func (s *session) status() ClientStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := ClientStatus{Requests: s.requests, Failures: s.failures, LastRequest: s.last, Agent: s.agent}
	for _, past := range s.history {
		past.BrokenOff = !past.Done
		status.Walks = append(status.Walks, past)
	}
	for _, w := range s.walks {
		if w.isImport() && !w.past && !(w.status.Delta && w.status.Done) {
			status.Walks = append(status.Walks, w.status)
		}
	}
	slices.SortStableFunc(status.Walks, func(a, b WalkStatus) int { return a.Started.Compare(b.Started) })
	return status
}

// of gives the session of a client.
func (s *Sessions) of(name string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[name]
	if c == nil {
		c = &session{}
		s.clients[name] = c
	}
	return c
}

// count notes that a request has been answered.
func (s *Sessions) count(x *exchange) {
	now := time.Now()
	s.sweep(now)
	if x.walked != stayed {
		s.file.due(s, x.walked == began)
	}
	if x.client == nil {
		return
	}
	c := x.client.session
	c.mu.Lock()
	c.requests++
	if x.status >= http.StatusBadRequest {
		c.failures++
	}
	c.last = now
	if name := agent(x.r); c.agent != name {
		c.agent = strings.Clone(name)
	}
	ended := c.ended
	c.ended = nil
	c.mu.Unlock()
	s.audit(x.client.Name, ended)
}

// audit tells the log of imports that are over: who read what, and how much.
func (s *Sessions) audit(client string, ended []WalkStatus) {
	if len(ended) == 0 || !s.log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	for i := range ended {
		w := &ended[i]
		level, outcome := slog.LevelInfo, "import finished"
		if w.BrokenOff {
			level, outcome = slog.LevelWarn, "import broken off"
		}
		s.log.Log(context.Background(), level, outcome, "client", client, "endpoint", w.Endpoint, "kind", w.Kind(),
			"resources", w.Resources, "total", w.Total, "pages", w.Pages, "started", w.Started,
			"elapsed", w.LastRequest.Sub(w.Started), "view", w.View, "agent", w.Agent)
	}
}

// sweep lets go, once a minute at most, of what no client will ask for again.
func (s *Sessions) sweep(now time.Time) {
	for name, ended := range s.expired(now) {
		s.audit(name, ended)
	}
}

// expired is sweep but for telling the log: imports that are over, by client.
func (s *Sessions) expired(now time.Time) map[string][]WalkStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) < time.Minute {
		return nil
	}
	s.swept = now
	over := make(map[string][]WalkStatus)
	for name, c := range s.clients {
		c.mu.Lock()
		c.expire(now)
		if len(c.ended) > 0 {
			over[name], c.ended = c.ended, nil
		}
		c.mu.Unlock()
	}
	s.guesses.sweep(now)
	maps.DeleteFunc(s.held, func(_ string, v *heldView) bool { return now.After(v.until) })
	maps.DeleteFunc(s.results, func(_ resultKey, r *cached) bool { return now.Sub(r.used) > cursorLife })
	return over
}

const (
	// maxHeld bounds the views held for cursors: one comes with each round in
	// which a cursor is given out.
	maxHeld = 64
	// maxCached bounds the memory of the results kept for cursors, in positions.
	maxCached = 8 << 20
)

// A heldView stays readable for the cursors that name it.
type heldView struct {
	view  *directory.View
	until time.Time
}

// hold keeps a view for a cursor given out now.
func (s *Sessions) hold(v *directory.View, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := v.ID()
	if s.held[id] == nil && len(s.held) >= maxHeld {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(s.held)), func(a, b string) int {
			return s.held[a].until.Compare(s.held[b].until)
		})
		delete(s.held, oldest)
	}
	s.held[id] = &heldView{view: v, until: now.Add(cursorLife)}
}

// view gives a held view.
func (s *Sessions) view(id string) (*directory.View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[id]
	if h == nil {
		return nil, false
	}
	return h.view, true
}

// A resultKey names what a query finds in a view.
type resultKey struct {
	query [16]byte
	view  string
}

// cached is a result and when it was last used.
type cached struct {
	result result
	used   time.Time
}

// recall gives a result kept by keep.
func (s *Sessions) recall(key resultKey, now time.Time) (result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.results[key]
	if c == nil {
		return nil, false
	}
	c.used = now
	return c.result, true
}

// keep remembers a result of which further pages will be asked by cursor, as
// long as there is room; a result that is not kept is found anew.
func (s *Sessions) keep(key resultKey, r result, now time.Time) {
	if r.weight() == 0 || r.weight() > maxCached {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[key] = &cached{result: r, used: now}
	weight := 0
	for _, c := range s.results {
		weight += c.result.weight()
	}
	for weight > maxCached {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(s.results)), func(a, b resultKey) int {
			return s.results[a].used.Compare(s.results[b].used)
		})
		weight -= s.results[oldest].result.weight()
		delete(s.results, oldest)
	}
}
