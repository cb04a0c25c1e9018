// Package mirror keeps one source's picture true: it pulls what changed in
// Microsoft Graph, stores it, renders it, lets the guard judge the result, and
// publishes it.
//
// A round is one straight road:
//
//  1. Pull. Users and groups are read to the end, each from its cursor, and
//     merged onto the stored objects in one transaction. A full read that would
//     take anything away reads a second time before it does: an answer with
//     status 200 is no proof that nobody is missing from it.
//  2. Commit. Objects, memberships and cursors become durable together. A
//     round that can't be finished is dropped whole; a crash before this point
//     leaves everything as it was.
//  3. Render. What changed since the store round that the picture contains is
//     mapped into a draft and sealed. After a crash, or while rounds are held,
//     that is more than one round's changes: the stored objects are always
//     ahead of, or level with, what is served.
//  4. Judge. The guard compares the sealed snapshot with the served one. One
//     that takes too much away is held: it stays unpublished until it is
//     approved or a later round gives less cause.
//  5. Publish. The generation is made durable and then current.
//
// Any error before the last step leaves the served picture as it was. The
// package knows no HTTP and no YAML; the daemon makes one [Mirror] for each
// enabled source and runs it.
package mirror

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// A Source gives the changes of a tenant: *graph.Client, and tests' own.
type Source interface {
	// Changes is as that of [graph.Client].
	Changes(ctx context.Context, kind graph.Kind, cursor string) iter.Seq2[*graph.Page, error]
}

// Config says what is mirrored, and how.
type Config struct {
	// Name is the source's name in the configuration.
	Name string
	// Tenant is the tenant's id. A cursor of another tenant is not used.
	Tenant string
	// Identify gives the tenant as Microsoft names it, whose id Tenant need not be,
	// and "" where it does not say. It is asked before the first reading; its error
	// is that of the round, by which nothing is read. Nil: it is not known.
	Identify func(ctx context.Context) (tenant string, err error)

	Graph   Source
	Store   store.Store
	Picture *directory.Picture
	Mapper  *mapping.Mapper

	// Interval is the time between the starts of two rounds, some of it at
	// random so that sources do not march in step. FullEvery is after how long
	// a full read checks what deltas gave; 0 means never.
	Interval, FullEvery time.Duration

	Scope Scope
	Guard Guard
	// Assertions are checked on every snapshot before it is published.
	Assertions []Assertion
	// Names says what becomes of rounds by which two people would have one
	// userName.
	Names NameRule

	// Tracer makes a span of each round; nil: none.
	Tracer trace.Tracer

	// Log gets one line for each round; nil discards.
	Log *slog.Logger
}

// A Mirror keeps one source's picture true. Its methods may be called from any
// goroutine; rounds happen one at a time.
type Mirror struct {
	cfg Config
	log *slog.Logger

	wake chan struct{} // asks Run for a round now

	// pulling is held by whoever reads the tenant, publishing by whoever renders
	// and publishes, and for the moment in which what was read is committed. Who
	// needs both takes pulling first. They are two so that a freeze or an
	// approval never waits for Graph.
	pulling, publishing sync.Mutex

	// pulled: a pull was committed since the start.
	pulled atomic.Bool
	// aside is the last reading aside; nil: none since the start.
	aside atomic.Pointer[asideState]
	// filter is what of the scope Graph is told; nil: nothing.
	filter *filter
	// asideNames are the properties that are read aside. Every user of a full
	// read asks for them, and the mapping does not change.
	asideNames func() []string
	// tenant is what Identify gave. Held: pulling.
	tenant string
	// tidied is when the store was last rid of what nobody needs. Held: pulling.
	tidied time.Time
	// lookedForHidden: since the start. Held: pulling.
	lookedForHidden bool

	// counted is the last census, of the store's round countedRound, which took
	// the time counting. Held: pulling.
	counted      Census
	countedRound uint64
	counting     time.Duration

	status  statusKeeper
	failing failingRules // of the mapping
}

