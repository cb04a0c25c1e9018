package scim

import (
	"iter"
	"slices"
	"strings"

	"scimbridge/scim/directory"
)

// A projection says which attributes of resources are returned (RFC 7644
// §3.4.2.5 and §3.9, the returned characteristic of RFC 7643 §7). A nil
// projection returns resources as they are. It may be used from many
// goroutines.
//
// Where the standard leaves room: an attribute that is left with no
// sub-attribute is left out, and so is an element of a multi-valued one; a
// sub-attribute that is returned always is so where its parent is; schemas
// names the schemas of what is returned.
type projection struct {
	text  string
	types [directory.NumTypes]*selection // nil for types not queried
}

// A selection says what is returned of a complex value, or of the resource. Of
// a value that is returned as it is there is none: see whole.
type selection struct {
	parts map[string]*selection // name as rendered -> what is returned of it; nil for nothing
	rest  bool                  // names that are in no schema are returned

	extensions map[string]bool // of a resource: URNs of extensions not returned whole
}

// whole is the selection of a value that is returned as it is.
var whole = &selection{rest: true}

// compileProjection compiles the parameters attributes and excludedAttributes
// for a query over the given types. Names of no attribute are passed over. To
// give both is invalidValue (RFC 7644 §3.9). The projection is nil where it
// would change nothing.
func (a *attributes) compileProjection(types []directory.Type, attributes, excluded []string) (*projection, *scimError) {
	attributes, excluded = names(attributes), names(excluded)
	if len(attributes) > 0 && len(excluded) > 0 {
		return nil, invalidValue("attributes and excludedAttributes cannot both be given")
	}
	p := new(projection)
	var paths []string
	changes := false
	for _, t := range types {
		ta := a.types[t]
		s := selector{only: len(attributes) > 0, named: make(map[*attribute]bool)}
		for _, name := range slices.Concat(attributes, excluded) {
			for _, attr := range ta.projected(name, s.only) {
				s.named[attr] = true
				paths = append(paths, strings.ToLower(attr.path()))
			}
		}
		p.types[t] = s.resource(ta)
		changes = changes || p.types[t] != whole
	}
	if !changes {
		return nil, nil
	}
	slices.Sort(paths)
	p.text = strings.Join(slices.Compact(paths), ",")
	if len(attributes) > 0 {
		p.text = "only " + p.text
	} else {
		p.text = "without " + p.text
	}
	return p, nil
}

// names cuts lists at commas, as they stand in a query string, and drops what
// is empty.
func names(lists []string) []string {
	var all []string
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				all = append(all, name)
			}
		}
	}
	return all
}

// projected gives the attributes that a name in a projection stands for: none
// where it is unknown, all of the core schema for its URN. Where extensions
// share a name it stands for all of them if attributes are asked for, since
// more does no harm, and for none if they are to be left out.
func (ta *typeAttributes) projected(name string, only bool) []*attribute {
	if sameName(name, ta.core) {
		var all []*attribute
		for _, attr := range ta.top {
			if attr.schema == ta.core || attr.schema == "" { // common ones are part of it (RFC 7643 §3.1)
				all = append(all, attr)
			}
		}
		return all
	}
	found, _ := ta.findAll(name)
	if len(found) > 1 && !only {
		return nil
	}
	return found
}

// A selector works out the selections of a projection.
type selector struct {
	only  bool // named attributes are the only ones returned; else those left out
	named map[*attribute]bool
}

// resource gives the selection for the resources of a type.
func (s *selector) resource(ta *typeAttributes) *selection {
	sel := s.group(ta.top, false)
	if sel == whole {
		return whole
	}
	sel.extensions = make(map[string]bool)
	for _, ext := range ta.extensions {
		if sel.parts[ext.name] != whole {
			sel.extensions[ext.name] = true
		}
	}
	return sel
}

