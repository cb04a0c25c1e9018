package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// A full read of users by filter is
//
//  1. a cursor: the one there is, or else one from now on;
//  2. the list of those whom the filter finds;
//  3. the delta from the cursor: what changed while the list was read, and before.
//     Of somebody who is not stored it tells no more than what changed; so she is
//     read whole, by id, unless what it tells speaks against her;
//  4. a look at each user who is stored, or served, and was in neither: absence
//     from a list is no proof. Who is not there by her id either has vanished.
//
// No list removes anybody, or changes what is known of somebody: it only says
// whom to look at. What it can do, where it lags behind a new cursor, is to miss
// who came or changed shortly before. So a read from a new cursor is done again
// after an hour, from the cursor that has come of it.

// outside is the reason of a removal of which no picture knows: the filter leaves
// out somebody who was stored before there was one.
const outside = "outside"

// isOutside says whether an object is in the tenant, as far as is known, and only
// not read any more.
func isOutside(obj *store.Object) bool { return obj.Removed != nil && obj.Removed.Reason == outside }

// errNoLister is for sources of tests that can't.
var errNoLister = errors.New("reading users by filter: the source can't")

func (m *Mirror) lister() (Lister, error) {
	if l, ok := m.cfg.Graph.(Lister); ok {
		return l, nil
	}
	return nil, errNoLister
}

// byFilter says whether the round reads a collection by filter.
func (r *round) byFilter(k graph.Kind) bool {
	return k == graph.Users && r.plan.full[k] && r.m.filter != nil
}