// New makes a mirror. Nothing is read before Run or Refresh.
func New(cfg Config) *Mirror {
	m := &Mirror{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), filter: cfg.Scope.filter()}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.log = m.log.With("source", cfg.Name)
	m.asideNames = sync.OnceValue(func() []string { return Aside(m.cfg.Mapper, &m.cfg.Scope) })
	m.status.set(func(s *Status) {
		if s.Name, s.State = cfg.Name, Starting; m.filter != nil {
			s.Unread.Filter = m.filter.String()
		}
	})
	return m
}

// Run mirrors until ctx ends: first what the store has and the picture lacks,
// without Graph; then a round at once, and again at every interval. Failures
// are logged, shown and tried again, never fatal.
func (m *Mirror) Run(ctx context.Context) {
	if _, err := m.Publish(ctx); err != nil && ctx.Err() == nil {
		m.log.Error("stored changes were not published", "err", err)
	}
	for failures := 0; ctx.Err() == nil; {
		_, err := m.Refresh(ctx, Options{})
		if err == nil {
			failures = 0
		} else {
			failures++
		}
		m.rest(ctx, m.pause(err, failures))
	}
}

// Wake has Run do a round now.
func (m *Mirror) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Options say how a round is done.
type Options struct {
	// Full reads everything, instead of what changed.
	Full bool
	// DryRun has nothing changed: the round is done on a copy of the state, and
	// the report's Diff says what it would publish. It is held back by nothing,
	// but its Outcome says whether a real one would be.
	DryRun bool
	// List is how many changes the Diff of a dry run names; 0 means all.
	List int
}

// Refresh does one round and returns when it is over. It fails when the round
// could not be finished, and then nothing has changed. A round that is held has
// not failed: the report says so.
func (m *Mirror) Refresh(ctx context.Context, opts Options) (Report, error) {
	m.pulling.Lock()
	defer m.pulling.Unlock()
	report := Report{Started: time.Now()}
	ctx, ended := m.trace(ctx, &report)
	defer ended()
	if opts.DryRun {
		err := m.rehearse(ctx, opts, &report)
		report.finish(err)
		return report, err
	}
	err := m.refresh(ctx, opts, &report)
	report.finish(err)
	m.conclude(ctx, &report)
	if err == nil {
		m.census(ctx)
		m.countUnread(ctx, &report)
	}
	return report, err
}

func (m *Mirror) refresh(ctx context.Context, opts Options, report *Report) error {
	m.status.set(func(s *Status) {
		s.State, s.RoundStarted, s.Progress = Importing, report.Started, Progress{}
		if m.cfg.Picture.Current() == nil {
			s.State = FirstImport
		}
	})
	before := m.requests()
	err := m.identified(ctx, func() error { return m.pull(ctx, opts, report) })
	report.Requests = int(m.requests() - before)
	if err != nil {
		return err
	}
	if !m.clockTrusted() {
		m.log.Error("clock is far from Microsoft's; until it is set nobody who was removed goes for good, and nothing is forgotten", "off", m.clockOff())
	}
	m.lookForHidden(ctx, report)
	m.publishing.Lock()
	defer m.publishing.Unlock()
	if err := m.publish(ctx, report); err != nil {
		return err
	}
	m.tidy(ctx)
	return nil
}

// identified reads once it is known whose objects are read, and notes that with
// them.
func (m *Mirror) identified(ctx context.Context, read func() error) (err error) {
	if m.cfg.Identify == nil || m.tenant != "" {
		return read()
	}
	tenant, err := m.cfg.Identify(ctx)
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return err
	}
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err == nil && state.Tenant != tenant && tenant != "" {
		err = m.cfg.Store.SetTenant(ctx, m.cfg.Name, tenant)
	}
	if err != nil {
		m.log.Warn("whose objects are kept was not noted", "err", err)
		return nil
	}
	m.tenant = tenant
	return nil
}

// requests counts what the source was asked so far, where it counts.
func (m *Mirror) requests() uint64 {
	counting, ok := m.cfg.Graph.(interface{ Status() graph.Status })
	if !ok {
		return 0
	}
	s := counting.Status()
	return s.OK + s.Redirected + s.Refused + s.Throttled + s.Failed + s.NoAnswer
}