// group gives the selection for attributes that stand side by side. implied
// says that what they stand in is named.
func (s *selector) group(attrs []*attribute, implied bool) *selection {
	sel := &selection{parts: make(map[string]*selection, len(attrs)), rest: !s.only || implied}
	all := sel.rest
	for _, attr := range attrs {
		part := s.attribute(attr, implied)
		sel.parts[attr.name] = part
		all = all && part == whole
	}
	if all {
		return whole
	}
	return sel
}

// attribute gives the selection for an attribute, nil if it is not returned.
func (s *selector) attribute(attr *attribute, implied bool) *selection {
	named := s.named[attr]
	switch {
	case attr.returned == never:
		return nil
	case attr.returned == always:
		implied = true
	case attr.returned == onRequest && !(s.only && (named || s.namesUnder(attr))):
		return nil
	case !s.only && named:
		return nil
	case s.only && !named && !implied && !s.namesUnder(attr):
		return nil
	}
	if len(attr.subs) == 0 {
		return whole
	}
	return s.group(attr.subs, implied || named)
}

// namesUnder says whether anything below attr is named.
func (s *selector) namesUnder(attr *attribute) bool {
	return slices.ContainsFunc(attr.subs, func(sub *attribute) bool {
		return s.named[sub] || s.namesUnder(sub)
	})
}

// key is the projection's canonical text.
func (p *projection) key() string {
	if p == nil {
		return ""
	}
	return p.text
}

// rendered is what a projection reads of a [directory.Resource].
type rendered interface {
	Head() []byte
	Meta() []byte
	Links(dst [][]byte) [][]byte
	LinksName() string
	Elements() iter.Seq[[]byte]
}

// pieces appends to dst slices that together are the JSON object of the
// projected resource, and to scratch what of them has to be written anew;
// groups and members that are returned whole are not copied. It returns both. A
// list hands every resource over in the same place, so that none is allocated.
func (p *projection) pieces(dst [][]byte, scratch []byte, r *directory.Resource) ([][]byte, []byte) {
	if p == nil {
		return r.Pieces(dst), scratch
	}
	return p.types[r.Type()].appendPieces(dst, scratch, r)
}

func (sel *selection) appendPieces(dst [][]byte, scratch []byte, r rendered) ([][]byte, []byte) {
	from := len(scratch)
	scratch = sel.appendHead(append(scratch, '{'), r.Head())
	switch part := sel.part(r.LinksName()); part {
	case nil:
	case whole:
		before := len(dst)
		if dst = r.Links(append(dst, nil)); len(dst) == before+1 {
			dst = dst[:before]
			break
		}
		scratch = appendName(scratch, r.LinksName())
		dst[before] = scratch[from:len(scratch):len(scratch)]
		from = len(scratch)
	default:
		scratch = part.appendLinks(scratch, r)
	}
	scratch = append(sel.appendMeta(scratch, r), '}')
	return append(dst, scratch[from:len(scratch):len(scratch)]), scratch
}

// part gives the selection of a member.
func (sel *selection) part(name string) *selection {
	part, known := sel.parts[name]
	if !known && sel.rest {
		return whole
	}
	return part
}

// appendName appends the name of a member that is not the first.
func appendName[T string | []byte](dst []byte, name T) []byte {
	dst = append(dst, `,"`...)
	return append(append(dst, name...), `":`...)
}

// appendHead appends the selected members of the head. Those that lie side by
// side are copied together.
func (sel *selection) appendHead(dst, head []byte) []byte {
	start := len(dst)
	dst = sel.appendMembers(dst, head)
	if len(sel.extensions) > 0 {
		dst = sel.cutSchemas(dst, start)
	}
	return dst
}

// appendMembers appends the selected ones of an object's members.
func (sel *selection) appendMembers(dst, members []byte) []byte {
	start := len(dst)
	from, to := 0, 0 // members to be copied together
	for i := 0; ; {
		m, ok := nextMember(members, i)
		if !ok {
			return appendAfter(dst, start, members[from:to])
		}
		i = m.end
		part, known := sel.parts[string(m.name)]
		switch {
		case part == whole, !known && sel.rest:
			if from == to {
				from = m.start
			}
			to = m.end
			continue
		}
		dst = appendAfter(dst, start, members[from:to])
		from, to = 0, 0
		if part != nil {
			dst = part.appendMember(dst, start, m)
		}
	}
}

