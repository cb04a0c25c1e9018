package mirror

import (
	"bytes"
	"context"
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
	state  store.Source // before the round
	plan   plan
	report *Report
	now    time.Time

	// broken are the collections with objects that could not be understood,
	// blind those of them of which nobody may be taken for vanished for it.
	broken, blind map[graph.Kind]bool
	// returned are the collections in which a delta brought back an object that
	// had been removed.
	returned map[graph.Kind]bool
	// before are the objects that a comparison changed, as they were: one that
	// comes twice, first in an older form, is in the end what it was.
	before map[string]string
	links  map[graph.Kind]string
	// Of users who are read by filter: anew are those of whom the next put has
	// everything, so that it replaces what is stored; doubted are those in a list
	// who are known to be removed. merging: a page of a delta is applied, which
	// replaces nothing.
	anew    map[string]bool
	doubted []string
	merging bool
	aside   *asideState // of a reading aside; nil: there was none
	merged  []byte      // the object that is put; its memory serves the next
}

func newRound(m *Mirror, tx store.Tx, state store.Source, p plan, report *Report) *round {
	report.Round = tx.Round()
	report.FullUsers = report.FullUsers || p.full[graph.Users]
	report.FullGroups = report.FullGroups || p.full[graph.Groups]
	return &round{
		m: m, tx: tx, state: state, plan: p, report: report, now: time.Now(),
		anew: make(map[string]bool), broken: make(map[graph.Kind]bool), returned: make(map[graph.Kind]bool), before: make(map[string]string), blind: make(map[graph.Kind]bool), links: make(map[graph.Kind]string),
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
func (r *round) apply(ctx context.Context, kp kindPage) error {
	if kp.kind == graph.Users && r.m.filter != nil {
		var err error
		if kp.listed {
			kp.page, err = r.listed(kp.page)
		} else {
			kp.page, err = r.narrow(ctx, kp.page)
		}
		if err != nil {
			return err
		}
	}
	r.merging = r.byFilter(kp.kind) && !kp.listed
	for i := range kp.page.Changes {
		if err := r.change(kp.kind, &kp.page.Changes[i]); err != nil {
			return fmt.Errorf("storing a page of %s: %w", kp.kind, err)
		}
	}
	if err := r.allBroken(kp); err != nil {
		return fmt.Errorf("storing a page of %s: %w", kp.kind, err)
	}
	if kp.page.DeltaLink != "" {
		r.links[kp.kind] = kp.page.DeltaLink
	}
	r.report.Pages++
	r.m.status.progress(kp.kind, len(kp.page.Changes))
	return nil
}

func (r *round) change(k graph.Kind, c *graph.Change) error {
	if c.ID != strings.ToLower(c.ID) {
		// Ids are GUIDs in lower case. One that differs in case only would be a
		// second person with the first one's name.
		r.report.Broken++
		r.m.log.Error("object with an id in capitals is left out", "collection", k, "id", c.ID)
		return nil
	}
	if c.Removed != "" {
		changed, err := r.tx.Remove(storeKind(k), c.ID, store.Removal{At: r.now, Reason: c.Removed})
		if changed {
			r.report.tally(k).Removed++
		}
		return err
	}
	if err := r.put(k, c); err != nil {
		return err
	}
	return r.members(c, true)
}

// put merges an object onto what is stored of it. The first time that a full
// read brings an object it replaces what is stored, since a property that was
// never set, or no longer is, is simply absent then.
func (r *round) put(k graph.Kind, c *graph.Change) error {
	kind, tally := storeKind(k), r.report.tally(k)
	old, known, err := r.tx.Object(kind, c.ID)
	if err != nil {
		return err
	}
	properties := old.Properties
	whole := k == graph.Users && r.anew[c.ID]
	if r.plan.full[k] && !(r.merging && k == graph.Users) && !whole {
		seen, err := r.tx.Seen(kind, c.ID)
		if err != nil {
			return err
		}
		whole = !seen
	}
	if whole {
		delete(r.anew, c.ID)
		properties = nil
		if k == graph.Users {
			properties = r.keepAside(old.Properties)
		}
	}
	if known && old.Removed != nil && k == graph.Groups && !r.plan.full[k] {
		r.returned[k] = true
	}
	incoming := c.Properties
	if whole && r.m.filter != nil && known {
		if incoming, err = r.withManager(&old, incoming); err != nil {
			return err
		}
	}
	if known && old.Removed != nil && !slices.ContainsFunc(incoming, isManager) {
		// A restored user comes whole. What was cleared meanwhile is null; but a
		// manager who was taken away, being a relationship, is just not there.
		incoming = append(slices.Clip(incoming), graph.Property{Name: manager, Value: json.RawMessage("null")})
	}
	if r.merged, err = appendMerged(r.merged[:0], properties, c.ID, incoming); err != nil {
		return fmt.Errorf("merging %s %s: %w", kind, c.ID, err)
	}
	changed, err := r.tx.Put(kind, c.ID, r.merged)
	if changed && r.plan.compare[k] && known && old.Removed == nil {
		if _, again := r.before[c.ID]; !again {
			r.before[c.ID] = string(old.Properties)
		}
	}
	switch {
	case err != nil:
		return err
	case changed && known:
		tally.Changed++
	case changed:
		tally.Added++
	}
	return nil
}

// members applies a group's entries of membership in their order.
func (r *round) members(c *graph.Change, removals bool) error {
	for _, member := range c.Members {
		switch {
		case !member.Removed:
			changed, err := r.tx.Join(c.ID, member.ID, member.Type)
			if err != nil {
				return err
			}
			if changed {
				r.report.Edges.Added++
			}
		case removals:
			changed, err := r.tx.Leave(c.ID, member.ID)
			if err != nil {
				return err
			}
			if changed {
				r.report.Edges.Removed++
			}
		}
	}
	return nil
}

// allBroken notes a page's objects that could not be understood.
func (r *round) allBroken(kp kindPage) error {
	for _, b := range kp.page.Broken {
		if err := r.brokenObject(kp.kind, b); err != nil {
			return err
		}
	}
	return nil
}

// brokenObject keeps what is stored of an object that could not be understood.
// In a full read it must not be taken for one that has vanished: where it is
// not known who it is, nobody is; and of a group it is not known which members
// it still has.
func (r *round) brokenObject(k graph.Kind, b graph.BrokenObject) error {
	r.report.Broken++
	r.broken[k] = true
	r.m.log.Error("object can't be understood and keeps its last form", "collection", k, "id", b.ID, "why", b.Reason)
	if !r.plan.full[k] {
		return nil
	}
	if b.ID == "" {
		r.blind[k] = true
		return nil
	}
	old, known, err := r.tx.Object(storeKind(k), b.ID)
	if err != nil || !known || old.Removed != nil {
		return err
	}
	r.blind[k] = r.blind[k] || k == graph.Groups
	_, err = r.tx.Put(storeKind(k), b.ID, old.Properties)
	return err
}

// confirm reads a second time where a full read would take something away, and
// takes back who was missing from the first: Graph has been seen to leave
// people out of answers with status 200. Nothing but what was missing is taken
// from it, for the cursor goes on from the first.
func (r *round) confirm(ctx context.Context) error {
	for _, k := range r.plan.kinds {
		if !r.plan.full[k] || r.blind[k] {
			continue
		}
		if r.byFilter(k) {
			if err := r.confirmFiltered(ctx); err != nil {
				return err
			}
			continue
		}
		before, edges, err := r.tx.Unseen(storeKind(k))
		if err != nil {
			return fmt.Errorf("looking what is missing from a full read of %s: %w", k, err)
		}
		if before+edges == 0 {
			continue
		}
		if err := r.m.eachPage(ctx, k, "", func(page *graph.Page) error { return r.applyMissing(kindPage{kind: k, page: page}) }); err != nil {
			return fmt.Errorf("confirming a full read: %w", err)
		}
		after, edgesAfter, err := r.tx.Unseen(storeKind(k))
		if err != nil {
			return fmt.Errorf("looking what is missing from a full read of %s: %w", k, err)
		}
		if found := before + edges - after - edgesAfter; found > 0 {
			r.m.log.Error("full read left out what a second one has; both are taken together", "collection", k,
				"objects", before-after, "memberships", edges-edgesAfter)
			r.report.Missed += found
		}
	}
	return nil
}

// applyMissing takes from a page what the full read has not seen.
func (r *round) applyMissing(kp kindPage) error {
	r.report.Pages++
	for i := range kp.page.Changes {
		if err := r.changeMissing(kp.kind, &kp.page.Changes[i]); err != nil {
			return fmt.Errorf("storing a page of %s: %w", kp.kind, err)
		}
	}
	return r.allBroken(kp)
}

func (r *round) changeMissing(k graph.Kind, c *graph.Change) error {
	if c.Removed != "" || c.ID != strings.ToLower(c.ID) {
		return nil
	}
	seen, err := r.tx.Seen(storeKind(k), c.ID)
	if err != nil {
		return err
	}
	if !seen {
		if err := r.put(k, c); err != nil {
			return err
		}
	}
	return r.members(c, false)
}

// commit ends the full reads, keeps the cursors and makes the round durable.
func (r *round) commit() error {
	for _, k := range r.plan.kinds {
		if r.plan.full[k] {
			if err := r.endFull(k); err != nil {
				return fmt.Errorf("ending a full read of %s: %w", k, err)
			}
		}
		if err := r.tx.SetCursor(storeKind(k), r.cursor(k)); err != nil {
			return fmt.Errorf("keeping a cursor: %w", err)
		}
	}
	return r.tx.Commit() // it says itself what it was doing
}

func (r *round) cursor(k graph.Kind) store.Cursor {
	cursor := store.Cursor{Link: r.links[k], Fingerprint: r.m.question(k), At: r.now}
	question, since := splitMark(r.state.Cursors[storeKind(k)].Fingerprint)
	if !r.plan.full[k] {
		cursor.Fingerprint = question // which may be for more than is asked now
	}
	switch {
	case r.returned[k] || since.Equal(returnedMark) && !r.plan.full[k]:
		cursor.Fingerprint = mark(cursor.Fingerprint, returnedMark)
	case r.broken[k], r.byFilter(k) && r.plan.base == "":
		cursor.Fingerprint = mark(cursor.Fingerprint, r.now)
	case !r.plan.full[k] && !since.IsZero():
		cursor.Fingerprint = mark(cursor.Fingerprint, since)
	}
	return cursor
}

// endFull removes what the full read did not bring.
func (r *round) endFull(k graph.Kind) error {
	if r.blind[k] {
		r.m.log.Error("full read has objects that can't be told apart; nothing is taken for removed", "collection", k)
		return r.tx.AbortFull(storeKind(k))
	}
	objects, edges, err := r.tx.EndFull(storeKind(k), store.Removal{At: r.now, Reason: vanished})
	if err != nil {
		return err
	}
	r.report.tally(k).Removed += objects
	r.report.Edges.Removed += edges
	return nil
}

// vanished is the reason of a removal that no delta told.
const vanished = "vanished"

const manager = "manager"

func isManager(p graph.Property) bool { return p.Name == manager }

// merge gives the stored form of an object: its properties as a compact JSON
// object, id first, the others by name. Null, and absence, mean not set.
func merge(stored []byte, id string, properties []graph.Property) ([]byte, error) {
	size := len(`{"id":""}`) + len(id) + len(stored)
	for _, p := range properties {
		size += len(p.Name) + len(`,"":`) + len(p.Value)
	}
	return appendMerged(make([]byte, 0, size), stored, id, properties)
}

// appendMerged appends it to b.
func appendMerged(b, stored []byte, id string, properties []graph.Property) ([]byte, error) {
	if stored != nil {
		all, err := storedProperties(stored, len(properties))
		if err != nil {
			return nil, err
		}
		all = append(all, properties...)
		slices.SortStableFunc(all, func(a, b graph.Property) int { return strings.Compare(a.Name, b.Name) })
		properties = all[:0]
		for i, p := range all { // of one name the last, which is the new one
			if i+1 == len(all) || all[i+1].Name != p.Name {
				properties = append(properties, p)
			}
		}
	}
	b, err := appendName(append(b, `{"id":`...), id)
	if err != nil {
		return nil, err
	}
	for _, p := range properties {
		if bytes.Equal(p.Value, []byte("null")) {
			continue
		}
		if b, err = appendName(append(b, ','), p.Name); err != nil {
			return nil, err
		}
		b = append(append(b, ':'), p.Value...)
	}
	return append(b, '}'), nil
}

// storedProperties takes a stored object apart, without its id, and leaves room for
// more. The values are in the memory of stored.
func storedProperties(stored []byte, more int) ([]graph.Property, error) {
	var all []graph.Property
	text := string(stored) // in which all names are
	if eachPlain(stored, func(name, value []byte) bool {
		if all == nil {
			all = make([]graph.Property, 0, bytes.Count(stored, []byte(`":`))+more)
		}
		if string(name) != "id" {
			at := cap(stored) - cap(name)
			all = append(all, graph.Property{Name: text[at : at+len(name)], Value: value})
		}
		return true
	}) {
		return all, nil
	}
	var old map[string]json.RawMessage
	if err := json.Unmarshal(stored, &old); err != nil {
		return nil, err
	}
	delete(old, "id")
	all = all[:0]
	for name, value := range old {
		all = append(all, graph.Property{Name: name, Value: value})
	}
	return all, nil
}

// appendName appends a string as JSON. Names and ids are mostly letters and
// digits, which stand for themselves.
func appendName(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if !plainText[s[i]] {
			quoted, err := json.Marshal(s)
			return append(b, quoted...), err
		}
	}
	return append(append(append(b, '"'), s...), '"'), nil
}

// plainText marks the bytes that encoding/json writes as they are, of ASCII.
var plainText = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = !strings.ContainsRune("\"\\<>&", c)
	}
	return t
}()
