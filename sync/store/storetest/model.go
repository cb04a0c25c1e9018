package storetest

import (
	"maps"
	"slices"
	"time"

	"scimbridge/sync/store"
)

// The naive model: a source is maps, a round is a copy of them.

type objectKey struct {
	kind store.Kind
	id   string
}

type edgeKey struct{ group, member string }

type modelSource struct {
	store.Source
	objects map[objectKey]store.Object
	edges   map[edgeKey]store.Edge
	history []store.RoundRecord
}

func newModelSource(name string) *modelSource {
	return &modelSource{Source: store.Source{Name: name},
		objects: make(map[objectKey]store.Object), edges: make(map[edgeKey]store.Edge)}
}

func (m *modelSource) counts() (users, groups int) {
	for key, o := range m.objects {
		switch {
		case o.Removed != nil:
		case key.kind == store.User:
			users++
		default:
			groups++
		}
	}
	return users, groups
}

// state is the source as a store gives it.
func (m *modelSource) state() store.Source {
	src := m.Source
	src.Users, src.Groups = m.counts()
	return src
}

// adopt takes over the epoch of a source that has become known.
func (m *modelSource) adopt(src store.Source) {
	if m.Epoch == "" && m.Name == src.Name {
		m.Epoch = src.Epoch
	}
}

func (m *modelSource) removedBefore(kind store.Kind, before time.Time) map[string]store.Object {
	found := make(map[string]store.Object)
	for key, o := range m.objects {
		if key.kind == kind && o.Removed != nil && o.Removed.At.Before(before) {
			found[key.id] = o
		}
	}
	return found
}

func (m *modelSource) changedSince(kind store.Kind, since uint64) map[string]store.Object {
	found := make(map[string]store.Object)
	for key, o := range m.objects {
		if key.kind == kind && o.Round > since {
			found[key.id] = o
		}
	}
	return found
}

func (m *modelSource) edgesWhere(want func(store.Edge) bool) map[edgeKey]store.Edge {
	found := make(map[edgeKey]store.Edge)
	for key, e := range m.edges {
		if want(e) {
			found[key] = e
		}
	}
	return found
}

func (m *modelSource) forget(kind store.Kind, ids []string) {
	for _, id := range ids {
		key := objectKey{kind, id}
		if o, ok := m.objects[key]; !ok || o.Removed == nil {
			continue
		}
		delete(m.objects, key)
		if len(m.ofAnyKind(id)) > 0 {
			continue
		}
		maps.DeleteFunc(m.edges, func(key edgeKey, _ store.Edge) bool { return key.group == id || key.member == id })
	}
}

func (m *modelSource) ofAnyKind(id string) (found []store.Object) {
	for _, kind := range []store.Kind{store.User, store.Group} {
		if o, ok := m.objects[objectKey{kind, id}]; ok {
			found = append(found, o)
		}
	}
	return found
}

func (m *modelSource) prune(upTo uint64) {
	maps.DeleteFunc(m.edges, func(_ edgeKey, e store.Edge) bool { return e.Removed && e.Round <= upTo })
}

// A modelRound is an open round. Its source becomes the model's at Commit,
// but for what small updates changed meanwhile.
type modelRound struct {
	*modelSource
	number  uint64
	changed bool
	cursors map[store.Kind]store.Cursor
	fulls   map[store.Kind]time.Time
	reading map[store.Kind]bool
	seen    map[objectKey]bool
	joined  map[edgeKey]bool
}

func (m *modelSource) begin() *modelRound {
	fresh := newModelSource(m.Name)
	maps.Copy(fresh.objects, m.objects)
	maps.Copy(fresh.edges, m.edges)
	return &modelRound{modelSource: fresh, number: m.Round + 1,
		cursors: make(map[store.Kind]store.Cursor), fulls: make(map[store.Kind]time.Time),
		reading: make(map[store.Kind]bool), seen: make(map[objectKey]bool), joined: make(map[edgeKey]bool)}
}

