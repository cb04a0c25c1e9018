package scim

import (
	"github.com/elimity-com/scim/schema"
)

// A schemaDocument is the document of RFC 7643 §7.
type schemaDocument struct {
	Schemas     []string            `json:"schemas"`
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Attributes  []attributeDocument `json:"attributes"`
	Meta        meta                `json:"meta"`
}

// An attributeDocument describes one attribute. Characteristics that mean
// nothing for the attribute's type are left out, as in RFC 7643 §8.7.1.
type attributeDocument struct {
	Name            string              `json:"name"`
	Type            string              `json:"type"`
	MultiValued     bool                `json:"multiValued"`
	Description     string              `json:"description"`
	Required        bool                `json:"required"`
	SubAttributes   []attributeDocument `json:"subAttributes,omitempty"`
	CanonicalValues []string            `json:"canonicalValues,omitempty"`
	CaseExact       *bool               `json:"caseExact,omitempty"`
	Mutability      string              `json:"mutability"`
	Returned        string              `json:"returned"`
	Uniqueness      string              `json:"uniqueness,omitempty"`
	ReferenceTypes  []string            `json:"referenceTypes,omitempty"`
}

// describeSchema says what attributes a schema has.
func describeSchema(cfg Config, s schema.Schema) schemaDocument {
	return schemaDocument{
		Schemas: []string{schemaSchema}, ID: s.ID, Name: s.Name.Value(), Description: s.Description.Value(),
		Attributes: describeAttributes(s.Attributes),
		Meta:       meta{ResourceType: "Schema", Location: cfg.BaseURL + "/Schemas/" + s.ID},
	}
}

func (s *schemaDocument) metadata() *meta { return &s.Meta }

// describeAttributes says what each attribute is.
func describeAttributes(all schema.Attributes) []attributeDocument {
	described := make([]attributeDocument, 0, len(all))
	for _, a := range all {
		d := attributeDocument{
			Name: a.Name(), Type: a.AttributeType(), MultiValued: a.MultiValued(),
			Description: a.Description(), Required: a.Required(),
			CanonicalValues: a.CanonicalValues(), Mutability: a.Mutability(), Returned: a.Returned(),
		}
		switch a.AttributeType() {
		case "complex":
			d.SubAttributes = describeAttributes(a.SubAttributes())
		case "boolean":
		case "string", "reference", "binary":
			exact := a.CaseExact()
			d.CaseExact = &exact
			d.Uniqueness = a.Uniqueness()
		default:
			d.Uniqueness = a.Uniqueness()
		}
		for _, t := range a.ReferenceTypes() {
			d.ReferenceTypes = append(d.ReferenceTypes, string(t))
		}
		described = append(described, d)
	}
	return described
}