// Publish publishes what is stored and not served yet, if the guard lets it:
// after a restart or an approval. It asks Graph nothing, and does not wait for
// a round that does.
func (m *Mirror) Publish(ctx context.Context) (Report, error) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	return m.publishStored(ctx)
}

// publishStored is Publish for who holds m.publishing.
func (m *Mirror) publishStored(ctx context.Context) (Report, error) {
	report := Report{Started: time.Now()}
	err := m.publish(ctx, &report)
	report.finish(err)
	if report.Outcome != Unchanged {
		m.conclude(ctx, &report)
	}
	return report, err
}

// conclude tells of a round that was not cut short: status, history, one line
// of log.
func (m *Mirror) conclude(ctx context.Context, r *Report) {
	if ctx.Err() != nil {
		return
	}
	m.status.conclude(r)
	served := m.addRecord(ctx, r)
	m.logRound(r, served)
	for _, f := range r.Failing {
		m.log.Warn("rule of the mapping fails", "type", f.Type, "attribute", f.Path, "newly", f.Count, "last_good_kept", f.Kept, "example", f.Example, "why", f.Reason)
	}
}

// addRecord adds to the history, and gives what is served.
func (m *Mirror) addRecord(ctx context.Context, r *Report) *directory.Snapshot {
	served := m.cfg.Picture.Current()
	record := r.record(m.cfg.Name, served)
	if served == nil {
		// For as long as nothing is served, what was counts: the guard goes by
		// it once there is a picture to judge.
		record.Users.Present, record.Groups.Present = m.lastServed(ctx)
	}
	if err := m.cfg.Store.AddRound(ctx, record); err != nil {
		m.log.Warn("round was not added to the history", "err", err)
	}
	return served
}

func (m *Mirror) logRound(r *Report, served *directory.Snapshot) {
	attrs := []any{
		"round", r.Round, "outcome", r.Outcome, "full", r.Full(), "pages", r.Pages,
		"requests", r.Requests, "elapsed", r.Elapsed.Round(time.Millisecond),
	}
	if served != nil {
		attrs = append(attrs, "generation", served.Generation(), "users", served.Len(directory.User), "groups", served.Len(directory.Group))
	}
	if c := r.Changes; c != nil {
		attrs = append(attrs, "users_changed", c[directory.User], "groups_changed", c[directory.Group])
	}
	switch r.Outcome {
	case Failed:
		m.log.Error("round failed; the last good picture stays served", append(attrs, "err", r.Err)...)
	case Held:
		m.log.Error("round is held; the last good picture stays served until it is approved", append(attrs, "held", r.HeldRound, "why", r.Verdict.Summary())...)
	case Frozen:
		m.log.Warn("source is frozen; the picture stays as it is", append(attrs, "since", r.Since)...)
	case Approved, RolledBack:
		m.log.Warn("picture was changed by order", append(attrs, "by", r.By)...)
	default:
		m.log.Info("round", attrs...)
	}
}

// fingerprint stands for everything that decides how a stored object is served.
func (m *Mirror) fingerprint(now time.Time) string {
	return fingerprintOf(m.cfg.Mapper.FingerprintAt(now), &m.cfg.Scope)
}

func fingerprintOf(mapping string, s *Scope) string {
	nested := ""
	if s.Flatten {
		nested = flatMark
	}
	return fmt.Sprintf("%s groups=%t guests=%t disabled=%t keep=%t%s%s", mapping, s.Groups, s.Guests, s.Disabled, s.KeepRemoved > 0, nested, s.String())
}

// RenderedBy says whether a snapshot was rendered by a mapping and a scope, if
// perhaps on another day.
func RenderedBy(s *directory.Snapshot, mapper *mapping.Mapper, scope *Scope) bool {
	mapped, rest, _ := strings.Cut(s.Tag().Mapping, " ")
	mapped, _, _ = strings.Cut(mapped, "@")
	return mapped+" "+rest == fingerprintOf(mapper.Fingerprint(), scope)
}
