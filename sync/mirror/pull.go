package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// storeKind is the store's name for what Graph has in a collection.
func storeKind(k graph.Kind) store.Kind {
	if k == graph.Groups {
		return store.Group
	}
	return store.User
}

// kinds are the collections that the scope needs.
func (m *Mirror) kinds() []graph.Kind {
	if m.cfg.Scope.ReadsGroups() {
		return []graph.Kind{graph.Users, graph.Groups}
	}
	return []graph.Kind{graph.Users}
}

// A plan says how each collection is read in a round.
type plan struct {
	kinds []graph.Kind
	full  map[graph.Kind]bool
	// compare are the collections whose cursor is good and which are read in
	// full nevertheless, to see whether the deltas told everything.
	compare map[graph.Kind]bool
	// base is the cursor from which users are read once they were listed by a
	// filter; "": there is none yet.
	base string
}

// maxTries bounds how often a round is begun again because Graph let a page
// link or a cursor expire.
const maxTries = 4

// pull reads what changed and commits it. Where a full read is to check the
// deltas it comes after a delta round, so that what it finds otherwise is what
// they did not tell.
func (m *Mirror) pull(ctx context.Context, opts Options, report *Report) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	p := m.plan(state, opts)
	compare, cursor := p.compare, state.Cursors[store.User].Link
	p.compare = nil
	if err := m.pullPlan(ctx, state, &p, report); err != nil {
		return err
	}
	if state, err = m.cfg.Store.Source(ctx, m.cfg.Name); err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	compareFrom := state.Cursors[store.User].Link
	if !p.full[graph.Users] {
		// From where this round began: what lists show late is told again.
		compareFrom = cursor
	}
	second := plan{base: compareFrom, kinds: p.kinds, full: make(map[graph.Kind]bool), compare: make(map[graph.Kind]bool)}
	for _, k := range p.kinds {
		switch {
		case m.returned(state, k):
			second.full[k] = true
		case compare[k] && !p.full[k]:
			// One whose cursor turned out to have expired was just read in full.
			second.full[k], second.compare[k] = true, true
		}
	}
	if len(second.full) == 0 {
		return nil
	}
	return m.pullPlan(ctx, state, &second, report)
}

// plan decides how the round begins. What never was read, or was asked
// differently, is read in full; what is to be compared comes second.
func (m *Mirror) plan(state store.Source, opts Options) plan {
	p := plan{kinds: m.kinds(), full: make(map[graph.Kind]bool), compare: make(map[graph.Kind]bool)}
	for _, k := range p.kinds {
		cursor := state.Cursors[storeKind(k)]
		question, broken := splitMark(cursor.Fingerprint)
		due := m.cfg.FullEvery > 0 && since(state.LastFull[storeKind(k)]) >= m.cfg.FullEvery
		repair := !broken.IsZero() && !broken.Equal(returnedMark) && since(broken) >= repairAfter
		switch {
		case cursor.Link == "" || !m.answers(question, k):
			p.full[k] = true
			if k == graph.Users && m.selects(question, k) {
				p.base = cursor.Link
			}
		case question != m.question(k) && (opts.Full || due):
			// What is no longer asked for is missing from the one and not from
			// the other: that is no drift.
			p.full[k] = true
			if k == graph.Users {
				p.base = cursor.Link
			}
		case opts.Full || due || repair || m.doubtful(state, k):
			p.compare[k] = true
		}
	}
	return p
}

// doubtful says whether what is held may be the doing of a full read. Whom such
// a read did not show no delta brings back, for nothing changed about her: only
// another full read can tell that it was a tenant's bad moment. One is done with
// the next round, and again ever more seldom: a hold may last for days.
func (m *Mirror) doubtful(state store.Source, k graph.Kind) bool {
	served, last := m.cfg.Picture.Current(), state.LastFull[storeKind(k)]
	return state.Held != nil && served != nil && last.After(served.Published()) &&
		since(last) >= min(repairAfter, since(state.Held.Since)/2)
}

