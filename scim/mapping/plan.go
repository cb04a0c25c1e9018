package mapping

import (
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"
)

// A plan is the rows of one resource type, compiled: what to look for in an
// object, and what to write in which order.
type plan struct {
	typ      directory.Type
	env      *expr.Env // of the rules
	rules    []*compiledRule
	wants    members
	slots    int // length of the table of spans that wants fills
	id       int // slot
	manager  int // slot of the manager's id; -1: nothing goes by it
	created  *cell
	sections []section // the core schema, then the extensions
}

// A section is the attributes of one schema. Its key is empty for the core
// schema, of which the attributes stand at the top of the resource.
type section struct {
	urn        []byte // as a JSON string
	key        []byte
	attributes []attribute
}

// A form is how the cells of an attribute make up its value.
type form uint8

// The forms.
const (
	simple    form = iota // one value, or an array of strings
	composite             // an object with a sub-attribute for each cell
	valued                // an array of objects with value and type, an object for each value
	labelled              // an array of an object for each type, with a sub-attribute for each cell
	listed                // an array of what one rule gives
)

// An attribute is a top-level attribute of a schema.
type attribute struct {
	key     []byte // `"name":`
	form    form
	index   index
	primary bool // one of the values is to be marked as primary
	cells   []cell
}

// An index says which field of the record takes the attribute's value.
type index uint8

// The fields.
const (
	unindexed index = iota
	byID
	byUserName
	byDisplayName
	byExternalID
	byEmail
	byActive
)

// indexed gives the index of the core attributes that have one.
func indexed(name string) index {
	switch name {
	case "userName":
		return byUserName
	case "displayName":
		return byDisplayName
	case "externalId":
		return byExternalID
	case "emails":
		return byEmail
	case "active":
		return byActive
	}
	return unindexed
}

// A cell is a row, compiled.
type cell struct {
	slot      int
	transform Transform
	again     bool // has the path of the cell before it, and steps in for it
	optional  bool // has no value to fall back on, and none where its property has none
	required  bool // must have a value: the id where there is no other
	primary   bool
	key       []byte // of the sub-attribute; empty in an attribute without
	label     []byte // the element's type as a JSON string, where it has one
	row       *Row
	to        target
	rule      *compiledRule // of an expression
}

// A target is a SCIM attribute path taken apart.
type target struct {
	schema  string // "" is core
	name    string
	label   string // of a filter on type
	primary bool   // the filter asks for it
	sub     string
}

// parseTarget takes apart the paths that a mapping can have:
// [urn:]name[[type eq "…"[ and primary eq true]]][.sub].
func parseTarget(path string) (target, error) {
	var t target
	head, tail, filtered := strings.Cut(path, "[")
	if filtered {
		filter, sub, closed := strings.Cut(tail, "]")
		if !closed || !t.setFilter(filter) || (sub != "" && !strings.HasPrefix(sub, ".")) {
			return t, fmt.Errorf("path %q: not a path of the form name[type eq \"…\"].sub", path)
		}
		t.sub = strings.TrimPrefix(sub, ".")
	}
	if i := strings.LastIndexByte(head, ':'); i >= 0 {
		t.schema, head = head[:i], head[i+1:]
	}
	name, sub, dotted := strings.Cut(head, ".")
	if name == "" || (dotted && (sub == "" || filtered)) {
		return t, fmt.Errorf("path %q: not a path of the form name.sub", path)
	}
	t.name = name
	if dotted {
		t.sub = sub
	}
	return t, nil
}

// setFilter takes what stands between the brackets.
func (t *target) setFilter(filter string) bool {
	filter, t.primary = strings.CutSuffix(filter, ` and primary eq true`)
	label, ok := strings.CutPrefix(filter, `type eq "`)
	if !ok {
		return false
	}
	t.label, ok = strings.CutSuffix(label, `"`)
	return ok && t.label != ""
}

// compile makes the plan of a table.
func compile(t directory.Type, rows []Row) (*plan, error) {
	p := &plan{typ: t, manager: -1}
	p.id = p.want("id")
	for i, row := range rows {
		to, err := parseTarget(row.Path)
		if err != nil {
			return nil, err
		}
		c := cell{
			transform: row.Transform,
			again:     i > 0 && rows[i-1].Path == row.Path,
			optional:  row.Transform != OrTrue && row.Transform != OrID && row.Transform != Expression,
			required:  required(t, row.Path) && (i+1 == len(rows) || rows[i+1].Path != row.Path),
			row:       &rows[i],
			to:        to,
			rule:      row.rule,
		}
		if row.Transform != Expression {
			c.slot = p.want(row.Property)
		} else {
			p.rules = append(p.rules, row.rule)
		}
		switch {
		case row.Path == "id":
		case row.Transform == Created:
			p.created = &c
		default:
			p.place(to, c)
		}
	}
	if p.readsManager() {
		p.manager = p.want("manager.id")
	}
	if p.created == nil {
		return nil, fmt.Errorf("no row for meta.created of a %v", t)
	}
	return p, nil
}

// readsManager says whether any row goes by who a user's manager is.
func (p *plan) readsManager() bool {
	return p.typ == directory.User && (slices.Contains(p.wants.names, "manager") || slices.ContainsFunc(p.rules, func(rule *compiledRule) bool {
		return slices.Contains(rule.program.Properties(), "manager") || rule.made != nil && slices.Contains(rule.made.Properties(), "manager")
	}))
}

// required says whether SCIM wants every resource to have an attribute.
func required(t directory.Type, path string) bool {
	return path == "userName" && t == directory.User || path == "displayName" && t == directory.Group
}

// want gives the slot of a property.
func (p *plan) want(property string) int {
	slot := p.wants.add(property, p.slots)
	p.slots = max(p.slots, slot+1)
	return slot
}

// place puts a cell into the attribute that it belongs to.
func (p *plan) place(to target, c cell) {
	if to.label != "" {
		c.label = quoted(to.label)
	}
	if to.sub != "" {
		c.key = key(to.sub)
	}
	c.primary = to.primary
	s := p.section(to.schema)
	a := s.attribute(to)
	if c.rule != nil && c.rule.listed() {
		a.form = listed
	}
	a.primary = a.primary || to.primary || a.index == byEmail && a.form == valued
	a.cells = append(a.cells, c)
}

// section finds or adds the section of a schema.
func (p *plan) section(urn string) *section {
	var k []byte
	if urn != "" {
		k = key(urn)
	} else if urn = UserSchema; p.typ == directory.Group {
		urn = GroupSchema
	}
	name := quoted(urn)
	for i := range p.sections {
		if string(p.sections[i].urn) == string(name) {
			return &p.sections[i]
		}
	}
	p.sections = append(p.sections, section{urn: name, key: k})
	return &p.sections[len(p.sections)-1]
}

// attribute finds or adds the attribute that a target is part of.
func (s *section) attribute(to target) *attribute {
	a := attribute{key: key(to.name)}
	if s.key == nil {
		a.index = indexed(to.name)
	}
	switch {
	case to.label != "" && to.sub == "value":
		a.form = valued
	case to.label != "":
		a.form = labelled
	case to.sub != "":
		a.form = composite
	}
	for i := range s.attributes {
		if string(s.attributes[i].key) == string(a.key) {
			return &s.attributes[i]
		}
	}
	s.attributes = append(s.attributes, a)
	return &s.attributes[len(s.attributes)-1]
}

// quoted gives text as a JSON string.
func quoted(text string) []byte { return appendString(nil, []byte(text)) }

// key gives the name of a member with its colon.
func key(name string) []byte { return append(quoted(name), ':') }
