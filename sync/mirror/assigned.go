package mirror

import (
	"context"
	"errors"
	"fmt"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// An Assigner is a [Source] that tells who is assigned to an application:
// *graph.Client.
type Assigner interface {
	// Assigned is as that of [graph.Client].
	Assigned(ctx context.Context, appID string) ([]graph.Member, error)
}

// assignedQuestion stands for what was asked when assignments were read.
func (m *Mirror) assignedQuestion() string { return m.cfg.Tenant + " " + m.cfg.Scope.Assigned }

// assignedRead says whether who is assigned was read together with what is
// stored.
func (m *Mirror) assignedRead(state store.Source) bool {
	cursor := state.Cursors[store.Assignment]
	return m.cfg.Scope.Assigned == "" ||
		cursor.Fingerprint == m.assignedQuestion() && cursor.At.Equal(state.Cursors[store.User].At)
}

// readAssigned puts into the round who is assigned to the application. Graph
// has no delta of it, so the whole list is read each time. Somebody who is
// missing from it has to be missing from a second one, too: the list may lag
// behind, and a person must not go for a bad answer. Where it can't be read the
// round fails, and everybody stays.
func (r *round) readAssigned(ctx context.Context) error {
	app := r.m.cfg.Scope.Assigned
	if app == "" {
		return nil
	}
	source, ok := r.m.cfg.Graph.(Assigner)
	if !ok {
		return errors.New("reading who is assigned: the source can't tell")
	}
	group := assignedTo(app)
	before := make(map[string]bool)
	for e, err := range r.m.cfg.Store.Members(ctx, r.m.cfg.Name, group) {
		if err != nil {
			return fmt.Errorf("reading who was assigned: %w", err)
		}
		before[e.Member] = true
	}
	missing := before
	for range 2 {
		list, err := source.Assigned(ctx, app)
		if err != nil {
			return err
		}
		for _, member := range list {
			delete(missing, member.ID)
			changed, err := r.tx.Join(group, member.ID, member.Type)
			if err != nil {
				return fmt.Errorf("storing who is assigned: %w", err)
			}
			if changed {
				r.report.Edges.Added++
			}
		}
		if len(missing) == 0 {
			break
		}
	}
	for id := range missing {
		if _, err := r.tx.Leave(group, id); err != nil {
			return fmt.Errorf("storing who is assigned: %w", err)
		}
		r.report.Edges.Removed++
	}
	cursor := store.Cursor{Link: app, Fingerprint: r.m.assignedQuestion(), At: r.now}
	if err := r.tx.SetCursor(store.Assignment, cursor); err != nil {
		return fmt.Errorf("storing who is assigned: %w", err)
	}
	return nil
}
