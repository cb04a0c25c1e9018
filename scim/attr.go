package scim

import (
	"strings"

	"github.com/elimity-com/scim/schema"

	"scimbridge/scim/directory"
)

// A kind is the data type of an attribute (RFC 7643 §2.3).
type kind uint8

const (
	kindString kind = iota
	kindBoolean
	kindDecimal
	kindInteger
	kindDateTime
	kindReference
	kindBinary
	kindComplex
)

// kinds names the data types as schemas do (RFC 7643 §7).
var kinds = map[string]kind{
	"string": kindString, "boolean": kindBoolean, "decimal": kindDecimal, "integer": kindInteger,
	"dateTime": kindDateTime, "reference": kindReference, "binary": kindBinary, "complex": kindComplex,
}

// String names the data type for error details.
func (k kind) String() string {
	return [...]string{"string", "boolean", "decimal", "integer", "dateTime", "reference", "binary", "complex"}[k]
}

// A place is where in a resource a top-level attribute is found.
type place uint8

const (
	inHead  place = iota // in [directory.Resource.Head]
	inMeta               // meta, in [directory.Resource.Meta]
	inLinks              // groups or members, in [directory.Resource.Links]
)

// A returned is the returned characteristic of an attribute (RFC 7643 §7).
type returned uint8

const (
	byDefault returned = iota
	always
	never
	onRequest
)

var returneds = map[string]returned{"default": byDefault, "always": always, "never": never, "request": onRequest}

// An attribute is one attribute or sub-attribute of one resource type. A
// schema extension is an attribute too: a complex one whose name is the
// extension's URN, which is how it lies in the JSON (RFC 7643 §3.3).
type attribute struct {
	name        string // as rendered
	parent      *attribute
	schema      string // URN of the schema that defines it; empty for schemas, id, externalId and meta
	extension   bool   // it stands for a whole extension
	place       place  // of a sub-attribute: that of its top-level attribute
	kind        kind
	caseExact   bool
	multiValued bool
	returned    returned
	subs        []*attribute

	steps   []string // the names from the resource to it, see stepsTo
	lowPath string   // its path in lower case
	needle  needle   // finds what is so named
}

// sub finds a sub-attribute by name, in any case.
func (a *attribute) sub(name string) *attribute {
	for _, s := range a.subs {
		if sameName(s.name, name) {
			return s
		}
	}
	return nil
}

// top is the top-level attribute that a belongs to, a itself if it is one.
func (a *attribute) top() *attribute {
	for a.parent != nil {
		a = a.parent
	}
	return a
}

// path is the attribute's name as a client would write it in full: sub-attributes
// after a dot, the attributes of an extension after its URN and a colon.
func (a *attribute) path() string {
	switch {
	case a.parent == nil:
		return a.name
	case a.parent.extension:
		return a.parent.name + ":" + a.name
	}
	return a.parent.path() + "." + a.name
}

// Names of the attributes that the directory adds or that have rules of their
// own.
const (
	nameSchemas      = "schemas"
	nameID           = "id"
	nameMeta         = "meta"
	nameActive       = "active"
	nameLastModified = "lastModified"
	nameResourceType = "resourceType"
	nameValue        = "value"
	namePrimary      = "primary"
)

// linksName is the attribute that holds a type's links.
func linksName(t directory.Type) string {
	if t == directory.Group {
		return "members"
	}
	return "groups"
}

// typeSchemas says which schemas the resources of each type have, by URN: the
// core schema first, then its extensions.
type typeSchemas [directory.NumTypes][]string

// schemasOf sorts schemas by the types that carry them, by the convention that
// the last part of a schema's URN is the name of its type (RFC 7643 §10.3.1).
// Schemas of other things, such as discovery's own, go to no type. Core schemas
// come before extensions. extends says it of those that keep no convention.
func schemasOf(schemas []schema.Schema, extends map[string]directory.Type) typeSchemas {
	var of typeSchemas
	for t := directory.Type(0); t < directory.NumTypes; t++ {
		for _, s := range schemas {
			owner, said := extends[s.ID]
			switch {
			case said && owner == t:
				of[t] = append(of[t], s.ID)
			case said, !strings.HasSuffix(strings.ToLower(s.ID), ":"+strings.ToLower(t.String())):
			case s.ID == schema.UserSchema, s.ID == schema.GroupSchema:
				of[t] = append([]string{s.ID}, of[t]...)
			default:
				of[t] = append(of[t], s.ID)
			}
		}
	}
	return of
}

