package mapping

import (
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"

	"github.com/elimity-com/scim/schema"
)

// A catalogue is all schemas that rows can have paths in, in the order in which
// discovery lists them.
type catalogue []schemaEntry

// A schemaEntry is a schema, with all attributes that it can have.
type schemaEntry struct {
	urn, name, description string
	typ                    directory.Type
	core                   bool
	declared               bool // by the configuration: it is announced whole
	attributes             []definition
}

// newCatalogue gives the schemas that are known, and those that are declared.
func newCatalogue(declared []schemaEntry) catalogue {
	c := catalogue{
		{urn: UserSchema, name: "User", description: "A person's account, or another account of the directory that signs in.",
			typ: directory.User, core: true, attributes: slices.Concat(common(), userAttributes())},
		{urn: EnterpriseUserSchema, name: "EnterpriseUser", description: "What an organization records about a person.",
			typ: directory.User, attributes: enterpriseAttributes()},
		{urn: EntraUserSchema, name: "EntraUser", description: "What Microsoft Entra ID holds of a user beyond SCIM's own schemas.",
			typ: directory.User, attributes: entraUserAttributes()},
	}
	c = append(c, declaredFor(declared, directory.User)...)
	c = append(c,
		schemaEntry{urn: GroupSchema, name: "Group", description: "A group of users and groups.",
			typ: directory.Group, core: true, attributes: slices.Concat(common(), groupAttributes())},
		schemaEntry{urn: EntraGroupSchema, name: "EntraGroup", description: "What Microsoft Entra ID holds of a group beyond SCIM's own schema.",
			typ: directory.Group, attributes: entraGroupAttributes()})
	return append(c, declaredFor(declared, directory.Group)...)
}

// declaredFor picks the schemas of a type.
func declaredFor(all []schemaEntry, t directory.Type) []schemaEntry {
	return slices.DeleteFunc(slices.Clone(all), func(e schemaEntry) bool { return e.typ != t })
}

// discoverySchemas are the schemas of the discovery resources.
func discoverySchemas() []schema.Schema {
	return []schema.Schema{
		describe(providerConfigSchema, "ServiceProviderConfig", "What the service provider can do.", providerConfigAttributes()),
		describe(resourceTypeSchema, "ResourceType", "A type of resource, its endpoint and its schemas.", resourceTypeAttributes()),
		schemaOfSchemas(),
	}
}

