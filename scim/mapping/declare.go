package mapping

import (
	"fmt"
	"regexp"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"

	"github.com/elimity-com/scim/schema"
)

// A Schema is an extension that a configuration declares. It is announced by
// discovery, and its attributes can be mapped, filtered, sorted and asked for
// like all others.
type Schema struct {
	// URN is its identifier.
	URN string
	// Name and Description are shown by discovery.
	Name, Description string
	// Type is the resource type that it extends.
	Type directory.Type
	// Attributes are its attributes, at least one.
	Attributes []Attribute
	// Setting is what the places of a [Fault] in it begin with.
	Setting string
}

// An Attribute is one of a [Schema] (RFC 7643 §7). All are readOnly and returned
// by default.
type Attribute struct {
	Name, Description string
	// Type is one of [AttributeTypes].
	Type string
	// MultiValued attributes hold a list.
	MultiValued bool
	// CaseExact says whether filters tell capitals from small letters.
	CaseExact bool
	// CanonicalValues are the usual values, for clients that offer a choice.
	CanonicalValues []string
	// ReferenceTypes say what a reference leads to: User, Group, external, uri.
	ReferenceTypes []string
	// SubAttributes are the parts of a complex attribute, none of them complex.
	SubAttributes []Attribute
}

// AttributeTypes are the types that an attribute can have (RFC 7643 §2.3).
func AttributeTypes() []string {
	return []string{"string", "boolean", "integer", "decimal", "dateTime", "binary", "reference", "complex"}
}

var kindsByName = map[string]attributeKind{"string": stringKind, "boolean": booleanKind, "integer": integerKind,
	"decimal": decimalKind, "dateTime": dateTimeKind, "binary": binaryKind, "reference": referenceKind, "complex": complexKind}