// attributes resolves attribute names over the schemas of all resource types.
// Names and URNs are compared without regard to case (RFC 7643 §2.1, RFC 7644
// §3.10). It does not change once made and may be used from many goroutines.
type attributes struct {
	types [directory.NumTypes]*typeAttributes

	orders orderCache // sort orders already worked out
}

// typeAttributes are the attributes of one resource type.
type typeAttributes struct {
	typ        directory.Type
	core       string                // URN of the core schema
	named      map[string]*attribute // lower-case name -> attribute of the core schema, or common to all
	extensions map[string]*attribute // lower-case URN -> extension
	top        []*attribute          // in the order of the schemas
	rendered   map[string]*attribute // name as rendered -> top-level attribute

	// loose serves clients that leave an extension's URN out: lower-case name ->
	// attributes of extensions so named.
	loose map[string][]*attribute
}

// newAttributes makes the resolver over schemas; extends says whose those are that
// do not tell by their URN. Schemas that no type has are passed over. The common
// attributes (RFC 7643 §3.1) need not be in the schemas.
func newAttributes(schemas []schema.Schema, extends map[string]directory.Type) *attributes {
	a := new(attributes)
	for t, urns := range schemasOf(schemas, extends) {
		ta := &typeAttributes{
			typ:        directory.Type(t),
			named:      make(map[string]*attribute),
			extensions: make(map[string]*attribute),
			loose:      make(map[string][]*attribute),
			rendered:   make(map[string]*attribute),
		}
		for i, urn := range urns {
			for _, s := range schemas {
				if sameName(s.ID, urn) {
					ta.add(s, i == 0)
				}
			}
		}
		ta.addCommon()
		a.types[t] = ta
	}
	return a
}

// add takes in the attributes of a schema.
func (ta *typeAttributes) add(s schema.Schema, core bool) {
	var parent *attribute
	if core {
		ta.core = s.ID
	} else {
		parent = &attribute{name: s.ID, schema: s.ID, extension: true, kind: kindComplex}
		parent.settle()
		ta.extensions[lowerName(s.ID)] = parent
		ta.addTop(parent)
	}
	for _, def := range s.Attributes {
		attr := newAttribute(def, s.ID, parent)
		low := lowerName(attr.name)
		if core {
			ta.addTop(attr)
			ta.named[low] = attr
			continue
		}
		parent.subs = append(parent.subs, attr)
		ta.loose[low] = append(ta.loose[low], attr)
	}
}

func (ta *typeAttributes) addTop(a *attribute) {
	ta.top = append(ta.top, a)
	ta.rendered[a.name] = a
}

// newAttribute takes over a definition of a schema.
func newAttribute(def schema.CoreAttribute, urn string, parent *attribute) *attribute {
	k := kinds[def.AttributeType()]
	a := &attribute{
		name: def.Name(), parent: parent, schema: urn, kind: k,
		caseExact:   def.CaseExact() || k == kindReference || k == kindBinary, // RFC 7643 §2.3.6, §2.3.7
		multiValued: def.MultiValued(),
		returned:    returneds[def.Returned()],
	}
	a.settle()
	for _, d := range def.SubAttributes() {
		a.subs = append(a.subs, newAttribute(d, urn, a))
	}
	return a
}

// settle works out what follows from the attribute's name and parent.
func (a *attribute) settle() {
	a.steps, a.lowPath = stepsTo(a, nil), strings.ToLower(a.path())
}

// addCommon adds the common attributes that the core schema does not define,
// and marks those that the directory keeps apart.
func (ta *typeAttributes) addCommon() {
	for _, def := range schema.CommonAttributes() {
		if ta.named[lowerName(def.Name())] == nil {
			attr := newAttribute(def, "", nil)
			ta.addTop(attr)
			ta.named[lowerName(def.Name())] = attr
		}
	}
	for _, name := range []string{nameSchemas, nameID} {
		ta.named[name].returned = always
	}
	// URNs are compared without regard to case wherever they stand.
	ta.named[nameSchemas].caseExact = false
	ta.named[nameID].caseExact = true
	ta.setPlace(nameMeta, inMeta)
	ta.setPlace(linksName(ta.typ), inLinks)
	ta.addNeedles()
}

func (ta *typeAttributes) setPlace(name string, p place) {
	a := ta.named[name]
	if a == nil {
		return
	}
	a.place = p
	for _, s := range a.subs {
		s.place = p
	}
}
