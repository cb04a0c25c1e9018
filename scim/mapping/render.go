package mapping

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"
)

// A renderer makes one record. Its buffers are kept for the next.
type renderer struct {
	base     []byte // SCIM base URL, without the quotes of its JSON string
	plan     *plan
	inactive bool
	wasGone  bool      // last is of one who was removed
	hide     bool      // the manager is not named
	last     []byte    // the body that was served last; empty: none
	now      time.Time // what rules take for today
	into     []byte    // memory for the record's body

	subject  expr.Object // the object, for rules
	prepared bool        // it is that of data
	trace    *[]Provenance

	data  scanner // the object's JSON
	spans []span
	id    span

	out      []byte    // the attributes from id on
	schemas  []byte    // of the sections in use
	text     []byte    // the texts that the record keeps
	scratch  []byte    // a text that it doesn't
	elements []element // of the attribute being written

	fields   [byEmail]extent // of text, by index: those before byEmail
	manager  extent
	emails   []extent
	active   bool
	problems []Problem
}

// An extent is a part of renderer.text.
type extent struct{ start, end int }

// reset makes the renderer ready for an object.
func (r *renderer) reset(p *plan, in Input) {
	r.plan, r.data, r.inactive, r.last, r.wasGone, r.now = p, in.Object, in.Inactive, in.Previous, in.WasGone, in.Now
	r.into = in.Into
	r.active, r.problems, r.prepared = true, nil, false
	r.hide, r.manager = in.HideManager, extent{}
	if len(r.spans) < p.slots {
		r.spans = make([]span, p.slots)
	}
	clear(r.spans)
	r.out, r.schemas, r.text = r.out[:0], r.schemas[:0], r.text[:0]
	r.fields, r.emails = [byEmail]extent{}, r.emails[:0]
}

// run reads the object and writes its attributes.
func (r *renderer) run(p *plan) error {
	if err := r.find(p); err != nil {
		return err
	}
	if err := r.takeManager(p); err != nil {
		return err
	}
	if r.id = r.spans[p.id]; !r.id.kind.isText() {
		return errors.New("object has no id")
	}
	r.out = append(r.out, `"id":`...)
	r.out, r.fields[byID] = r.appendKept(r.out, r.id)
	for i := range p.sections {
		r.section(&p.sections[i])
	}
	return nil
}

// find notes where in the object the wanted properties are.
func (r *renderer) find(p *plan) error {
	end := p.wants.find(r.data, r.data.space(0), 0, r.spans)
	if end >= 0 {
		if end = r.data.space(end); end < len(r.data) {
			end = ^end
		}
	}
	if end < 0 {
		return fmt.Errorf("object is not a JSON object: fault at byte %d of %d", ^end, len(r.data))
	}
	return nil
}

// takeManager keeps the manager's id, and where he is not to be named goes on with
// an object that has none.
func (r *renderer) takeManager(p *plan) error {
	if p.manager < 0 {
		return nil
	}
	id := r.spans[p.manager]
	if !id.kind.isText() || id.orphan {
		return nil
	}
	start := len(r.text)
	r.text = append(r.text, r.decode(id)...)
	r.manager = extent{start, len(r.text)}
	if !r.hide {
		return nil
	}
	var whole [1]span
	wholeManager.find(r.data, r.data.space(0), 0, whole[:])
	r.data = slices.Concat(r.data[:whole[0].start], scanner("null"), r.data[whole[0].end:])
	clear(r.spans)
	return r.find(p)
}

// wholeManager finds the property itself.
var wholeManager = members{names: []string{"manager"}, slots: []int{0}, inner: []*members{nil}}

// record copies what was written into a record.
func (r *renderer) record(p *plan) directory.Record {
	text := string(r.text)
	field := func(i index) string { return text[r.fields[i].start:r.fields[i].end] }
	rec := directory.Record{
		Type:        p.typ,
		ID:          field(byID),
		Body:        slices.Grow(r.into[:0], len(`"schemas":[],`)+len(r.schemas)+len(r.out)),
		Active:      r.active,
		UserName:    field(byUserName),
		DisplayName: field(byDisplayName),
		ExternalID:  field(byExternalID),
		Manager:     text[r.manager.start:r.manager.end],
		Created:     r.created(p.created),
	}
	rec.HidesManager = r.hide && rec.Manager != ""
	rec.Body = append(append(append(rec.Body, `"schemas":[`...), r.schemas...), `],`...)
	rec.Body = append(rec.Body, r.out...)
	if len(r.emails) > 0 {
		rec.Emails = make([]string, len(r.emails))
		for i, e := range r.emails {
			rec.Emails[i] = text[e.start:e.end]
		}
	}
	return rec
}

// created gives the time at which the source made the object, or zero.
func (r *renderer) created(c *cell) time.Time {
	t, ok := r.dateTime(c)
	if !ok {
		return time.Time{}
	}
	return t.UTC()
}

