package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"scimbridge/cmd/internal/config"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// CheckMapping says what is wrong with the mappings of a configuration: every
// expression is compiled, every path looked up.
func CheckMapping(cfg *config.Config) config.Faults {
	_, err := mappers(cfg, cfg.SCIM.PublicURL)
	var faults config.Faults
	if err != nil && !errors.As(err, &faults) {
		faults = config.Faults{cfg.Fault("scim.public_url", err.Error(), "give the URL that clients call")}
	}
	return faults
}

// mappers makes the mapper of each source, in the order of the file. What is
// wrong comes as config.Faults, all at once.
func mappers(cfg *config.Config, publicURL string) ([]*mapping.Mapper, error) {
	var all []*mapping.Mapper
	var faults config.Faults
	for i := range cfg.Sources {
		m, err := mapping.New(mappingConfig(cfg, i, publicURL))
		var wrong mapping.Faults
		switch {
		case errors.As(err, &wrong):
			for _, f := range wrong {
				fault := cfg.FaultWithin(f.Setting, f.Line, f.Column, f.Message, f.Mend)
				// Of a schema every source says the same.
				if !slices.Contains(faults, fault) {
					faults = append(faults, fault)
				}
			}
		case err != nil:
			return nil, cfg.Fault("scim.public_url", err.Error(), "give the URL that clients call")
		}
		all = append(all, m)
	}
	if len(faults) > 0 {
		faults.Sort()
		return nil, faults
	}
	return all, nil
}

// mappingConfig gives the mapping of a source as package mapping has it.
func mappingConfig(cfg *config.Config, index int, publicURL string) mapping.Config {
	m := cfg.Sources[index].Mapping
	rules := func(remove []string, all []config.MappingRule, groups bool) mapping.Rules {
		r := mapping.Rules{Remove: remove}
		for _, rule := range all {
			at := config.RulePath(index, groups, rule)
			r.Set = append(r.Set, mapping.Rule{Path: rule.Path, Expression: string(rule.Expression), Place: cfg.Place(at), Setting: at})
		}
		return r
	}
	c := mapping.Config{
		BaseURL: publicURL, Preset: string(m.Preset), Users: rules(m.Remove, m.Rules, false), Groups: rules(m.Groups.Remove, m.Groups.Rules, true),
		Schemas: schemas(cfg), Tables: cfg.Tables, Setting: fmt.Sprintf("sources[%d].mapping", index),
	}
	if cfg.SCIM.SourceAttribute {
		nameSource(&c, cfg, index)
	}
	return c
}

// sourceURN is the extension that names the source of a resource, but for the
// resource type at its end.
const sourceURN = "urn:scim-bridge:params:scim:schemas:extension:source:2.0:"

// nameSource has everything that is mapped carry the name of its source.
func nameSource(c *mapping.Config, cfg *config.Config, index int) {
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	var own []mapping.Schema
	for _, t := range []directory.Type{directory.User, directory.Group} {
		urn := sourceURN + t.String()
		own = append(own, mapping.Schema{
			URN: urn, Name: "Source", Type: t, Setting: "scim.source_attribute",
			Description: "Where a " + t.String() + " comes from, of several tenants behind one endpoint.",
			Attributes: []mapping.Attribute{{
				Name: "source", Type: "string", CaseExact: true, CanonicalValues: names, Description: "The name of the source in the configuration.",
			}},
		})
		rule := mapping.Rule{Path: urn + ":source", Expression: strconv.Quote(cfg.Sources[index].Name), Setting: "scim.source_attribute", Place: cfg.Place("scim.source_attribute")}
		rules := &c.Users
		if t == directory.Group {
			rules = &c.Groups
		}
		rules.Set = append(rules.Set, rule)
	}
	c.Schemas = append(own, c.Schemas...)
}

// schemas gives the declared schemas as package mapping has them.
func schemas(cfg *config.Config) []mapping.Schema {
	var all []mapping.Schema
	for i, s := range cfg.Schemas {
		one := mapping.Schema{URN: s.URN, Name: s.Label, Description: s.Description, Setting: fmt.Sprintf("schemas[%d]", i)}
		if s.Resource == config.ResourceGroup {
			one.Type = directory.Group
		}
		for _, a := range s.Attributes {
			attribute := mapping.Attribute{
				Name: a.Name, Description: a.Description, Type: string(a.Type), MultiValued: a.MultiValued, CaseExact: a.CaseExact,
				CanonicalValues: a.CanonicalValues, ReferenceTypes: a.ReferenceTypes,
			}
			for _, p := range a.SubAttributes {
				attribute.SubAttributes = append(attribute.SubAttributes, mapping.Attribute{
					Name: p.Name, Description: p.Description, Type: string(p.Type), MultiValued: p.MultiValued, CaseExact: p.CaseExact,
					CanonicalValues: p.CanonicalValues, ReferenceTypes: p.ReferenceTypes,
				})
			}
			one.Attributes = append(one.Attributes, attribute)
		}
		all = append(all, one)
	}
	return all
}