// question stands for what a cursor was asked with: a cursor of another
// question would go on answering that one.
func (m *Mirror) question(k graph.Kind) string {
	question := m.cfg.Tenant + " " + k.String() + " " + strings.Join(Select(m.cfg.Mapper, &m.cfg.Scope)[k], ",")
	if k == graph.Users && m.filter != nil {
		question += onlyMark + m.filter.sum()
	}
	return question
}

// TenantOf gives the tenant that a source was last read from, as its configuration
// had it: empty is that of a managed identity. It is false where none was.
func TenantOf(state store.Source) (tenant string, read bool) {
	tenant, _, read = strings.Cut(state.Cursors[store.User].Fingerprint, " ")
	return tenant, read
}

// onlyMark stands before the sum of the filter by which users were read. What is
// stored then is not everybody.
const onlyMark = " only "

// answers says whether a cursor of some question gives all that is asked now:
// one that gives more does, so that a scope which needs less is no reason to
// read anything.
func (m *Mirror) answers(question string, k graph.Kind) bool {
	_, only, _ := strings.Cut(question, onlyMark)
	return (k != graph.Users || only == m.filter.sum()) && m.selects(question, k)
}

// selects says whether it gives all properties that are asked for now.
func (m *Mirror) selects(question string, k graph.Kind) bool {
	question, _, _ = strings.Cut(question, onlyMark)
	list, ok := strings.CutPrefix(question, m.cfg.Tenant+" "+k.String()+" ")
	given := strings.Split(list, ",")
	return ok && !slices.ContainsFunc(Select(m.cfg.Mapper, &m.cfg.Scope)[k], func(name string) bool { return !slices.Contains(given, name) })
}

// A cursor of a read in which objects could not be understood carries a mark
// with the time: after repairAfter everything is read again, in the hope that
// they can be understood then.
const (
	brokenMark  = " broken "
	repairAfter = time.Hour
)

func mark(question string, at time.Time) string {
	return question + brokenMark + at.UTC().Format(time.RFC3339)
}

func splitMark(fingerprint string) (question string, at time.Time) {
	question, text, _ := strings.Cut(fingerprint, brokenMark)
	at, _ = time.Parse(time.RFC3339, text)
	return question, at
}

// returnedMark, in the place of that time, says that a group came back which had
// been removed. What of its members went in the same round as it, or while it was
// in the recycle bin, is told by nobody: so groups are read in full, before
// anything is published.
var returnedMark = time.Unix(0, 0).UTC()

func (m *Mirror) returned(state store.Source, k graph.Kind) bool {
	_, at := splitMark(state.Cursors[storeKind(k)].Fingerprint)
	return at.Equal(returnedMark)
}

// An expiredError says whose cursor expired.
type expiredError struct {
	kind graph.Kind
	err  error
}

func (e *expiredError) Error() string { return e.err.Error() }
func (e *expiredError) Unwrap() error { return e.err }

// pullPlan reads and commits what a plan says, and begins again where Graph
// asks for that. Afterwards p.full says what was read in full.
func (m *Mirror) pullPlan(ctx context.Context, state store.Source, p *plan, report *Report) error {
	kept := *report
	for try := 1; ; try++ {
		r, err := m.pullOnce(ctx, state, *p, report)
		var expired *expiredError
		switch {
		case err == nil:
			return r.findDrift(ctx, state)
		case try == maxTries:
			return fmt.Errorf("after %d tries: %w", try, err)
		case errors.As(err, &expired):
			m.log.Warn("cursor is no longer valid; reading in full", "collection", expired.kind, "err", err)
			p.full[expired.kind] = true
			if expired.kind == graph.Users {
				p.base = ""
			}
		case errors.Is(err, graph.ErrRestartRound):
			m.log.Warn("page link expired; beginning the round again", "err", err)
		default:
			return err
		}
		*report = kept
		m.status.set(func(s *Status) { s.Progress = Progress{} })
	}
}