// section writes the attributes of a schema, and notes the schema as used
// where there are any; the core schema always is.
func (r *renderer) section(s *section) {
	mark := len(r.out)
	if s.key != nil {
		r.open(s.key, '{')
	}
	begin := len(r.out)
	for i := range s.attributes {
		r.attribute(&s.attributes[i])
	}
	if s.key != nil {
		if len(r.out) == begin {
			r.out = r.out[:mark]
			return
		}
		r.out = append(r.out, '}')
	}
	if len(r.schemas) > 0 {
		r.schemas = append(r.schemas, ',')
	}
	r.schemas = append(r.schemas, s.urn...)
}

// attribute writes an attribute, or nothing where it has no value.
func (r *renderer) attribute(a *attribute) {
	switch a.form {
	case simple:
		r.members(a.cells, a.key, a.index)
	case composite:
		r.object(a)
	case valued:
		r.valued(a)
	case labelled:
		r.labelled(a)
	case listed:
		r.listed(a)
	}
}

// object writes an attribute with sub-attributes.
func (r *renderer) object(a *attribute) {
	mark := len(r.out)
	r.open(a.key, '{')
	if !r.members(a.cells, nil, unindexed) {
		r.out = r.out[:mark]
		return
	}
	r.out = append(r.out, '}')
}

// labelled writes an attribute of one element for each type, with
// sub-attributes. The cells of a type follow each other.
func (r *renderer) labelled(a *attribute) {
	before := len(r.out)
	r.open(a.key, '[')
	begin := len(r.out)
	for rest := a.cells; len(rest) > 0; {
		n := 1
		for n < len(rest) && string(rest[n].label) == string(rest[0].label) {
			n++
		}
		mark := len(r.out)
		r.open(nil, '{')
		if r.members(rest[:n], nil, unindexed) {
			r.out = append(append(append(r.out, `,"type":`...), rest[0].label...), '}')
		} else {
			r.out = r.out[:mark]
		}
		rest = rest[n:]
	}
	if len(r.out) == begin {
		r.out = r.out[:before]
		return
	}
	r.out = append(r.out, ']')
}

// members writes a member for each cell that has a value, under the given key
// or its own, and says whether there were any.
func (r *renderer) members(cells []cell, name []byte, to index) bool {
	wrote, gave := false, false
	for i := range cells {
		c := &cells[i]
		if c.again && gave {
			continue
		}
		if c.optional && r.spans[c.slot].kind == none {
			gave = false
			continue
		}
		mark := len(r.out)
		if name != nil {
			r.open(name, 0)
		} else {
			r.open(c.key, 0)
		}
		said, begin := len(r.problems), len(r.out)
		if gave = r.value(c, to); !gave && len(r.problems) > said {
			gave = r.fallback(c, to)
		}
		if r.trace != nil {
			r.note(c, r.out[begin:], gave, said)
		}
		if !gave {
			r.out = r.out[:mark]
		}
		wrote = wrote || gave
	}
	return wrote
}

// open writes the comma before a member or an element if it needs one, its key
// and, unless it is 0, the bracket that its value starts with.
func (r *renderer) open(key []byte, bracket byte) {
	if last := r.out[len(r.out)-1]; last != '{' && last != '[' {
		r.out = append(r.out, ',')
	}
	r.out = append(r.out, key...)
	if bracket != 0 {
		r.out = append(r.out, bracket)
	}
}

// value writes the value that a cell gives, if it gives one.
func (r *renderer) value(c *cell, to index) bool {
	v := r.spans[c.slot]
	switch c.transform {
	case Expression:
		return r.expressed(c, to)
	case OrTrue:
		said := len(r.problems)
		k := r.boolean(c, v)
		if len(r.problems) > said {
			return false
		}
		r.active = k != falseKind && !r.inactive
		r.out = strconv.AppendBool(r.out, r.active)
		return true
	case OrID:
		if !v.kind.isText() || v.orphan {
			r.problem(c, fmt.Sprintf("%s is %v", c.row.Property, v.kind))
			return false
		}
		r.out, r.fields[to] = r.appendKept(r.out, v)
		return true
	}
	if v.kind == none {
		return false
	}
	switch c.transform {
	case Boolean:
		k := r.boolean(c, v)
		r.out = append(r.out, literal(k)...)
		return k != none
	case DateTime:
		_, ok := r.dateTime(c)
		if ok {
			r.out = r.appendJSON(r.out, v)
		}
		return ok
	case Each:
		return r.strings(c, v)
	case Reference:
		return r.isText(c, v) && r.reference(v)
	}
	if !r.isText(c, v) {
		return false
	}
	if to != unindexed {
		r.out, r.fields[to] = r.appendKept(r.out, v)
	} else {
		r.out = r.appendJSON(r.out, v)
	}
	return true
}

