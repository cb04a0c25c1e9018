package mirror

import (
	"context"
	"maps"
	"slices"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// findDrift looks what a full read that came right after a delta round found
// otherwise than that had told. What the tenant changed meanwhile is not drift:
// a last look at the deltas from before the full read tells which that is; it
// is read and dropped, for the next round brings it again.
//
// Drift has been repaired when it is found, so that nothing here fails a round.
func (r *round) findDrift(ctx context.Context, before store.Source) error {
	for _, k := range r.plan.kinds {
		if !r.plan.compare[k] || !r.plan.full[k] {
			continue
		}
		drifted, err := r.changedBy(ctx, k)
		if err == nil && len(drifted) > 0 {
			err = r.dropTold(ctx, k, before.Cursors[storeKind(k)].Link, drifted)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.m.log.Warn("drift can't be told from changes", "collection", k, "objects", len(drifted), "err", err)
			continue
		case len(drifted) == 0:
			continue
		}
		r.report.Drift += len(drifted)
		r.m.status.set(func(s *Status) { s.Drift += uint64(len(drifted)) })
		examples := slices.Sorted(maps.Keys(drifted))
		r.m.log.Error("full read found what deltas had not told", "collection", k,
			"objects", len(drifted), "examples", examples[:min(len(examples), maxExamples)])
	}
	return nil
}

// changedBy gives the ids of the objects, and of the groups whose memberships,
// the round changed.
func (r *round) changedBy(ctx context.Context, k graph.Kind) (map[string]bool, error) {
	changed := make(map[string]bool)
	s, name, since := r.m.cfg.Store, r.m.cfg.Name, r.tx.Round()-1
	if since == 0 {
		return changed, nil
	}
	for obj, err := range s.Objects(ctx, name, storeKind(k), since) {
		if err != nil {
			return nil, err
		}
		if isOutside(&obj) {
			continue
		}
		if was, known := r.before[obj.ID]; !known || obj.Removed != nil || was != string(obj.Properties) {
			changed[obj.ID] = true
		}
	}
	if k != graph.Groups {
		return changed, nil
	}
	for e, err := range s.Edges(ctx, name, since) {
		if err != nil {
			return nil, err
		}
		if e.Group != assignedTo(r.m.cfg.Scope.Assigned) {
			changed[e.Group] = true
		}
	}
	return changed, nil
}

// dropTold takes from a set of ids those that a delta tells.
func (r *round) dropTold(ctx context.Context, k graph.Kind, cursor string, ids map[string]bool) error {
	return r.m.eachPage(ctx, k, cursor, func(page *graph.Page) error {
		for _, c := range page.Changes {
			delete(ids, c.ID)
		}
		return nil
	})
}
