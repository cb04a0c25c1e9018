package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Mapping is the section sources[].mapping. Its other keys are SCIM attribute
// paths, each with the expression that gives its value over the user of
// Microsoft Graph, in place of the preset's or the default:
//
//	'externalId': 'user.employeeId'
//
// docs/mapping.md has the paths, the expressions and the presets.
type Mapping struct {
	// Preset is a mapping with the habits of a platform: okta, sailpoint, or
	// entra-default, which is the default mapping. Default: none.
	Preset Preset `yaml:"preset,omitempty"`

	// Remove are attribute paths that are not to be served, or URNs of
	// extensions. Default: none. An empty list is a fault.
	Remove []string `yaml:"remove,omitempty"`

	// Groups is the same for groups, over the group of Microsoft Graph.
	Groups GroupMapping `yaml:"groups,omitempty"`

	// Rules are the other keys, in the order of the file.
	Rules []MappingRule `yaml:"-"`
}

// GroupMapping is the section sources[].mapping.groups. Its other keys are SCIM
// attribute paths, as in mapping.
type GroupMapping struct {
	// Remove are attribute paths that are not to be served, or URNs of
	// extensions. Default: none. An empty list is a fault.
	Remove []string `yaml:"remove,omitempty"`

	// Rules are the other keys, in the order of the file.
	Rules []MappingRule `yaml:"-"`
}

// A MappingRule is one line of a mapping.
type MappingRule struct {
	// Path is the SCIM attribute path.
	Path string
	// Expression is the value, in CEL.
	Expression Expression
}

// A Preset is a mapping for a platform.
type Preset string

// The presets.
const (
	PresetEntraDefault Preset = "entra-default"
	PresetOkta         Preset = "okta"
	PresetSailPoint    Preset = "sailpoint"
)

// An ExtensionSchema is one of schemas: an extension schema of one's own, which
// sources[].mapping then gives values to. Discovery announces it, and its
// attributes can be filtered, sorted and asked for like all others.
type ExtensionSchema struct {
	// URN is the schema's identifier, such as
	// urn:example:params:scim:schemas:extension:acme:2.0:User. No two alike.
	// Needed.
	URN string `yaml:"urn"`

	// Label is the name that discovery shows. Default: the last part of the
	// URN.
	Label string `yaml:"name,omitempty"`

	// Description is what discovery says of it.
	Description string `yaml:"description,omitempty"`

	// Resource is what it extends: User or Group. Default User.
	Resource ResourceName `yaml:"resource"`

	// Attributes are its attributes, at least one. Needed.
	Attributes []SchemaAttribute `yaml:"attributes"`
}

// A ResourceName is a SCIM resource type.
type ResourceName string

// The resource types.
const (
	ResourceUser  ResourceName = "User"
	ResourceGroup ResourceName = "Group"
)

// A SchemaAttribute is one of schemas[].attributes (RFC 7643 §7).
type SchemaAttribute struct {
	// Name is the attribute's name: letters, digits, - and _, a letter first.
	// Needed.
	Name string `yaml:"name"`

	// Type is string, boolean, integer, decimal, dateTime, binary, reference or
	// complex. Default string.
	Type AttributeType `yaml:"type"`

	// Description is what discovery says of it.
	Description string `yaml:"description,omitempty"`

	// MultiValued is whether the attribute holds a list. Default false.
	MultiValued bool `yaml:"multi_valued"`

	// CaseExact is whether filters tell capitals from small letters, in
	// strings. Default false.
	CaseExact bool `yaml:"case_exact"`

	// CanonicalValues are the usual values of a string, which some clients
	// offer for choice. Default: none are announced.
	CanonicalValues []string `yaml:"canonical_values,omitempty"`

	// ReferenceTypes are what a reference leads to: User, Group, external, uri.
	// Default external.
	ReferenceTypes []string `yaml:"reference_types,omitempty"`

	// SubAttributes are the parts of a complex attribute, which needs some.
	SubAttributes []SchemaSubAttribute `yaml:"sub_attributes,omitempty"`
}