// appendAfter appends members, with a comma if dst holds some since start.
func appendAfter(dst []byte, start int, members []byte) []byte {
	if len(members) > 0 && len(dst) > start {
		dst = append(dst, ',')
	}
	return append(dst, members...)
}

// appendMember appends a member with what is selected of its value; nothing if
// that is nothing.
func (sel *selection) appendMember(dst []byte, start int, m member) []byte {
	before := len(dst)
	dst = appendName(dst, m.name)
	if before == start { // it is the first: no comma
		dst = append(dst[:start], dst[start+1:]...)
	}
	valueAt := len(dst)
	if dst = sel.appendValue(dst, m.value); len(dst) == valueAt {
		return dst[:before]
	}
	return dst
}

// appendValue appends what is selected of an object, or of the objects of an
// array; nothing if that is nothing.
func (sel *selection) appendValue(dst, value []byte) []byte {
	start := len(dst)
	switch {
	case isObject(value):
		dst = sel.appendMembers(append(dst, '{'), inside(value))
		return closeOr(dst, start, '}')
	case isArray(value):
		dst = append(dst, '[')
		elements := inside(value)
		for e, i := nextElement(elements, 0); e != nil; e, i = nextElement(elements, i) {
			dst = sel.appendElement(dst, start+1, e)
		}
		return closeOr(dst, start, ']')
	}
	return dst
}

// appendElement appends what is selected of an element of the array whose
// elements begin at start.
func (sel *selection) appendElement(dst []byte, start int, element []byte) []byte {
	before := len(dst)
	if before > start {
		dst = append(dst, ',')
	}
	at := len(dst)
	if dst = sel.appendValue(dst, element); len(dst) == at {
		return dst[:before]
	}
	return dst
}

// closeOr ends the object or array that began at start, or takes it back if
// there is nothing in it.
func closeOr(dst []byte, start int, bracket byte) []byte {
	if len(dst) == start+1 {
		return dst[:start]
	}
	return append(dst, bracket)
}

// appendLinks appends what is selected of the links.
func (sel *selection) appendLinks(dst []byte, r rendered) []byte {
	before := len(dst)
	dst = append(appendName(dst, r.LinksName()), '[')
	start := len(dst)
	for e := range r.Elements() {
		dst = sel.appendElement(dst, start, e)
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, ']')
}

// appendMeta appends what is selected of meta.
func (sel *selection) appendMeta(dst []byte, r rendered) []byte {
	before := len(dst)
	part := sel.part(nameMeta)
	if part == nil {
		return dst
	}
	dst = appendName(dst, nameMeta)
	if part == whole {
		return append(dst, r.Meta()...)
	}
	at := len(dst)
	if dst = part.appendValue(dst, r.Meta()); len(dst) == at {
		return dst[:before]
	}
	return dst
}

// cutSchemas takes the URNs of extensions that were not returned out of the
// schemas in dst[start:], in place. Extensions come after schemas.
func (sel *selection) cutSchemas(dst []byte, start int) []byte {
	m, ok := findMember(dst[start:], nameSchemas)
	if !ok || !isArray(m.value) {
		return dst
	}
	end := start + m.end
	to := end - len(m.value) + 1
	first := to
	for i := to; i < end-1; {
		urn, next := nextElement(dst[:end-1], i)
		i = next
		if name := inside(urn); sel.extensions[string(name)] && lookup(dst[end:], string(name)) == nil {
			continue
		}
		if to > first {
			dst[to] = ','
			to++
		}
		to += copy(dst[to:], urn)
	}
	dst[to] = ']'
	return append(dst[:to+1], dst[end:]...)
}