// A kindPage is a page and the collection it is of.
type kindPage struct {
	kind graph.Kind
	page *graph.Page
	// listed: it is of a list, and not of a delta query.
	listed bool
}

// pullOnce reads the collections side by side into one transaction.
func (m *Mirror) pullOnce(ctx context.Context, state store.Source, p plan, report *Report) (*round, error) {
	tx, err := m.cfg.Store.Begin(ctx, m.cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("beginning a round: %w", err)
	}
	defer tx.Rollback() // does nothing after Commit
	r := newRound(m, tx, state, plan{p.kinds, maps.Clone(p.full), p.compare, p.base}, report)
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := m.readAll(ctx, r); err != nil {
		return nil, err
	}
	if err := r.readAssigned(ctx); err != nil {
		return nil, err
	}
	if err := r.confirm(ctx); err != nil {
		return nil, err
	}
	if err := r.readAside(ctx); err != nil {
		return nil, err
	}
	if err := m.commit(r); err != nil {
		return nil, err
	}
	if r.aside != nil {
		m.aside.Store(r.aside)
	}
	m.pulled.Store(true)
	return r, nil
}

// commit makes a round durable while nobody renders what is stored: a picture of
// which one half was read before and the other after would be of no one state.
func (m *Mirror) commit(r *round) error {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	return r.commit()
}

// readAll reads the collections to the end and applies their pages as they
// come.
func (m *Mirror) readAll(ctx context.Context, r *round) error {
	readCtx, stop := context.WithCancel(ctx)
	defer stop()
	readers, readCtx := errgroup.WithContext(readCtx)
	pages := make(chan kindPage)
	for _, k := range r.plan.kinds {
		cursor := r.state.Cursors[storeKind(k)].Link
		if r.plan.full[k] {
			cursor = ""
		}
		if r.byFilter(k) {
			readers.Go(func() error { return m.readFiltered(readCtx, r.plan.base, pages) })
			continue
		}
		readers.Go(func() error { return m.read(readCtx, k, cursor, pages) })
	}
	done := make(chan error, 1)
	go func() {
		done <- readers.Wait()
		close(pages)
	}()
	var applyErr error
	for kp := range pages {
		if applyErr != nil {
			continue // the readers are about to stop
		}
		if applyErr = r.apply(ctx, kp); applyErr != nil {
			stop()
		}
	}
	switch readErr := <-done; {
	case ctx.Err() != nil:
		return ctx.Err()
	case applyErr != nil:
		return applyErr
	default:
		return readErr
	}
}

// read sends the pages of one collection, and fails unless it saw the last.
func (m *Mirror) read(ctx context.Context, k graph.Kind, cursor string, pages chan<- kindPage) error {
	return m.eachPage(ctx, k, cursor, func(page *graph.Page) error {
		select {
		case pages <- kindPage{kind: k, page: page}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// eachPage visits the pages of one collection, and fails unless it saw the
// last.
func (m *Mirror) eachPage(ctx context.Context, k graph.Kind, cursor string, visit func(*graph.Page) error) error {
	last := false
	for page, err := range m.cfg.Graph.Changes(ctx, k, cursor) {
		switch {
		case errors.Is(err, graph.ErrResync) && cursor != "":
			return &expiredError{k, err}
		case errors.Is(err, graph.ErrResync):
			return fmt.Errorf("reading %s: %w", k, errors.Join(graph.ErrRestartRound, err))
		case err != nil:
			return fmt.Errorf("reading %s: %w", k, err)
		}
		last = page.DeltaLink != ""
		if err := visit(page); err != nil {
			return err
		}
	}
	if !last {
		return fmt.Errorf("reading %s: %w: the pages ended without a delta link", k, graph.ErrProtocol)
	}
	return nil
}