func (r *modelRound) commit(to *modelSource) {
	to.objects, to.edges, to.Round = r.objects, r.edges, r.number
	to.Cursors, to.LastFull = maps.Clone(to.Cursors), maps.Clone(to.LastFull)
	if to.Cursors == nil {
		to.Cursors = make(map[store.Kind]store.Cursor)
	}
	if to.LastFull == nil {
		to.LastFull = make(map[store.Kind]time.Time)
	}
	maps.Copy(to.Cursors, r.cursors)
	maps.DeleteFunc(to.Cursors, func(_ store.Kind, c store.Cursor) bool { return c == store.Cursor{} })
	maps.Copy(to.LastFull, r.fulls)
}

func (r *modelRound) setObject(o store.Object) bool {
	o.Round, r.changed = r.number, true
	r.objects[objectKey{o.Kind, o.ID}] = o
	return true
}

func (r *modelRound) setEdge(e store.Edge) bool {
	e.Round, r.changed = r.number, true
	r.edges[edgeKey{e.Group, e.Member}] = e
	return true
}

func (r *modelRound) put(kind store.Kind, id string, properties []byte) bool {
	key := objectKey{kind, id}
	r.seen[key] = true
	if o, ok := r.objects[key]; ok && o.Removed == nil && string(o.Properties) == string(properties) {
		return false
	}
	return r.setObject(store.Object{Kind: kind, ID: id, Properties: slices.Clone(properties)})
}

func (r *modelRound) remove(kind store.Kind, id string, removal store.Removal) bool {
	o, ok := r.objects[objectKey{kind, id}]
	if !ok {
		return false
	}
	if o.Removed != nil {
		if o.Removed.Reason == removal.Reason {
			return false
		}
		removal.At = o.Removed.At
	}
	o.Removed = &removal
	return r.setObject(o)
}

func (r *modelRound) join(group, member, memberType string) bool {
	key := edgeKey{group, member}
	r.joined[key] = true
	if e, ok := r.edges[key]; ok && !e.Removed && e.Type == memberType {
		return false
	}
	return r.setEdge(store.Edge{Group: group, Member: member, Type: memberType})
}

func (r *modelRound) leave(group, member string) bool {
	e, ok := r.edges[edgeKey{group, member}]
	if !ok || e.Removed {
		return false
	}
	e.Removed = true
	return r.setEdge(e)
}

func (r *modelRound) beginFull(kind store.Kind) {
	r.reading[kind] = true
	maps.DeleteFunc(r.seen, func(key objectKey, _ bool) bool { return key.kind == kind })
	if kind == store.Group {
		clear(r.joined)
	}
}

func (r *modelRound) unseen(kind store.Kind) (objects, edges int) {
	for key, o := range r.objects {
		if key.kind == kind && o.Removed == nil && !r.seen[key] {
			objects++
		}
	}
	for key, e := range r.edges {
		if kind == store.Group && !e.Removed && !r.joined[key] && !r.hidden(e) {
			edges++
		}
	}
	return objects, edges
}

func (r *modelRound) endFull(kind store.Kind, removal store.Removal) (objects, edges int) {
	r.reading[kind], r.fulls[kind] = false, removal.At
	for key, o := range maps.Clone(r.objects) {
		if key.kind == kind && o.Removed == nil && !r.seen[key] {
			r.remove(kind, key.id, removal)
			objects++
		}
	}
	if kind != store.Group {
		return objects, 0
	}
	for key, e := range maps.Clone(r.edges) {
		if e.Removed || r.joined[key] || r.hidden(e) {
			continue
		}
		r.leave(e.Group, e.Member)
		edges++
	}
	return objects, edges
}

// hidden says whether an end of a membership is removed.
func (r *modelRound) hidden(e store.Edge) bool {
	if o, ok := r.objects[objectKey{store.Group, e.Group}]; ok && o.Removed != nil {
		return true
	}
	return slices.ContainsFunc(r.ofAnyKind(e.Member), func(o store.Object) bool { return o.Removed != nil })
}