// A SchemaSubAttribute is one of schemas[].attributes[].sub_attributes; its keys
// mean what those of an attribute do.
type SchemaSubAttribute struct {
	// Name is the name. Needed.
	Name string `yaml:"name"`

	// Type is string, boolean, integer, decimal, dateTime, binary or reference.
	// Default string.
	Type AttributeType `yaml:"type"`

	// Description is what discovery says of it.
	Description string `yaml:"description,omitempty"`

	// MultiValued is whether it holds a list. Default false.
	MultiValued bool `yaml:"multi_valued"`

	// CaseExact is whether filters tell capitals from small letters. Default
	// false.
	CaseExact bool `yaml:"case_exact"`

	// CanonicalValues are the usual values of a string.
	CanonicalValues []string `yaml:"canonical_values,omitempty"`

	// ReferenceTypes are what a reference leads to. Default external.
	ReferenceTypes []string `yaml:"reference_types,omitempty"`
}

// An AttributeType is a type of SCIM attributes (RFC 7643 §2.3).
type AttributeType string

// The attribute types.
const (
	TypeString    AttributeType = "string"
	TypeBoolean   AttributeType = "boolean"
	TypeInteger   AttributeType = "integer"
	TypeDecimal   AttributeType = "decimal"
	TypeDateTime  AttributeType = "dateTime"
	TypeBinary    AttributeType = "binary"
	TypeReference AttributeType = "reference"
	TypeComplex   AttributeType = "complex"
)

// A Tables is the section tables: lookup tables by name, which the function
// lookup of expressions reads. Each has texts as keys and values.
type Tables map[string]map[string]string

func (s *ExtensionSchema) setDefaults()    { s.Resource = ResourceUser }
func (a *SchemaAttribute) setDefaults()    { a.Type = TypeString }
func (a *SchemaSubAttribute) setDefaults() { a.Type = TypeString }

// A ruled section has keys beside its fields.
type ruled interface {
	addRule(MappingRule)
	rules() []MappingRule
}

func (m *Mapping) addRule(r MappingRule)      { m.Rules = append(m.Rules, r) }
func (m *Mapping) rules() []MappingRule       { return m.Rules }
func (m *GroupMapping) addRule(r MappingRule) { m.Rules = append(m.Rules, r) }
func (m *GroupMapping) rules() []MappingRule  { return m.Rules }

// rule decodes a key of a section that has others than its fields.
func (l *loader) rule(key, val *yaml.Node, to ruled, section reflect.Type, at string) {
	var here []string
	for k := range fieldsOf(section) {
		here = append(here, k)
	}
	if near := similar(key.Value, here); near != "" {
		l.fault(at, "the key is unknown", "did you mean "+near+"?")
		return
	}
	r := MappingRule{Path: key.Value}
	if l.value(val, reflect.ValueOf(&r.Expression).Elem(), at); l.isBroken(at) {
		return
	}
	to.addRule(r)
}

// table decodes a mapping of texts, or of such.
func (l *loader) table(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		l.misfit(path, "there is "+kindOf(n)+" where a table belongs", "write 'key: value' lines under it")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	l.pairs(n, path, 0, map[string]int{}, func(key, val *yaml.Node, at string) {
		elem := reflect.New(v.Type().Elem()).Elem()
		l.value(val, elem, at)
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	})
}

// MarshalYAML gives the section as the file has it.
func (m Mapping) MarshalYAML() (any, error) {
	type plain Mapping
	return withRules(plain(m), m.Rules)
}

// MarshalYAML gives the section as the file has it.
func (m GroupMapping) MarshalYAML() (any, error) {
	type plain GroupMapping
	return withRules(plain(m), m.Rules)
}

// IsZero tells whether the section is not there, for omitempty.
func (m Mapping) IsZero() bool {
	return m.Preset == "" && len(m.Remove) == 0 && len(m.Rules) == 0 && m.Groups.IsZero()
}

// IsZero tells whether the section is not there, for omitempty.
func (m GroupMapping) IsZero() bool { return len(m.Remove) == 0 && len(m.Rules) == 0 }

// withRules gives fields and rules as one mapping.
func withRules(fields any, rules []MappingRule) (*yaml.Node, error) {
	n := new(yaml.Node)
	if err := n.Encode(fields); err != nil {
		return nil, err
	}
	if n.Kind != yaml.MappingNode {
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	n.Style = 0
	for _, r := range rules {
		for _, text := range []string{r.Path, string(r.Expression)} {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.SingleQuotedStyle})
		}
	}
	return n, nil
}

