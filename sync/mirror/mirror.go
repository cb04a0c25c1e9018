// Package mirror keeps one source's picture true: it pulls what changed in
// Microsoft Graph, stores it, renders it, lets the guard judge the result, and
// publishes it.
//
// A round is one straight road:
//
//  1. Pull. Users and groups are read to the end, each from its cursor, and
//     merged onto the stored objects in one transaction.
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
	"math/rand/v2"
	"sync"
	"time"

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

	// Log gets one line for each round; nil discards.
	Log *slog.Logger
}

// Scope says who is served.
type Scope struct {
	// Groups has groups pulled and served. Where it is turned off, those served
	// so far go by way of the guard, like every other loss.
	Groups bool
	// Guests has users with userType Guest served, Disabled those with
	// accountEnabled false.
	Guests, Disabled bool
	// KeepRemoved is how long a user who was removed, or left the scope, is
	// served with active=false before she goes. 0: she goes at once.
	KeepRemoved time.Duration
}

// A Mirror keeps one source's picture true. Its methods may be called from any
// goroutine; rounds happen one at a time.
type Mirror struct {
	cfg Config
	log *slog.Logger

	wake chan struct{} // asks Run for a round now

	round  sync.Mutex // held by whoever is in a round
	status statusKeeper
}

// New makes a mirror. Nothing is read before Run or Refresh.
func New(cfg Config) *Mirror {
	m := &Mirror{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1)}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.log = m.log.With("source", cfg.Name)
	m.status.set(func(s *Status) { s.Name, s.State = cfg.Name, Starting })
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
		wait := m.pause(err, failures)
		m.status.set(func(s *Status) { s.Next = time.Now().Add(wait) })
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-m.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// maxPause bounds how long a source that fails again and again is left alone.
const maxPause = time.Hour

// pause is the time to the next round: the interval give or take a tenth, and
// twice as long for each failure after the first, so that a tenant that refuses
// is not hammered.
func (m *Mirror) pause(err error, failures int) time.Duration {
	wait := m.cfg.Interval
	if err != nil {
		for i := 1; i < failures && wait < maxPause; i++ {
			wait *= 2
		}
		wait = max(m.cfg.Interval, min(wait, maxPause))
	}
	jitter := time.Duration((rand.Float64() - 0.5) * 0.2 * float64(wait))
	return wait + jitter
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
}

// Refresh does one round and returns when it is over. It fails when the round
// could not be finished, and then nothing has changed. A round that is held has
// not failed: the report says so.
func (m *Mirror) Refresh(ctx context.Context, opts Options) (Report, error) {
	m.round.Lock()
	defer m.round.Unlock()
	report := Report{Started: time.Now()}
	err := m.refresh(ctx, opts, &report)
	report.Elapsed = time.Since(report.Started)
	if err != nil {
		report.Outcome, report.Err = Failed, err
	}
	if ctx.Err() == nil {
		m.conclude(ctx, &report)
	}
	return report, err
}

func (m *Mirror) refresh(ctx context.Context, opts Options, report *Report) error {
	m.status.set(func(s *Status) {
		s.State, s.RoundStarted = Importing, report.Started
		if m.cfg.Picture.Current() == nil {
			s.State = FirstImport
		}
		s.Progress = Progress{}
	})
	if err := m.pull(ctx, opts, report); err != nil {
		return err
	}
	return m.publish(ctx, report)
}

// Publish publishes what is stored and not served yet, if the guard lets it:
// after a restart, a changed mapping or an approval. It asks Graph nothing.
func (m *Mirror) Publish(ctx context.Context) (Report, error) {
	m.round.Lock()
	defer m.round.Unlock()
	report := Report{Started: time.Now()}
	err := m.publish(ctx, &report)
	report.Elapsed = time.Since(report.Started)
	if err != nil {
		report.Outcome, report.Err = Failed, err
	}
	if ctx.Err() == nil && report.Outcome != Unchanged {
		m.conclude(ctx, &report)
	}
	return report, err
}

// conclude tells of a round: status, history, one line of log.
func (m *Mirror) conclude(ctx context.Context, r *Report) {
	m.status.conclude(r)
	served := m.cfg.Picture.Current()
	if err := m.cfg.Store.AddRound(ctx, r.record(m.cfg.Name, served)); err != nil {
		m.log.Warn("round was not added to the history", "err", err)
	}
	attrs := []any{
		"round", r.Round, "outcome", r.Outcome, "full", r.Full(), "pages", r.Pages, "elapsed", r.Elapsed.Round(time.Millisecond),
	}
	if served != nil {
		attrs = append(attrs, "generation", served.Generation(), "users", served.Len(directory.User), "groups", served.Len(directory.Group))
	}
	if c := r.Changes; c != nil {
		attrs = append(attrs, "changed_users", c[directory.User], "changed_groups", c[directory.Group])
	}
	switch r.Outcome {
	case Failed:
		m.log.Error("round failed; the last good picture stays served", append(attrs, "err", r.Err)...)
	case Held:
		m.log.Error("round is held; the last good picture stays served until it is approved", append(attrs, "why", r.Verdict.Summary())...)
	case Frozen:
		m.log.Warn("source is frozen; the picture stays as it is", attrs...)
	default:
		m.log.Info("round", attrs...)
	}
}

// fingerprint stands for everything that decides how a stored object is served.
func (m *Mirror) fingerprint() string {
	s := m.cfg.Scope
	return fmt.Sprintf("%s groups=%t guests=%t disabled=%t keep=%t", m.cfg.Mapper.Fingerprint(), s.Groups, s.Guests, s.Disabled, s.KeepRemoved > 0)
}
