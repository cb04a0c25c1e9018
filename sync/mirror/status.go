package mirror

import (
	"sync"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// A State is what a source is doing, in the words of log, page and commands.
type State string

// The states of a source that is mirrored.
const (
	Starting    State = "starting"
	FirstImport State = "first import"
	Importing   State = "importing"
	Current     State = "up to date"
	HeldState   State = "held"
	FrozenState State = "frozen"
	Failing     State = "failing"
)

// An Outcome is how a round ended.
type Outcome string

// The outcomes.
const (
	Published Outcome = "published"
	Unchanged Outcome = "unchanged"
	Held      Outcome = "held"
	Frozen    Outcome = "frozen"
	Failed    Outcome = "failed"
	// Unfrozen is no round's, but that of an order in the history.
	Unfrozen Outcome = "unfrozen"
	// NotFrozen: there was nothing to unfreeze, and nothing was done.
	NotFrozen Outcome = "not frozen"
	// RolledBack: an older generation was published again by order.
	RolledBack Outcome = "rolled back"
	// Approved: published, though the guard spoke against it, because somebody
	// approved it.
	Approved Outcome = "approved"
)

// A Report is what one round did.
type Report struct {
	Round   uint64 // the store's number; 0 where nothing was pulled
	Started time.Time
	Elapsed time.Duration
	// FullUsers and FullGroups tell that a collection was read in full.
	FullUsers, FullGroups bool
	// Requests counts what was asked of Graph, retries and logins apart.
	Requests, Pages int
	// What the pull changed in the store.
	Users, Groups, Edges store.Tally
	Broken               int // objects that could not be understood
	Problems             int // values that could not be mapped
	// Aside is why properties could not be read aside the last time.
	Aside error
	// Failing are the rules of the mapping that failed for somebody for whom
	// they did not before.
	Failing []RuleProblem
	// Missed counts the objects and memberships that a full read left out and
	// its confirmation had; Drift the objects that a full read found otherwise
	// than deltas had told.
	Missed, Drift int

	Outcome Outcome
	// Changes is what the snapshot changes against the one served before, by
	// type; nil where none was sealed.
	Changes *[directory.NumTypes]directory.Counts
	Verdict Verdict // of a held or approved round
	// HeldRound is the number by which a held round is approved.
	HeldRound uint64
	Since     time.Time // since when the source is held or frozen
	By        string    // who approved, or ordered, what was published
	// Diff is what a dry run would publish.
	Diff *Diff
	Err  error // of a failed round
}

// Full tells that something was read in full.
func (r *Report) Full() bool { return r.FullUsers || r.FullGroups }

// finish notes how the round ended.
func (r *Report) finish(err error) {
	r.Elapsed = time.Since(r.Started)
	if err != nil {
		r.Outcome, r.Err = Failed, err
	}
}

func (r *Report) tally(k graph.Kind) *store.Tally {
	if k == graph.Groups {
		return &r.Groups
	}
	return &r.Users
}

// record gives the report's line of history.
func (r *Report) record(source string, served *directory.Snapshot) store.RoundRecord {
	rec := store.RoundRecord{
		Source: source, Round: r.Round, Started: r.Started, Elapsed: r.Elapsed, Full: r.Full(),
		Users: r.Users, Groups: r.Groups, Edges: r.Edges, Requests: r.Requests, Pages: r.Pages,
		Outcome: string(r.Outcome), By: r.By, Drift: r.Drift,
	}
	if served != nil {
		rec.Users.Present, rec.Groups.Present = served.Active(directory.User), served.Active(directory.Group)
	}
	if r.Err != nil {
		rec.Error = r.Err.Error()
	}
	return rec
}

// Progress counts what the round that is under way has read so far.
type Progress struct {
	Users, Groups int
}

// A Status is what a source is and did, for the status page, commands and
// metrics.
type Status struct {
	Name  string
	State State

	RoundStarted time.Time // of the round under way or the last one
	Progress     Progress  // of the round under way
	Next         time.Time // when the next round starts

	Last        Report    // the last round that ended
	LastSuccess time.Time // when a round that read the tenant last ended without failing
	FailedSince time.Time // when the failures that last until now began
	Failures    int       // in a row

	// LeftOut counts whom the scope leaves out.
	LeftOut Census
	// Unread counts whom the tenant has and Graph was not asked for.
	Unread Unread

	Frozen time.Time   // since when; zero: not frozen
	Held   *store.Held // what waits for approval
	// Rounds counts the rounds since the start, by outcome.
	Rounds map[Outcome]uint64
	// Drift counts the objects that a full read found otherwise than deltas
	// had told, since the start.
	Drift uint64
	// Hidden are the groups whose members are hidden from us.
	Hidden Hidden
	// Rules are the rules of the mapping that fail now.
	Rules []RuleProblem
}

// A statusKeeper guards a Status.
type statusKeeper struct {
	mu   sync.Mutex
	s    Status
	held *directory.Snapshot // the snapshot that waits
}

func (k *statusKeeper) set(change func(*Status)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.s)
}

func (k *statusKeeper) progress(kind graph.Kind, n int) {
	k.set(func(s *Status) {
		if kind == graph.Groups {
			s.Progress.Groups += n
		} else {
			s.Progress.Users += n
		}
	})
}

func (k *statusKeeper) setHeld(held *store.Held, snapshot *directory.Snapshot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.s.Held, k.held = held, snapshot
}

// conclude takes in a round that ended. One that read nothing, as an approval or
// another configuration causes, is no sign that the tenant can be read: it says
// nothing of how old the data are, and ends no failures.
func (k *statusKeeper) conclude(r *Report) {
	k.set(func(s *Status) {
		failed := s.Last.Err
		s.Last = *r
		if s.Rounds == nil {
			s.Rounds = make(map[Outcome]uint64)
		}
		s.Rounds[r.Outcome]++
		switch r.Outcome {
		case Failed:
			s.State = Failing
			s.Failures++
			if s.FailedSince.IsZero() {
				s.FailedSince = r.Started
			}
			return
		case Held:
			s.State = HeldState
		case Frozen, RolledBack:
			s.State, s.Frozen = FrozenState, r.Since
		default:
			s.State = Current
		}
		switch {
		case r.Round > 0:
			s.Failures, s.FailedSince = 0, time.Time{}
			s.LastSuccess = r.Started.Add(r.Elapsed)
		case s.Failures > 0:
			s.State, s.Last.Err = Failing, failed
		}
	})
}

// Status gives the source's status as it is now.
func (m *Mirror) Status() Status {
	m.status.mu.Lock()
	defer m.status.mu.Unlock()
	s := m.status.s
	s.Rounds = make(map[Outcome]uint64, len(m.status.s.Rounds))
	for outcome, n := range m.status.s.Rounds {
		s.Rounds[outcome] = n
	}
	s.Rules = m.failing.list()
	return s
}

// HeldSnapshot gives the snapshot that waits for approval, or nil. Its Diff
// says what approving it would change.
func (m *Mirror) HeldSnapshot() *directory.Snapshot {
	m.status.mu.Lock()
	defer m.status.mu.Unlock()
	return m.status.held
}