// find gives the definition of an attribute or sub-attribute by its exact name.
func find(all []definition, name string) *definition {
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

// entry gives the schema of a path; that of the core schema is "".
func (c catalogue) entry(t directory.Type, urn string) *schemaEntry {
	for i := range c {
		if e := &c[i]; e.typ == t && (e.urn == urn && !e.core || urn == "" && e.core) {
			return e
		}
	}
	return nil
}

// A place is where a path leads: which attribute, and which of its
// sub-attributes, if it names one.
type place struct {
	target
	entry     *schemaEntry
	attribute *definition
	part      *definition // nil where the path names no sub-attribute
	order     [3]int      // of schema, attribute and sub-attribute
}

// A pathError says why a path leads nowhere.
type pathError struct{ what, mend string }

func (e *pathError) Error() string { return e.what + "; " + e.mend }

// resolve finds where a path leads.
func (c catalogue) resolve(t directory.Type, path string) (place, *pathError) {
	to, err := parseTarget(path)
	if err != nil {
		return place{}, &pathError{fmt.Sprintf("%q is no attribute path", path),
			`write name, name.sub, name[type eq "work"].value, or one of these behind the URN of an extension and a colon`}
	}
	p := place{target: to, entry: c.entry(t, to.schema)}
	if p.entry == nil {
		return p, c.noSchema(t, to)
	}
	if p.attribute = find(p.entry.attributes, to.name); p.attribute == nil {
		return p, c.noAttribute(t, p)
	}
	if to.sub != "" {
		if p.part = find(p.attribute.sub, to.sub); p.part == nil {
			return p, noPart(p)
		}
	}
	p.order = [3]int{slices.IndexFunc(c, func(e schemaEntry) bool { return e.urn == p.entry.urn }),
		slices.IndexFunc(p.entry.attributes, func(d definition) bool { return d.name == to.name }),
		slices.IndexFunc(p.attribute.sub, func(d definition) bool { return d.name == to.sub })}
	return p, nil
}

// noSchema says that a schema is not there.
func (c catalogue) noSchema(t directory.Type, to target) *pathError {
	var urns []string
	for _, e := range c {
		if e.typ == t && !e.core {
			urns = append(urns, e.urn)
		}
		// The core schema's attributes go without its URN.
		if e.typ == t && e.core && strings.EqualFold(e.urn, to.schema) {
			return &pathError{"attributes of the core schema have no URN before them", "write " + to.name}
		}
	}
	mend := "declare it under schemas, or use one of " + strings.Join(urns, ", ")
	if near := expr.Nearest(to.schema, urns); near != "" {
		mend = "did you mean " + near + "?"
	}
	return &pathError{fmt.Sprintf("there is no schema %s of a %v", to.schema, t), mend}
}

// noAttribute says that a schema has no such attribute.
func (c catalogue) noAttribute(t directory.Type, p place) *pathError {
	what := fmt.Sprintf("there is no attribute %s of a %v", p.name, t)
	if !p.entry.core {
		what = fmt.Sprintf("there is no attribute %s in %s", p.name, p.entry.urn)
	}
	names := namesOf(p.entry.attributes)
	if near := expr.Nearest(p.name, names); near != "" {
		return &pathError{what, "did you mean " + near + "?"}
	}
	for _, e := range c {
		if e.typ == t && !e.core && find(e.attributes, p.name) != nil && p.entry.core {
			return &pathError{what, "did you mean " + e.urn + ":" + p.name + "?"}
		}
	}
	return &pathError{what, "use one of " + strings.Join(names, ", ")}
}

// noPart says that an attribute has no such sub-attribute.
func noPart(p place) *pathError {
	what := fmt.Sprintf("there is no sub-attribute %s of %s", p.sub, p.name)
	names := namesOf(p.attribute.sub)
	switch near := expr.Nearest(p.sub, names); {
	case near != "":
		return &pathError{what, "did you mean " + near + "?"}
	case len(names) == 0:
		return &pathError{p.name + " has no sub-attributes", "write " + p.name}
	}
	return &pathError{what, "use one of " + strings.Join(names, ", ")}
}

// namesOf lists the attributes that a mapping may give.
func namesOf(all []definition) []string {
	var names []string
	for _, d := range all {
		if !d.added {
			names = append(names, d.name)
		}
	}
	return names
}

// usage is what rows give: attributes, their sub-attributes and the types of
// their values.
type usage struct {
	attributes, parts map[string]bool // by URN and path; "*" for all parts
	labels            map[string][]string
}

// usageOf goes over the rows.
func (c catalogue) usageOf(rows []Row) usage {
	u := usage{map[string]bool{}, map[string]bool{}, map[string][]string{}}
	for _, row := range rows {
		p, err := c.resolve(row.Type, row.Path)
		if err != nil {
			continue // meta.created
		}
		at := p.entry.urn + ":" + p.name
		u.attributes[at] = true
		switch {
		case p.sub != "":
			u.parts[at+"."+p.sub] = true
		case p.attribute.kind == complexKind:
			u.parts[at+".*"] = true
		}
		if p.label != "" {
			u.parts[at+".type"] = true
			if !slices.Contains(u.labels[at], p.label) {
				u.labels[at] = append(u.labels[at], p.label)
			}
		}
		if p.primary || (p.name == "emails" && p.entry.core) {
			u.parts[at+".primary"] = true
		}
	}
	return u
}

// schemas describes what the rows give.
func (c catalogue) schemas(rows []Row) []schema.Schema {
	u := c.usageOf(rows)
	var all []schema.Schema
	for _, e := range c {
		used := e.attributes
		if !e.declared {
			used = u.of(e)
		}
		if len(used) > 0 {
			all = append(all, describe(e.urn, e.name, e.description, used))
		}
	}
	return append(all, discoverySchemas()...)
}

// of keeps the attributes of a schema that are given, by rows or otherwise.
func (u usage) of(e schemaEntry) []definition {
	var used []definition
	for _, d := range e.attributes {
		at := e.urn + ":" + d.name
		switch {
		case d.added || (d.name == "externalId" && e.core):
		case !u.attributes[at]:
			continue
		case d.kind == complexKind:
			d.sub = u.partsOf(at, d.sub)
		}
		used = append(used, d)
	}
	return used
}

// partsOf keeps the sub-attributes that are given.
func (u usage) partsOf(at string, subs []definition) []definition {
	if u.parts[at+".*"] {
		return subs
	}
	var used []definition
	for _, s := range subs {
		if !u.parts[at+"."+s.name] {
			continue
		}
		if labels := u.labels[at]; s.name == "type" && len(labels) > 0 {
			s.canonical = labels
		}
		used = append(used, s)
	}
	return used
}