// literal gives the JSON of a boolean.
func literal(k kind) string {
	switch k {
	case trueKind:
		return "true"
	case falseKind:
		return "false"
	}
	return ""
}

// isText says whether a value is a string, and reports it where it is not.
func (r *renderer) isText(c *cell, v span) bool {
	if v.kind.isText() && !v.orphan {
		return true
	}
	if v.kind != none {
		r.mismatch(c, v, "a string")
	}
	return false
}

// boolean gives the kind of a boolean value, or none.
func (r *renderer) boolean(c *cell, v span) kind {
	switch {
	case v.kind == none:
	case v.orphan || (v.kind != trueKind && v.kind != falseKind):
		r.mismatch(c, v, "a boolean")
	default:
		return v.kind
	}
	return none
}

// dateTime gives the point in time that a cell names. RFC 7643 §2.3.5 wants
// the form of XML Schema, of which RFC 3339's is the part that Graph uses.
func (r *renderer) dateTime(c *cell) (time.Time, bool) {
	v := r.spans[c.slot]
	var t time.Time
	if !r.isText(c, v) {
		return t, false
	}
	if text := r.decode(v); t.UnmarshalText(text) != nil || !strictDateTime(text) {
		r.problem(c, c.row.Property+" is not a date and time in the form of RFC 3339")
		return time.Time{}, false
	}
	return t, true
}

// strictDateTime refuses what package time takes beyond RFC 3339 (go.dev/issue/54580):
// an hour of one digit, a comma before the fraction, an offset out of range.
func strictDateTime(text []byte) bool {
	const hour, seconds, zone = len("2006-01-02T15"), len("2006-01-02T15:04:05"), len("+07:00")
	if text[hour] != ':' || text[seconds] == ',' {
		return false
	}
	offset := string(text[len(text)-zone:])
	return text[len(text)-1] == 'Z' || (offset[1:3] < "24" && offset[4:] < "60")
}

// reference writes the URL of the user with the given id.
func (r *renderer) reference(v span) bool {
	id := r.decode(v)
	if slices.ContainsFunc(id, func(c byte) bool { return !isLetterOrDigit(c) && c != '-' }) {
		id = []byte(url.PathEscape(string(id)))
	}
	r.out = append(append(append(r.out, '"'), r.base...), "/Users/"...)
	r.out = append(append(r.out, id...), '"')
	return true
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// strings writes the array of the strings in an array.
func (r *renderer) strings(c *cell, v span) bool {
	r.out = append(r.out, '[')
	begin := len(r.out)
	r.each(c, v, func(e span) {
		r.open(nil, 0)
		r.out = r.appendJSON(r.out, e)
	})
	r.out = append(r.out, ']')
	return len(r.out) > begin+1
}

// each calls f for the strings of an array.
func (r *renderer) each(c *cell, v span, f func(span)) {
	if v.kind == none {
		return
	}
	if v.kind != arrayKind || v.orphan {
		r.mismatch(c, v, "an array")
		return
	}
	reported := false
	for i, more := r.data.space(v.start+1), true; more; i, more = r.data.next(i, ']') {
		var e span
		e, i = r.data.value(i, 0)
		switch {
		case e.kind.isText():
			f(e)
		case e.kind != none && !reported:
			reported = true
			r.problem(c, fmt.Sprintf("an element of %s is %v, not a string", c.row.Property, e.kind))
		}
	}
}

// appendJSON appends a string of the object in the form in which we write it.
func (r *renderer) appendJSON(dst []byte, v span) []byte {
	if v.kind == plainKind {
		return append(dst, r.data[v.start:v.end]...)
	}
	return appendString(dst, r.decode(v))
}

// appendKept does the same, and keeps the text for the record.
func (r *renderer) appendKept(dst []byte, v span) ([]byte, extent) {
	e := extent{start: len(r.text)}
	r.text = append(r.text, r.decode(v)...)
	e.end = len(r.text)
	return r.appendJSON(dst, v), e
}

// decode gives the text of a string. It is good until the next call.
func (r *renderer) decode(v span) []byte {
	if v.kind == plainKind {
		return r.data[v.start+1 : v.end-1]
	}
	r.scratch = appendText(r.scratch[:0], r.data[v.start:v.end])
	return r.scratch
}

// mismatch reports a value that is of another kind than the row takes.
func (r *renderer) mismatch(c *cell, v span, want string) {
	what := c.row.Property
	if v.orphan {
		what, want = what[:strings.LastIndexByte(what, '.')], "an object"
	}
	r.problem(c, fmt.Sprintf("%s is %v, not %s", what, v.kind, want))
}

// problem reports a row that gave no value though its property has one.
func (r *renderer) problem(c *cell, reason string) {
	r.problems = append(r.problems, Problem{Path: c.row.Path, Reason: reason})
}