// readFiltered sends the pages of such a read. base is the cursor; "": none yet.
func (m *Mirror) readFiltered(ctx context.Context, base string, pages chan<- kindPage) error {
	source, err := m.lister()
	if err != nil {
		return err
	}
	if base == "" {
		if base, err = source.Latest(ctx, graph.Users); err != nil {
			return fmt.Errorf("reading users: %w", err)
		}
	}
	send := func(page *graph.Page, listed bool) error {
		select {
		case pages <- kindPage{graph.Users, page, listed}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, f := range m.filter.lists() {
		err := source.ListUsers(ctx, f, func(page *graph.Page) error {
			if !f.Advanced {
				return send(page, true)
			}
			var ids []string
			for _, c := range page.Changes {
				ids = append(ids, c.ID)
			}
			return m.readByID(ctx, ids, func(page *graph.Page) error { return send(page, true) })
		})
		switch {
		case errors.Is(err, graph.ErrResync): // of a list: it has no cursor
			return fmt.Errorf("reading users: %w", errors.Join(graph.ErrRestartRound, err))
		case err != nil:
			return fmt.Errorf("reading users: %w", err)
		}
	}
	return m.eachPage(ctx, graph.Users, base, func(page *graph.Page) error { return send(page, false) })
}

// readByID reads users by their ids.
func (m *Mirror) readByID(ctx context.Context, ids []string, visit func(*graph.Page) error) error {
	source, err := m.lister()
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, graph.MaxUsers) {
		page, err := source.ReadUsers(ctx, part)
		if err == nil {
			err = visit(page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// narrow leaves out of a page of a delta those who are not stored and whom the
// filter leaves out, and completes the others who are not stored.
func (r *round) narrow(ctx context.Context, page *graph.Page) (*graph.Page, error) {
	stranger := make([]bool, len(page.Changes))
	var ask []string
	for i := range page.Changes {
		c := &page.Changes[i]
		var err error
		if stranger[i], err = r.isStranger(c); err != nil {
			return nil, err
		}
		if stranger[i] && !slices.Contains(ask, c.ID) && !r.m.filter.rejectsChange(c.Properties, false) {
			ask = append(ask, c.ID)
		}
	}
	narrowed := &graph.Page{DeltaLink: page.DeltaLink, Broken: page.Broken}
	whole := make(map[string][]graph.Property)
	if err := r.m.readByID(ctx, ask, func(read *graph.Page) error {
		for _, c := range read.Changes {
			whole[c.ID] = c.Properties
		}
		narrowed.Broken = append(slices.Clip(narrowed.Broken), read.Broken...)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading users who are new to the scope: %w", err)
	}
	entered := make(map[string]bool)
	for i, c := range page.Changes {
		if stranger[i] && !entered[c.ID] {
			properties, known := whole[c.ID]
			if known {
				c.Properties = overlaid(properties, c.Properties)
			}
			if r.m.filter.rejectsChange(c.Properties, known) {
				continue
			}
			entered[c.ID], r.anew[c.ID] = true, known
		}
		narrowed.Changes = append(narrowed.Changes, c)
	}
	return narrowed, nil
}

// isStranger says whether a change is of somebody who is there and not stored.
func (r *round) isStranger(c *graph.Change) (bool, error) {
	if c.Removed != "" || c.ID != strings.ToLower(c.ID) {
		return false, nil
	}
	obj, known, err := r.tx.Object(store.User, c.ID)
	return !known || obj.Removed != nil, err
}

// listed leaves out of a page of a list those of whom something else is known
// than it says: it may be that the list lags, or that a delta was not told. They
// are read by their ids, at the end.
func (r *round) listed(page *graph.Page) (*graph.Page, error) {
	believed := &graph.Page{Broken: page.Broken}
	for i := range page.Changes {
		c := &page.Changes[i]
		doubt, err := r.doubts(c)
		if err != nil {
			return nil, err
		}
		if doubt {
			r.doubted = append(r.doubted, c.ID)
		} else {
			believed.Changes = append(believed.Changes, *c)
		}
	}
	return believed, nil
}

func (r *round) doubts(c *graph.Change) (bool, error) {
	obj, known, err := r.tx.Object(store.User, c.ID)
	switch {
	case err != nil || c.ID != strings.ToLower(c.ID):
		return false, err
	case !known || isOutside(&obj):
		return r.plan.compare[graph.Users], nil
	case obj.Removed != nil:
		return true, nil
	}
	properties, err := r.withManager(&obj, c.Properties)
	if err != nil {
		return false, err
	}
	said, err := merge(r.keepAside(obj.Properties), c.ID, properties)
	return !bytes.Equal(said, obj.Properties), err
}

// withManager keeps a manager whom a list does not name because he was removed: his
// reports are his again when he is restored, and nobody may tell.
func (r *round) withManager(old *store.Object, incoming []graph.Property) ([]graph.Property, error) {
	var stored struct {
		Manager struct {
			ID string `json:"id"`
		} `json:"manager"`
	}
	if slices.ContainsFunc(incoming, isManager) || json.Unmarshal(old.Properties, &stored) != nil || stored.Manager.ID == "" {
		return incoming, nil
	}
	obj, known, err := r.tx.Object(store.User, stored.Manager.ID)
	if err != nil || !known || obj.Removed == nil || isOutside(&obj) {
		return incoming, err
	}
	value := fmt.Appendf(nil, `{"id":%q}`, stored.Manager.ID)
	return overlaid(incoming, []graph.Property{{Name: manager, Value: value}}), nil
}

// confirmFiltered looks at those whom a read by filter did not show.
func (r *round) confirmFiltered(ctx context.Context) error {
	ask, out, err := r.missing()
	if err != nil {
		return fmt.Errorf("looking what is missing from a list of users: %w", err)
	}
	if err := r.m.readByID(ctx, ask, r.confirmed); err != nil {
		return fmt.Errorf("confirming a list of users: %w", err)
	}
	for _, id := range out {
		if err := r.leaveOutside(id); err != nil {
			return fmt.Errorf("storing whom the filter leaves out: %w", err)
		}
	}
	return nil
}

// missing gives those to ask for by id, and those who are out by what is stored
// and of whom no picture knows: a change would have come by the delta.
func (r *round) missing() (ask, out []string, err error) {
	asked := make(map[string]bool)
	add := func(id string) {
		if !asked[id] {
			asked[id] = true
			ask = append(ask, id)
		}
	}
	for _, id := range r.doubted {
		add(id)
	}
	err = r.tx.UnseenIDs(store.User, func(id string) error {
		obj, _, err := r.tx.Object(store.User, id)
		switch {
		case err != nil:
			return err
		case r.m.filter.rejectsStored(obj.Properties) && !r.m.pictured(id):
			out = append(out, id)
		default:
			add(id)
		}
		return nil
	})
	current := r.m.cfg.Picture.Current()
	if err != nil || !foreign(current, r.state) {
		return ask, out, err
	}
	// What is served is of another state than what is stored, and knows more.
	v := directory.NewView(current)
	for i := range v.Len(directory.User) {
		res := v.At(directory.User, i)
		if res.Detached() {
			continue
		}
		if _, known, err := r.tx.Object(store.User, res.ID()); err != nil {
			return nil, nil, err
		} else if !known {
			add(res.ID())
		}
	}
	return ask, out, nil
}

// confirmed stores those who are there after all.
func (r *round) confirmed(page *graph.Page) error {
	r.report.Pages++
	for _, b := range page.Broken {
		if err := r.brokenObject(graph.Users, b); err != nil {
			return err
		}
	}
	for i := range page.Changes {
		c := &page.Changes[i]
		r.anew[c.ID] = true
		if !r.m.filter.rejectsChange(c.Properties, true) {
			r.report.Missed++
		}
		if err := r.put(graph.Users, c); err != nil {
			return err
		}
	}
	return nil
}

// leaveOutside keeps nothing of somebody but why she is out.
func (r *round) leaveOutside(id string) error {
	obj, _, err := r.tx.Object(store.User, id)
	if err != nil {
		return err
	}
	trace, err := r.m.filter.trace(id, obj.Properties)
	if err != nil {
		return err
	}
	if _, err := r.tx.Put(store.User, id, trace); err != nil {
		return err
	}
	_, err = r.tx.Remove(store.User, id, store.Removal{At: r.now, Reason: outside})
	return err
}
