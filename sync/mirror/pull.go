package mirror

import (
	"context"
	"errors"
	"fmt"
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

// A plan says how each collection is read in a round.
type plan struct {
	kinds []graph.Kind
	full  map[graph.Kind]bool
}

// maxTries bounds how often a round is begun again because Graph let a page
// link or a cursor expire.
const maxTries = 4

// pull reads what changed and commits it.
func (m *Mirror) pull(ctx context.Context, opts Options, report *Report) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	p := m.plan(state, opts)
	for try := 1; ; try++ {
		err := m.pullOnce(ctx, state, p, report)
		var expired *expiredError
		switch {
		case err == nil:
			return nil
		case try == maxTries:
			return fmt.Errorf("after %d tries: %w", try, err)
		case errors.As(err, &expired):
			m.log.Warn("cursor is no longer valid; reading in full", "collection", expired.kind, "err", err)
			p.full[expired.kind] = true
		case errors.Is(err, graph.ErrRestartRound):
			m.log.Warn("page link expired; beginning the round again", "err", err)
		default:
			return err
		}
		*report = Report{Started: report.Started}
		m.status.set(func(s *Status) { s.Progress = Progress{} })
	}
}

// plan decides what is read in full: what never was, what was asked
// differently, and all when it is time to compare.
func (m *Mirror) plan(state store.Source, opts Options) plan {
	p := plan{kinds: []graph.Kind{graph.Users}, full: make(map[graph.Kind]bool)}
	if m.cfg.Scope.Groups {
		p.kinds = append(p.kinds, graph.Groups)
	}
	for _, k := range p.kinds {
		cursor := state.Cursors[storeKind(k)]
		due := m.cfg.FullEvery > 0 && time.Since(state.LastFull[storeKind(k)]) >= m.cfg.FullEvery
		p.full[k] = opts.Full || due || cursor.Link == "" || cursor.Fingerprint != m.question(k)
	}
	return p
}

// question stands for what a cursor was asked with: a cursor of another
// question would go on answering that one.
func (m *Mirror) question(k graph.Kind) string {
	users, groups := m.cfg.Mapper.Select()
	properties := users
	if k == graph.Groups {
		properties = groups
	}
	return m.cfg.Tenant + " " + k.String() + " " + strings.Join(properties, ",")
}

// An expiredError says whose cursor expired.
type expiredError struct {
	kind graph.Kind
	err  error
}

func (e *expiredError) Error() string { return e.err.Error() }
func (e *expiredError) Unwrap() error { return e.err }

// A kindPage is a page and the collection it is of.
type kindPage struct {
	kind graph.Kind
	page *graph.Page
}

// pullOnce reads the collections side by side into one transaction.
func (m *Mirror) pullOnce(ctx context.Context, state store.Source, p plan, report *Report) (err error) {
	tx, err := m.cfg.Store.Begin(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("beginning a round: %w", err)
	}
	defer tx.Rollback() // does nothing after Commit
	r := newRound(m, tx, p, report)
	if err := r.begin(); err != nil {
		return err
	}
	readCtx, stop := context.WithCancel(ctx)
	defer stop()
	readers, readCtx := errgroup.WithContext(readCtx)
	pages := make(chan kindPage)
	for _, k := range p.kinds {
		cursor := state.Cursors[storeKind(k)].Link
		if p.full[k] {
			cursor = ""
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
		if err := r.apply(kp); err != nil {
			applyErr = fmt.Errorf("storing a page of %s: %w", kp.kind, err)
			stop()
		}
	}
	switch readErr := <-done; {
	case ctx.Err() != nil:
		return ctx.Err()
	case applyErr != nil:
		return applyErr
	case readErr != nil:
		return readErr
	}
	return r.commit()
}

// read sends the pages of one collection, and fails unless it saw the last.
func (m *Mirror) read(ctx context.Context, k graph.Kind, cursor string, pages chan<- kindPage) error {
	last := false
	for page, err := range m.cfg.Graph.Changes(ctx, k, cursor) {
		if errors.Is(err, graph.ErrResync) && cursor != "" {
			return &expiredError{k, err}
		}
		if errors.Is(err, graph.ErrResync) {
			return fmt.Errorf("reading %s: %w", k, errors.Join(graph.ErrRestartRound, err))
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", k, err)
		}
		last = page.DeltaLink != ""
		select {
		case pages <- kindPage{k, page}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !last {
		return fmt.Errorf("reading %s: %w: the pages ended without a delta link", k, graph.ErrProtocol)
	}
	return nil
}
