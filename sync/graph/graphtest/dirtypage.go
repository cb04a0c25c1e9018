package graphtest

import (
	"bytes"
	"strings"
)

// disturbPage renders the items of a page with the data faults that struck. It
// reports false, having written nothing, when none did.
func disturbPage(w *writer, r *round, items []item, faults []Fault, hide func(*object) bool) bool {
	struck := map[FaultKind]bool{}
	for _, f := range faults {
		if f.Kind >= FaultEmpty {
			struck[f.Kind] = true
		}
	}
	if len(struck) == 0 {
		return false
	}
	first := true
	for _, it := range items {
		begin := len(w.buf)
		w.item(r, it, hide)
		if !first || it.part == ghostPart || w.t.objects[it.obj].state != live {
			continue
		}
		first = false
		text := string(bytes.TrimPrefix(w.buf[begin:], []byte(",")))
		w.buf = w.buf[:begin]
		w.first = begin > 0 && w.buf[begin-1] == '['
		w.disturbed(text, w.t.objects[it.obj], struck)
	}
	if struck[FaultBrokenObject] {
		for _, text := range []string{`{"displayName":"no id"}`, `{"id":42,"displayName":"a number"}`, `"no object"`} {
			w.element()
			w.text(text)
		}
	}
	return true
}

// disturbed writes one object with companions.
func (w *writer) disturbed(text string, o *object, struck map[FaultKind]bool) {
	if struck[FaultStaleDuplicate] {
		w.element()
		w.text(`{"displayName":"An older name","id":`)
		w.quoted(o.id)
		w.text(`}`)
	}
	w.element()
	switch {
	case struck[FaultDanglingMember]:
		w.text(withMembers(text, `{"@odata.type":"#microsoft.graph.user","id":"`+danglingID+`"}`))
	case struck[FaultRemovedAndAdded] && o.group != nil && len(o.group.members) > 0:
		m := w.t.objects[o.group.members[0]]
		pair := &writer{t: w.t}
		pair.link(typeNames[m.kind], m.id, true)
		pair.text(`,`)
		pair.link(typeNames[m.kind], m.id, false)
		w.text(withMembers(text, string(pair.buf)))
	default:
		w.text(text)
	}
	if struck[FaultCaseTwin] {
		w.element()
		w.text(strings.Replace(text, o.id, strings.ToUpper(o.id), 1))
	}
}

// danglingID is the member of [FaultDanglingMember].
const danglingID = "dead0000-0000-4000-8000-00000000beef"

// withMembers adds entries at the end of an object's members@delta.
func withMembers(text, entries string) string {
	body := strings.TrimSuffix(text, "}")
	if strings.HasSuffix(body, "]") && strings.Contains(body, `"members@delta":[`) {
		return strings.TrimSuffix(body, "]") + "," + entries + "]}"
	}
	return body + `,"members@delta":[` + entries + `]}`
}
