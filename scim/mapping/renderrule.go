package mapping

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// evaluate gives the value of a rule for the object at hand.
func (r *renderer) evaluate(c *cell) (any, error) {
	if !r.prepared {
		if err := r.plan.env.Reset(&r.subject, r.data, r.now); err != nil {
			return nil, err
		}
		r.prepared = true
	}
	return c.rule.program.Eval(&r.subject)
}

// expressed writes the value that a rule gives, if it gives one.
func (r *renderer) expressed(c *cell, to index) bool {
	v, err := r.evaluate(c)
	mark := len(r.out)
	gave := false
	if err == nil && says(v) {
		if to == byActive {
			v, err = r.activeOf(v)
		}
		if err == nil {
			gave, err = r.write(c, v, to)
		}
	}
	switch {
	case err != nil:
		r.out = r.out[:mark]
		r.problem(c, err.Error())
	case !gave && (c.required || to == byActive):
		// Without active somebody who was removed would be served as ever.
		r.problem(c, "the expression gives nothing")
	}
	return gave
}

// activeOf notes whether the user is active. Nobody who was removed is.
func (r *renderer) activeOf(v any) (any, error) {
	b, ok := v.(bool)
	if !ok {
		return nil, errType(v, "true or false")
	}
	r.active = b && !r.inactive
	return r.active, nil
}

// write writes a value that says something.
func (r *renderer) write(c *cell, v any, to index) (bool, error) {
	d := c.rule.attribute()
	if to == unindexed || to == byActive {
		var err error
		r.out, err = appendValue(r.out, d, v)
		return err == nil, err
	}
	s, err := textOf(d, v)
	if err != nil || s == "" {
		return false, err
	}
	r.out, r.fields[to] = r.keepText(r.out, s)
	return true, nil
}

// keepText appends a text as JSON and keeps it for the record.
func (r *renderer) keepText(dst []byte, s string) ([]byte, extent) {
	e := extent{start: len(r.text)}
	r.text = append(r.text, s...)
	e.end = len(r.text)
	return appendString(dst, r.text[e.start:e.end]), e
}

// fallback writes what an attribute has in place of a value that could not be
// made: its last good value; where SCIM requires one and there was none, the id.
func (r *renderer) fallback(c *cell, to index) bool {
	if r.lastGood(c, to) {
		return true
	}
	switch {
	case to == byActive:
		// Unknown is not off: nobody is signed out by a rule that fails.
		r.active = !r.inactive
		r.out = strconv.AppendBool(r.out, r.active)
		return true
	case c.required:
		r.problems[len(r.problems)-1].Reason += "; the id is served instead"
		r.out, r.fields[to] = r.appendKept(r.out, r.id)
		return true
	}
	return false
}

// lastGood writes the value that was served last, and marks the problem.
func (r *renderer) lastGood(c *cell, to index) bool {
	raw := r.previous(c.to)
	if raw == nil || to == byActive && r.wasGone {
		return false
	}
	switch to {
	case unindexed:
		r.out = append(r.out, raw...)
	case byActive:
		r.active = string(raw) == "true" && !r.inactive
		r.out = strconv.AppendBool(r.out, r.active)
	default:
		var s string
		if json.Unmarshal(raw, &s) != nil || s == "" {
			return false
		}
		r.out, r.fields[to] = r.keepText(r.out, s)
	}
	r.markKept()
	return true
}

// markKept says of the latest problem that the last good value is served.
func (r *renderer) markKept() { r.problems[len(r.problems)-1].Kept = true }

// previous gives what was served last at a path, or nil.
func (r *renderer) previous(to target) json.RawMessage {
	if len(r.last) == 0 {
		return nil
	}
	// Rare enough to be read anew each time.
	top := membersOf(append(append([]byte{'{'}, r.last...), '}'))
	if to.schema != "" {
		top = membersOf(top[to.schema])
	}
	raw := top[to.name]
	if to.label != "" {
		raw = labelledElement(raw, to.label)
	}
	if to.sub != "" {
		raw = membersOf(raw)[to.sub]
	}
	return raw
}

// membersOf gives the members of a JSON object, none of anything else.
func membersOf(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// labelledElement gives the first element of an array with a type.
func labelledElement(raw json.RawMessage, label string) json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	for _, e := range all {
		var typed struct{ Type string }
		if json.Unmarshal(e, &typed) == nil && typed.Type == label {
			return e
		}
	}
	return nil
}

