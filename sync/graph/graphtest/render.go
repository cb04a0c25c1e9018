package graphtest

import (
	"slices"
	"strings"
)

// writer renders JSON bodies. It is used under the tenant's read lock.
type writer struct {
	t      *Tenant
	buf    []byte
	fields []field // scratch
	first  bool    // no element of the value array yet
}

func (w *writer) text(s string) { w.buf = append(w.buf, s...) }

func (w *writer) quoted(s string) { w.buf = appendString(w.buf, s) }

// element begins an element of the value array.
func (w *writer) element() {
	if !w.first {
		w.buf = append(w.buf, ',')
	}
	w.first = false
}

// item renders one entry of a delta page.
func (w *writer) item(r *round, it item, hideMembers func(*object) bool) {
	w.element()
	if it.part == ghostPart {
		w.removed(r.ghosts[it.obj], "deleted")
		return
	}
	o := w.t.objects[it.obj]
	if o.state != live {
		w.removed(o.id, o.state.reason())
		return
	}
	w.text(`{`)
	w.properties(r, it, o)
	w.text(`"id":`)
	w.quoted(o.id)
	if r.sel.links && o.kind == kindUser {
		w.manager(r, it.obj, o)
	}
	if r.sel.links && o.group != nil && !hideMembers(o) {
		w.members(r, it)
	}
	w.text(`}`)
}

func (w *writer) removed(id, reason string) {
	w.text(`{"id":`)
	w.quoted(id)
	w.text(`,"@removed":{"reason":"` + reason + `"}}`)
}

// properties renders the selected properties that were ever set (with
// return=minimal: those that changed), in an order that differs from object
// to object. Further parts of a group carry them or not, by the group.
func (w *writer) properties(r *round, it item, o *object) {
	if it.part > 0 && it.obj%2 == 0 && !w.t.opts.Calm {
		return
	}
	c := w.t.cats[o.kind]
	w.fields = w.t.pack.unpack(w.fields[:0], o.data, r.sel)
	if n := r.news[it.obj]; r.minimal && n != nil && !n.whole {
		w.fields = slices.DeleteFunc(w.fields, func(f field) bool { return !n.props[f.name] })
	}
	turn := 0
	if len(w.fields) > 0 {
		turn = int(it.obj) % len(w.fields)
	}
	for i := range w.fields {
		f := w.fields[(i+turn)%len(w.fields)]
		w.property(c.names[f.name], f.value)
	}
}

// property renders one member of an object, with the comma after it.
func (w *writer) property(name string, value []byte) {
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
	w.buf = append(w.buf, value...)
	w.buf = append(w.buf, ',')
}

// manager renders manager@delta: the manager in a first round, else the
// change.
func (w *writer) manager(r *round, n uint32, o *object) {
	var entries []linkChange
	if what := r.news[n]; what != nil && !what.whole {
		if !what.moved {
			return
		}
		// All of them, not only the one at the round's beginning: a round that
		// repeats older changes begins before the client's last one.
		for _, before := range what.before {
			if before != o.manager {
				entries = append(entries, linkChange{before - 1, true})
			}
		}
	}
	if o.manager != 0 {
		entries = append(entries, linkChange{o.manager - 1, false})
	}
	w.links("manager@delta", entries)
}

// members renders the members@delta of one part.
func (w *writer) members(r *round, it item) {
	size := w.t.opts.MembersPerPart
	begin := int(it.part) * size
	if r.full {
		all := r.members[it.obj]
		entries := make([]linkChange, 0, size)
		for _, m := range all[min(begin, len(all)):min(begin+size, len(all))] {
			entries = append(entries, linkChange{member: m})
		}
		w.links("members@delta", entries)
		return
	}
	all := r.entries[it.obj]
	w.links("members@delta", all[min(begin, len(all)):min(begin+size, len(all))])
}

// links renders a relationship; one without entries is absent.
func (w *writer) links(name string, entries []linkChange) {
	if len(entries) == 0 {
		return
	}
	w.text(`,"` + name + `":[`)
	for i, e := range entries {
		if i > 0 {
			w.text(`,`)
		}
		o := w.t.objects[e.member]
		w.link(typeNames[o.kind], o.id, e.gone)
	}
	w.text(`]`)
}

func (w *writer) link(typ, id string, gone bool) {
	w.text(`{"@odata.type":"#microsoft.graph.`)
	w.text(typ)
	w.text(`","id":`)
	w.quoted(id)
	if gone {
		w.text(`,"@removed":{"reason":"deleted"}`)
	}
	w.text(`}`)
}

// whole renders an object as plain GETs do: every selected property is there,
// null or [] where it has no value. typed adds @odata.type.
func (w *writer) whole(o *object, sel *selection, typed bool) {
	c := w.t.cats[o.kind]
	w.text(`{`)
	if typed {
		w.text(`"@odata.type":"#microsoft.graph.` + c.typ + `",`)
	}
	w.text(`"id":`)
	w.quoted(o.id)
	values := make([][]byte, len(c.names))
	w.fields = w.t.pack.unpack(w.fields[:0], o.data, sel)
	for _, f := range w.fields {
		values[f.name] = f.value
	}
	for i, name := range c.names {
		if !sel.has(uint16(i)) {
			continue
		}
		w.text(`,"` + name + `":`)
		switch {
		case values[i] != nil && !(c.flags[i]&collectionValued != 0 && string(values[i]) == "null"):
			w.buf = append(w.buf, values[i]...)
		case c.flags[i]&collectionValued != 0:
			w.text(`[]`)
		default:
			w.text(`null`)
		}
	}
	w.text(`}`)
}

// context is the @odata.context of a collection.
func odataContext(base, set string, sel *selection) string {
	url := base + "/v1.0/$metadata#" + set
	if sel == nil || len(sel.names) == 0 {
		return url
	}
	values := slices.DeleteFunc(slices.Clone(sel.names), func(n string) bool { return n == "members" || n == "manager" || n == "owners" })
	if len(values) == 0 {
		return url
	}
	return url + "(" + strings.Join(values, ",") + ")"
}