var (
	urnForm       = regexp.MustCompile(`^urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[A-Za-z0-9()+,\-.:=@;$_!*'%/]*[A-Za-z0-9()+,\-.=@;$_!*'%/]$`)
	attributeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`) // RFC 7643 §2.1; $ref alone may begin otherwise
)

// declare checks the schemas of a configuration.
func declare(schemas []Schema) ([]schemaEntry, Faults) {
	d := &declaration{taken: map[string]string{}}
	for _, e := range newCatalogue(nil) {
		d.taken[strings.ToLower(e.urn)] = "a schema of its own"
	}
	for _, name := range []string{providerConfigSchema, resourceTypeSchema, schema.Definition().ID} {
		d.taken[strings.ToLower(name)] = "a schema of its own"
	}
	var entries []schemaEntry
	for _, s := range schemas {
		entries = append(entries, d.schema(s))
	}
	d.ambiguous(schemas, entries)
	return entries, d.faults
}

// ambiguous refuses a schema whose URN is also the full name of an attribute:
// in filters and in attributes= nobody could say which of the two is meant.
func (d *declaration) ambiguous(schemas []Schema, entries []schemaEntry) {
	for i, s := range schemas {
		for _, e := range newCatalogue(entries) {
			if n := len(e.urn); e.typ != s.Type || len(s.URN) <= n+1 || s.URN[n] != ':' || !strings.EqualFold(s.URN[:n], e.urn) {
				continue
			}
			name, _, _ := strings.Cut(s.URN[len(e.urn)+1:], ".")
			for _, a := range e.attributes {
				if strings.EqualFold(a.name, name) {
					d.fault(schemas[i].Setting+".urn", fmt.Sprintf("the URN is also the full name of the attribute %s of %s", a.name, e.urn), "choose another")
				}
			}
		}
	}
}

// A declaration collects faults.
type declaration struct {
	faults Faults
	taken  map[string]string // :: lower-case URN → what has it
}

func (d *declaration) fault(setting, message, mend string) {
	d.faults = append(d.faults, Fault{Setting: setting, Message: message, Mend: mend})
}

// schema checks one schema.
func (d *declaration) schema(s Schema) schemaEntry {
	low := strings.ToLower(s.URN)
	switch at := s.Setting + ".urn"; {
	case !urnForm.MatchString(s.URN):
		d.fault(at, fmt.Sprintf("%q is no URN", s.URN), "write one such as urn:example:params:scim:schemas:extension:acme:2.0:User")
	case d.taken[low] != "":
		d.fault(at, "the URN belongs to "+d.taken[low]+" already", "choose another")
	}
	d.taken[low] = "another schema of the file"
	if !strings.HasPrefix(s.Setting, "schemas[") && s.Setting != "" {
		d.taken[low] = "the schema of " + s.Setting
	}
	if len(s.Attributes) == 0 {
		d.fault(s.Setting+".attributes", "the schema has no attribute", "declare at least one")
	}
	entry := schemaEntry{urn: s.URN, name: s.Name, description: s.Description, typ: s.Type, declared: true,
		attributes: d.attributes(s.Attributes, s.Setting+".attributes", false)}
	if entry.name == "" {
		parts := strings.Split(s.URN, ":")
		entry.name = parts[len(parts)-1]
	}
	if entry.description == "" {
		entry.description = "An extension of " + s.Type.String() + " that the configuration declares."
	}
	return entry
}

// attributes checks attributes, or the parts of one.
func (d *declaration) attributes(all []Attribute, setting string, parts bool) []definition {
	var definitions []definition
	seen := map[string]bool{}
	for i, a := range all {
		at := fmt.Sprintf("%s[%d]", setting, i)
		low := strings.ToLower(a.Name)
		switch {
		case !attributeForm.MatchString(a.Name) && !(parts && a.Name == "$ref"):
			d.fault(at+".name", fmt.Sprintf("%q is no name of an attribute", a.Name), "write letters, digits, - and _, a letter first")
		case seen[low]:
			d.fault(at+".name", "the attribute "+a.Name+" is there already, but for capitals", "choose another name")
		}
		seen[low] = true
		definitions = append(definitions, d.attribute(a, at, parts))
	}
	return definitions
}

// attribute checks one attribute.
func (d *declaration) attribute(a Attribute, at string, part bool) definition {
	kind, known := kindsByName[a.Type]
	def := definition{name: a.Name, description: a.Description, kind: kind, multi: a.MultiValued, exact: a.CaseExact, canonical: a.CanonicalValues}
	if def.description == "" {
		def.description = "An attribute that the configuration declares."
	}
	switch {
	case !known:
		mend := "write one of " + strings.Join(AttributeTypes(), ", ")
		if near := expr.Nearest(a.Type, AttributeTypes()); near != "" {
			mend = "did you mean " + near + "?"
		}
		d.fault(at+".type", fmt.Sprintf("there is no type %q", a.Type), mend)
	case part && kind == complexKind:
		d.fault(at+".type", "a part of an attribute can't have parts itself", "write another type (RFC 7643 §2.3.8)")
	case kind == complexKind && len(a.SubAttributes) == 0:
		d.fault(at, "a complex attribute consists of parts, and there are none", "declare sub_attributes")
	case kind != complexKind && len(a.SubAttributes) > 0:
		d.fault(at+".sub_attributes", "only a complex attribute has parts", "write type: complex, or remove them")
	case kind != referenceKind && len(a.ReferenceTypes) > 0:
		d.fault(at+".reference_types", "only a reference leads somewhere", "write type: reference, or remove them")
	case kind != stringKind && (a.CaseExact || len(a.CanonicalValues) > 0):
		d.fault(at, "case_exact and canonical_values are for strings", "write type: string, or remove them")
	}
	for _, t := range a.ReferenceTypes {
		def.refs = append(def.refs, schema.AttributeReferenceType(t))
	}
	if kind == referenceKind && len(def.refs) == 0 {
		def.refs = external
	}
	def.sub = d.attributes(a.SubAttributes, at+".sub_attributes", true)
	return def
}