// ruleChanges compares the rules of two sections.
func (d *differ) ruleChanges(path string, old, new []MappingRule) {
	expressions := func(rules []MappingRule) map[string]string {
		m := map[string]string{}
		for _, r := range rules {
			m[r.Path] = string(r.Expression)
		}
		return m
	}
	a, b := expressions(old), expressions(new)
	for _, at := range slices.Sorted(maps.Keys(b)) {
		if a[at] != b[at] {
			d.add(path+"."+keyName(at), a[at], b[at])
		}
	}
	for _, at := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[at]; !ok {
			d.add(path+"."+keyName(at), a[at], "")
		}
	}
}

// checkMapping checks what needs no knowledge of SCIM.
func (l *loader) checkMapping(section string, m *Mapping) {
	for _, at := range []string{section + ".remove", section + ".groups.remove"} {
		if l.given(at) {
			list := m.Remove
			if strings.HasSuffix(at, ".groups.remove") {
				list = m.Groups.Remove
			}
			if len(list) == 0 {
				l.fault(at, "the list is empty", "write attribute paths, or remove the key")
			}
		}
	}
}

// checkSchemas checks that what is needed is there.
func (l *loader) checkSchemas(all []ExtensionSchema) {
	for i, s := range all {
		at := fmt.Sprintf("schemas[%d]", i)
		l.need(at, "urn", "write one such as urn:example:params:scim:schemas:extension:acme:2.0:User")
		l.need(at, "attributes", "declare at least one, as {name: …, type: string}")
		for j, a := range s.Attributes {
			at := fmt.Sprintf("%s.attributes[%d]", at, j)
			l.need(at, "name", "give it one")
			for k := range a.SubAttributes {
				l.need(fmt.Sprintf("%s.sub_attributes[%d]", at, k), "name", "give it one")
			}
		}
	}
}

// RulePath is the path of a rule's setting: of a user's, or of a group's where
// groups is true.
func RulePath(source int, groups bool, r MappingRule) string {
	at := fmt.Sprintf("sources[%d].mapping", source)
	if groups {
		at += ".groups"
	}
	return at + "." + keyName(r.Path)
}

// Place says where a setting stands, for people: "config.yaml:42".
func (c *Config) Place(path string) string {
	return fmt.Sprintf("%s:%d", c.File, nearest(c.places, path).line)
}

// FaultWithin makes a fault at a place within the text of a setting: line and
// column in it, from 1. Where the file writes the text in a way that does not
// tell (with escapes, or over several lines), the message names the place in the
// text.
func (c *Config) FaultWithin(path string, line, column int, message, mend string) Fault {
	f := c.Fault(path, message, mend)
	if line <= 0 {
		return f
	}
	f.Exact = true
	at, ok := c.texts[path]
	if !ok {
		return f
	}
	if l, col := at.locate(c.lines, line, column); l > 0 {
		f.Line, f.Column = l, col
		return f
	}
	f.Message = fmt.Sprintf("at %d:%d of the text: %s", line, column, f.Message)
	return f
}

// A textPlace is where the text of a setting stands.
type textPlace struct {
	place
	style yaml.Style
	value string
}

// locate gives the place in the file of a place in the text, or 0, 0.
func (t textPlace) locate(lines []string, line, column int) (int, int) {
	if t.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		texts := strings.Split(t.value, "\n")
		row := t.line + line // the text begins below its indicator
		if t.style&yaml.FoldedStyle != 0 && len(strings.Split(strings.TrimSpace(t.value), "\n")) > 1 || row > len(lines) || line > len(texts) {
			return 0, 0
		}
		indent := strings.Index(lines[row-1], strings.TrimLeft(texts[line-1], " "))
		if indent < 0 || !strings.HasSuffix(strings.TrimRight(lines[row-1], " \r"), strings.TrimRight(texts[line-1], " ")) {
			return 0, 0
		}
		spaces := len(texts[line-1]) - len(strings.TrimLeft(texts[line-1], " "))
		return row, indent - spaces + column
	}
	if line != 1 || t.line > len(lines) {
		return 0, 0
	}
	begin := t.column
	if t.style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		begin++
	}
	row := []rune(lines[t.line-1])
	if begin-1 > len(row) || !strings.HasPrefix(string(row[begin-1:]), t.value) {
		return 0, 0
	}
	return t.line, begin + column - 1
}