// gatherRule adds the values that a rule gives.
func (r *renderer) gatherRule(a *attribute, c *cell) {
	v, err := r.evaluate(c)
	if err != nil {
		r.problem(c, err.Error())
		return
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var bad error
	for _, e := range list {
		s, err := textOf(c.rule.attribute(), e)
		switch {
		case !says(e):
		case err != nil:
			bad = err
		default:
			r.addElement(a, c, []byte(s))
		}
	}
	if bad != nil {
		r.problem(c, bad.Error())
	}
}

// gatherPrevious adds the values that were served last with the type of a cell.
func (r *renderer) gatherPrevious(a *attribute, c *cell) {
	to := c.to
	to.label, to.sub = "", ""
	var all []struct {
		Value   string
		Type    string
		Primary bool
	}
	if raw := r.previous(to); raw == nil || json.Unmarshal(raw, &all) != nil {
		return
	}
	for _, e := range all {
		if e.Type == c.to.label && e.Value != "" && (!c.to.primary || e.Primary) {
			r.addElement(a, c, []byte(e.Value))
			r.markKept()
		}
	}
}

// listed writes an attribute all of whose values one rule gives.
func (r *renderer) listed(a *attribute) {
	c := &a.cells[0]
	v, err := r.evaluate(c)
	if err == nil && !says(v) {
		return
	}
	mark, text, said := len(r.out), len(r.text), len(r.problems)
	if r.trace != nil {
		defer func() { r.note(c, r.out[min(mark+len(",")+len(a.key), len(r.out)):], len(r.out) > mark, said) }()
	}
	if err == nil {
		if err = r.writeList(a, c, v); err == nil {
			return
		}
	}
	r.out, r.text, r.emails = r.out[:mark], r.text[:text], r.emails[:0]
	r.problem(c, err.Error())
	if raw := r.previous(c.to); raw != nil {
		r.open(a.key, 0)
		r.out = append(r.out, raw...)
		r.markKept()
		r.indexEmails(a, raw)
	}
}

// indexEmails keeps the addresses of an attribute that is written as it was.
func (r *renderer) indexEmails(a *attribute, raw []byte) {
	var all []struct{ Value string }
	if a.index != byEmail || json.Unmarshal(raw, &all) != nil {
		return
	}
	for _, e := range all {
		r.keepEmail(e.Value)
	}
}

// keepEmail keeps an address for the record.
func (r *renderer) keepEmail(address string) {
	e := extent{start: len(r.text)}
	r.text = append(r.text, address...)
	e.end = len(r.text)
	r.emails = append(r.emails, e)
}

// writeList writes the values of a list. One of another type than the attribute
// takes is left out and reported; if none is left that is an error.
func (r *renderer) writeList(a *attribute, c *cell, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	d := c.rule.attribute()
	if d.kind == complexKind {
		list = oneprimary(distinct(list), a.index == byEmail)
	}
	before := len(r.out)
	r.open(a.key, '[')
	begin := len(r.out)
	var bad error
	for _, e := range list {
		if !says(e) {
			continue
		}
		mark := len(r.out)
		r.open(nil, 0)
		start := len(r.out)
		var err error
		if d.kind == complexKind {
			r.out, err = appendParts(r.out, d, e)
		} else {
			r.out, err = appendValue(r.out, d, e)
		}
		if err != nil || len(r.out) == start {
			r.out = r.out[:mark]
			if bad == nil { // one example is enough: there may be hundreds
				bad = err
			}
			continue
		}
		if address, ok := valueOf(e).(string); ok && a.index == byEmail {
			r.keepEmail(address)
		}
	}
	switch {
	case bad != nil && len(r.out) == begin:
		return fmt.Errorf("no value can be used: %w", bad)
	case len(r.out) == begin:
		r.out = r.out[:before]
		return nil
	case bad != nil:
		r.problem(c, "a value is left out: "+bad.Error())
	}
	r.out = append(r.out, ']')
	return nil
}

// valueOf gives the value of an element: of its parts, or itself.
func valueOf(e any) any {
	if parts, ok := e.(map[string]any); ok {
		return parts["value"]
	}
	return e
}

// distinct drops values that are there with the same type already, and those
// that say nothing.
func distinct(list []any) []any {
	seen := map[string]bool{}
	var kept []any
	for _, e := range list {
		parts, _ := e.(map[string]any)
		if parts != nil {
			if _, has := parts["value"]; has && !says(parts["value"]) {
				continue
			}
		}
		if v, ok := valueOf(e).(string); ok {
			k := strings.ToLower(v) + "\x00" + fmt.Sprint(parts["type"])
			if seen[k] {
				continue
			}
			seen[k] = true
		}
		if says(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// oneprimary sees to it that at most one value is primary, the first that says
// so, and that one comes first; where one is needed the first value is it.
func oneprimary(list []any, needed bool) []any {
	at := -1
	for i, e := range list {
		parts, ok := e.(map[string]any)
		switch {
		case !ok || parts["primary"] != true:
		case at < 0:
			at = i
		default:
			delete(parts, "primary")
		}
	}
	if at < 0 && needed && len(list) > 0 {
		at = 0
		parts, ok := list[0].(map[string]any)
		if !ok {
			parts = map[string]any{"value": list[0]}
			list[0] = parts
		}
		parts["primary"] = true
	}
	if at > 0 {
		e := list[at]
		copy(list[1:at+1], list[:at])
		list[0] = e
	}
	return list
}
