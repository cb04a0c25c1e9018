package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// A round is one pull being written to the store.
type round struct {
	m      *Mirror
	tx     store.Tx
	plan   plan
	report *Report
	now    time.Time

	// seen are the objects that a full read has brought so far. The first time
	// an object comes it replaces what is stored, since a property that was
	// never set is simply absent; after that it is merged like a change.
	seen map[graph.Kind]map[string]bool
	// unknown counts broken objects of a full read that do not even have an id:
	// nobody may be taken for vanished then, for she may be one of them.
	unknown map[graph.Kind]int
	links   map[graph.Kind]string
}

func newRound(m *Mirror, tx store.Tx, p plan, report *Report) *round {
	report.Round = tx.Round()
	report.FullUsers, report.FullGroups = p.full[graph.Users], p.full[graph.Groups]
	return &round{
		m: m, tx: tx, plan: p, report: report, now: time.Now(),
		seen:    map[graph.Kind]map[string]bool{graph.Users: {}, graph.Groups: {}},
		unknown: make(map[graph.Kind]int), links: make(map[graph.Kind]string),
	}
}

func (r *round) begin() error {
	for _, k := range r.plan.kinds {
		if !r.plan.full[k] {
			continue
		}
		if err := r.tx.BeginFull(storeKind(k)); err != nil {
			return fmt.Errorf("beginning a full read of %s: %w", k, err)
		}
	}
	return nil
}

// apply merges a page.
func (r *round) apply(kp kindPage) error {
	for i := range kp.page.Changes {
		if err := r.change(kp.kind, &kp.page.Changes[i]); err != nil {
			return err
		}
	}
	for _, b := range kp.page.Broken {
		if err := r.broken(kp.kind, b); err != nil {
			return err
		}
	}
	if kp.page.DeltaLink != "" {
		r.links[kp.kind] = kp.page.DeltaLink
	}
	r.report.Pages++
	r.m.status.progress(kp.kind, len(kp.page.Changes))
	return nil
}

func (r *round) change(k graph.Kind, c *graph.Change) error {
	kind, tally := storeKind(k), r.report.tally(k)
	if c.Removed != "" {
		changed, err := r.tx.Remove(kind, c.ID, store.Removal{At: r.now, Reason: c.Removed})
		if changed {
			tally.Removed++
		}
		return err
	}
	old, known, err := r.tx.Object(kind, c.ID)
	if err != nil {
		return err
	}
	properties := old.Properties
	if r.plan.full[k] && !r.seen[k][c.ID] {
		r.seen[k][c.ID] = true
		properties = nil
	}
	merged, err := merge(properties, c.ID, c.Properties)
	if err != nil {
		return fmt.Errorf("merging %s %s: %w", kind, c.ID, err)
	}
	changed, err := r.tx.Put(kind, c.ID, merged)
	switch {
	case err != nil:
		return err
	case changed && known:
		tally.Changed++
	case changed:
		tally.Added++
	}
	return r.members(c)
}

// members applies a group's entries of membership in their order.
func (r *round) members(c *graph.Change) error {
	for _, member := range c.Members {
		if member.Removed {
			changed, err := r.tx.Leave(c.ID, member.ID)
			if err != nil {
				return err
			}
			if changed {
				r.report.Edges.Removed++
			}
			continue
		}
		changed, err := r.tx.Join(c.ID, member.ID, member.Type)
		if err != nil {
			return err
		}
		if changed {
			r.report.Edges.Added++
		}
	}
	return nil
}

// broken keeps what is stored of an object that could not be understood. In a
// full read it must not be taken for one that has vanished.
func (r *round) broken(k graph.Kind, b graph.BrokenObject) error {
	r.report.Broken++
	if !r.plan.full[k] {
		return nil
	}
	old, known, err := r.tx.Object(storeKind(k), b.ID)
	if b.ID == "" || err == nil && known && old.Removed == nil && k == graph.Groups {
		// A group's memberships are not known to have been seen either.
		r.unknown[k]++
		return nil
	}
	if err != nil || !known || old.Removed != nil {
		return err
	}
	_, err = r.tx.Put(storeKind(k), b.ID, old.Properties)
	return err
}

// commit ends the full reads, keeps the cursors and makes the round durable.
func (r *round) commit() error {
	for _, k := range r.plan.kinds {
		if r.plan.full[k] {
			if err := r.endFull(k); err != nil {
				return fmt.Errorf("ending a full read of %s: %w", k, err)
			}
		}
		cursor := store.Cursor{Link: r.links[k], Fingerprint: r.m.question(k), At: r.now}
		if r.unknown[k] > 0 {
			cursor = store.Cursor{} // the next round reads in full again
		}
		if err := r.tx.SetCursor(storeKind(k), cursor); err != nil {
			return fmt.Errorf("keeping a cursor: %w", err)
		}
	}
	if err := r.tx.Commit(); err != nil {
		return fmt.Errorf("committing the round: %w", err)
	}
	return nil
}

// endFull removes what the full read did not bring.
func (r *round) endFull(k graph.Kind) error {
	if n := r.unknown[k]; n > 0 {
		r.m.log.Error("full read has objects that can't be understood; nothing is taken for removed", "collection", k, "objects", n)
		return nil
	}
	objects, edges, err := r.tx.EndFull(storeKind(k), store.Removal{At: r.now, Reason: "vanished"})
	if err != nil {
		return err
	}
	r.report.tally(k).Removed += objects
	r.report.Edges.Removed += edges
	return nil
}

// merge gives the stored form of an object: its properties as a compact JSON
// object, id first, the others by name. Null, and absence, mean not set.
func merge(stored []byte, id string, properties []graph.Property) ([]byte, error) {
	if stored != nil {
		var old map[string]json.RawMessage
		if err := json.Unmarshal(stored, &old); err != nil {
			return nil, err
		}
		delete(old, "id")
		for _, p := range properties {
			old[p.Name] = p.Value
		}
		properties = make([]graph.Property, 0, len(old))
		for name, value := range old {
			properties = append(properties, graph.Property{Name: name, Value: value})
		}
		slices.SortFunc(properties, func(a, b graph.Property) int { return strings.Compare(a.Name, b.Name) })
	}
	quotedID, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	b := append([]byte(`{"id":`), quotedID...)
	for _, p := range properties {
		if bytes.Equal(p.Value, []byte("null")) {
			continue
		}
		name, err := json.Marshal(p.Name)
		if err != nil {
			return nil, err
		}
		b = append(append(append(append(b, ','), name...), ':'), p.Value...)
	}
	return append(b, '}'), nil
}
