package mapping

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"scimbridge/scim/directory"
)

// A Provenance says where a value comes from.
type Provenance struct {
	// Path is the SCIM attribute path, as in the row.
	Path string
	// Value is the JSON of the value, or of the part of it that the row gives;
	// nil where the row gave none.
	Value json.RawMessage
	// Row is the row of the mapping that gave it: its Origin is "" for the
	// default mapping, "preset NAME", or the place of the rule in the file.
	Row Row
	// Made says that a preset made the value up from others, since Entra has
	// none.
	Made bool
	// Kept says that it is the value that was served last, since the row could
	// not give one.
	Kept bool
	// Problem says why the row could not give its own value; "" where it did.
	Problem string
}

// Explain maps an object like [Mapper.Map] and says which row gave which value,
// in the order in which they are served. Rows that gave nothing are left out,
// unless for a problem. What the directory adds (groups, members, meta) is not
// among them.
func (m *Mapper) Explain(t directory.Type, in Input) ([]Provenance, directory.Record, error) {
	r := &renderer{base: m.base, trace: &[]Provenance{}}
	p := m.users
	if t == directory.Group {
		p = m.groups
	}
	r.reset(p, in)
	if err := r.run(p); err != nil {
		return nil, directory.Record{}, err
	}
	rec := r.record(p)
	id := Provenance{Path: "id", Value: json.RawMessage(quoted(rec.ID)), Row: m.row(t, "id")}
	return append([]Provenance{id}, *r.trace...), rec, nil
}

// row gives the first row of a path.
func (m *Mapper) row(t directory.Type, path string) Row {
	for _, row := range m.rows {
		if row.Type == t && row.Path == path {
			return row
		}
	}
	return Row{}
}

// note keeps where a value comes from.
func (r *renderer) note(c *cell, value []byte, gave bool, said int) {
	p := Provenance{Path: c.row.Path, Row: *c.row}
	p.Row.rule = nil
	if gave {
		p.Value = bytes.Clone(value)
	}
	p.Problem, p.Kept = r.problemsSince(said)
	if !gave && p.Problem == "" {
		return
	}
	p.Made = gave && !p.Kept && r.made(c)
	*r.trace = append(*r.trace, p)
}

// noteElements keeps where values of an attribute of several come from.
func (r *renderer) noteElements(c *cell, elements []element, said int) {
	for _, e := range elements {
		r.note(c, quoted(string(r.text[e.text.start:e.text.end])), true, said)
	}
	if len(elements) == 0 {
		r.note(c, nil, false, said)
	}
}

// noteTakeover says of a value that was noted for a row of ours that it is the
// configuration's rule that gives it.
func (r *renderer) noteTakeover(c *cell, value []byte) {
	if r.trace == nil {
		return
	}
	for i := len(*r.trace) - 1; i >= 0; i-- {
		p := &(*r.trace)[i]
		to, err := parseTarget(p.Path)
		if err == nil && to.schema == c.to.schema && to.name == c.to.name && bytes.Equal(p.Value, value) {
			p.Path, p.Row, p.Made = c.row.Path, *c.row, false
			p.Row.rule = nil
			return
		}
	}
}

// problemsSince gives the latest problems in one line.
func (r *renderer) problemsSince(said int) (text string, kept bool) {
	var lines []string
	for _, p := range r.problems[said:] {
		lines = append(lines, p.Reason)
		kept = kept || p.Kept
	}
	return strings.Join(lines, "; "), kept
}

// MakesUp says whether the mapping makes values of users up where Entra has none,
// as presets do.
func (m *Mapper) MakesUp() bool {
	return slices.ContainsFunc(m.users.rules, func(r *compiledRule) bool { return r.made != nil })
}

// made says whether a preset's rule made its value up.
func (r *renderer) made(c *cell) bool {
	if c.rule == nil || c.rule.made == nil || !r.prepared {
		return false
	}
	made, err := c.rule.made.Bool(&r.subject)
	return err == nil && made
}
