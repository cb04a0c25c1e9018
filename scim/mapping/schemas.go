package mapping

import (
	"slices"
	"strconv"

	"scimbridge/scim/directory"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

// Schemas gives the schemas of what is served, in the order in which discovery
// lists them: users and their extensions, groups and theirs, then the schemas of
// the discovery resources themselves.
//
// They hold what can be rendered and nothing else, so a client that trusts them
// asks for no attribute that never comes. The common attributes id and externalId
// are listed too: RFC 7643 §3.1 lets them go without saying, but clients check
// what they receive against the schemas. The third, meta, is not, as in the
// schemas of RFC 7643 §8.7.1: scim2-client makes a type of its own of a meta
// that is listed, and then fails to fill it in. Everything is readOnly
// (nothing can be written), "caseExact" is how filters compare, and the verified
// errata of RFC 7643 are applied: 5368 (displayName of a group is required),
// 8471 (groups.$ref names groups), 8472 (manager.value is case-exact).
func (m *Mapper) Schemas() []schema.Schema { return slices.Clone(m.schemas) }

// Schemas gives the schemas of what several mappers render, all of which have
// the same [Config.Schemas].
func Schemas(mappers ...*Mapper) []schema.Schema {
	c, rows := newCatalogue(nil), []Row(nil)
	for _, m := range mappers {
		c, rows = m.catalogue, append(rows, m.rows...)
	}
	return c.schemas(rows)
}

// Extends says which type's resources have the schemas that configurations
// declare, by URN.
func Extends(mappers ...*Mapper) map[string]directory.Type {
	extends := map[string]directory.Type{}
	for _, m := range mappers {
		for _, e := range m.catalogue {
			if e.declared {
				extends[e.urn] = e.typ
			}
		}
	}
	return extends
}

// A definition describes an attribute. The zero characteristics are: optional,
// singular, not case-exact, not unique, returned by default.
type definition struct {
	name        string
	description string
	kind        attributeKind
	multi       bool
	required    bool
	exact       bool // strings only; references always are
	unique      bool // within the service provider
	always      bool // returned whatever is asked for
	added       bool // by the directory, not by a mapping
	canonical   []string
	refs        []schema.AttributeReferenceType
	sub         []definition // complex only
}

// An attributeKind is one of the data types of RFC 7643 §2.3.
type attributeKind uint8

const (
	stringKind attributeKind = iota
	booleanKind
	integerKind
	decimalKind
	dateTimeKind
	binaryKind
	referenceKind
	complexKind
)

// describe makes a schema.
func describe(urn, name, description string, definitions []definition) schema.Schema {
	s := schema.Schema{ID: urn, Name: optional.NewString(name), Description: optional.NewString(description)}
	for _, d := range definitions {
		s.Attributes = append(s.Attributes, d.attribute())
	}
	return s
}

// attribute gives the definition as the library has it.
func (d definition) attribute() schema.CoreAttribute {
	if d.kind != complexKind {
		return schema.SimpleCoreAttribute(d.params())
	}
	params := schema.ComplexParams{
		Name:        d.name,
		Description: optional.NewString(d.description),
		MultiValued: d.multi,
		Required:    d.required,
		Mutability:  schema.AttributeMutabilityReadOnly(),
		Returned:    d.returned(),
	}
	for _, sub := range d.sub {
		params.SubAttributes = append(params.SubAttributes, sub.params())
	}
	return schema.ComplexCoreAttribute(params)
}

// params gives the definition of an attribute that is not complex.
func (d definition) params() schema.SimpleParams {
	description, readOnly := optional.NewString(d.description), schema.AttributeMutabilityReadOnly()
	switch d.kind {
	case booleanKind:
		return schema.SimpleBooleanParams(schema.BooleanParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned()})
	case integerKind:
		return schema.SimpleNumberParams(schema.NumberParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned(),
			Type: schema.AttributeTypeInteger()})
	case decimalKind:
		return schema.SimpleNumberParams(schema.NumberParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned(),
			Type: schema.AttributeTypeDecimal()})
	case binaryKind:
		return schema.SimpleBinaryParams(schema.BinaryParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned()})
	case dateTimeKind:
		return schema.SimpleDateTimeParams(schema.DateTimeParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned()})
	case referenceKind:
		return schema.SimpleReferenceParams(schema.ReferenceParams{Name: d.name, Description: description,
			MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned(),
			ReferenceTypes: d.refs})
	}
	return schema.SimpleStringParams(schema.StringParams{Name: d.name, Description: description,
		MultiValued: d.multi, Required: d.required, Mutability: readOnly, Returned: d.returned(),
		CaseExact: d.exact, CanonicalValues: d.canonical, Uniqueness: d.uniqueness()})
}

// returned gives when the attribute is returned.
func (d definition) returned() schema.AttributeReturned {
	if d.always {
		return schema.AttributeReturnedAlways()
	}
	return schema.AttributeReturnedDefault()
}

// uniqueness gives where values are unique.
func (d definition) uniqueness() schema.AttributeUniqueness {
	if d.unique {
		return schema.AttributeUniquenessServer()
	}
	return schema.AttributeUniquenessNone()
}

// common gives the common attributes that the schemas list.
func common() []definition {
	return []definition{
		{name: "id", added: true, description: "The resource's identifier: the object id in Microsoft Entra ID. It never changes.", required: true, exact: true, unique: true, always: true},
		{name: "externalId", description: "The identifier by which the importing side knows the resource, where the mapping gives one.", exact: true},
	}
}

// The kinds of target of references.
var (
	uri      = []schema.AttributeReferenceType{schema.AttributeReferenceTypeURI}
	external = []schema.AttributeReferenceType{schema.AttributeReferenceTypeExternal}
)

// userAttributes gives the attributes of the core User schema, RFC 7643 §4.1:
// all that a mapping can have, in the order of the RFC.
func userAttributes() []definition {
	return []definition{
		{name: "userName", description: "The name that the user signs in with: the user principal name.", required: true, unique: true},
		{name: "name", description: "The parts of the person's name.", kind: complexKind, sub: []definition{
			{name: "formatted", description: "The full name, as shown to people."},
			{name: "familyName", description: "The family name."},
			{name: "givenName", description: "The given name."},
			{name: "middleName", description: "The middle name."},
			{name: "honorificPrefix", description: "The title before the name."},
			{name: "honorificSuffix", description: "The suffix behind the name."},
		}},
		{name: "displayName", description: "The name as shown to people."},
		{name: "nickName", description: "The casual name."},
		{name: "profileUrl", description: "The page that shows the person.", kind: referenceKind, refs: external},
		{name: "title", description: "The job title."},
		{name: "userType", description: "The kind of worker: Employee, Contractor, Vendor, or whatever the organization uses."},
		{name: "preferredLanguage", description: "The language that the person prefers, as in Accept-Language."},
		{name: "locale", description: "The region whose forms of dates and numbers the person uses."},
		{name: "timezone", description: "The time zone, by its name in the Olson database."},
		{name: "active", description: "Whether the account is on. False also for a user who was removed and is kept for a while.", kind: booleanKind},
		values("emails", "E-mail addresses, one of which is primary.", "An e-mail address.", []string{"work", "home", "other"}, "True for one of the addresses, absent for the others."),
		values("phoneNumbers", "Telephone numbers.", "A telephone number, as the directory has it.", []string{"work", "home", "mobile", "fax", "pager", "other"}, primaryValue),
		values("ims", "Addresses for instant messages.", "An address for instant messages.", []string{"aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo", "work"}, primaryValue),
		photos(),
		{name: "addresses", description: "The postal address of the place of work.", kind: complexKind, multi: true, sub: []definition{
			{name: "formatted", description: "The whole address, as written on an envelope."},
			{name: "streetAddress", description: "The street and house number."},
			{name: "locality", description: "The city."},
			{name: "region", description: "The state or region."},
			{name: "postalCode", description: "The postal code."},
			{name: "country", description: "The country, as the directory has it: a name or a code."},
			{name: "type", description: "The kind of address.", canonical: []string{"work", "home", "other"}},
			{name: "primary", description: primaryValue, kind: booleanKind},
		}},
		{name: "groups", description: "The groups that the user is in, through other groups too.", kind: complexKind, multi: true, added: true, sub: []definition{
			{name: "value", description: "The id of the group.", exact: true},
			{name: "$ref", description: "The URI of the group.", kind: referenceKind, refs: []schema.AttributeReferenceType{"Group"}},
			{name: "display", description: "The group's displayName."},
			{name: "type", description: "Whether the user is a member of the group itself, or of a group in it.", canonical: []string{"direct", "indirect"}},
		}},
		values("entitlements", "What the person is entitled to.", "An entitlement.", nil, primaryValue),
		values("roles", "The roles that the person has.", "A role.", nil, primaryValue),
		certificates(),
	}
}

// primaryValue describes the sub-attribute that marks one value.
const primaryValue = "True for the preferred value, absent for the others."

// photos defines photos, whose values are references.
func photos() definition {
	d := values("photos", "Pictures of the person.", "The URL of a picture.", []string{"photo", "thumbnail"}, primaryValue)
	d.sub[0].kind, d.sub[0].refs = referenceKind, external
	return d
}

// certificates defines x509Certificates, whose values are binary.
func certificates() definition {
	d := values("x509Certificates", "Certificates of the person.", "A certificate in DER, in base64.", nil, primaryValue)
	d.sub[0].kind = binaryKind
	return d
}

// values defines a multi-valued attribute with the sub-attributes of RFC 7643
// §2.4.
func values(name, description, value string, types []string, primary string) definition {
	return definition{name: name, description: description, kind: complexKind, multi: true, sub: []definition{
		{name: "value", description: value},
		{name: "display", description: "The value as shown to people."},
		{name: "type", description: "The kind of value.", canonical: types},
		{name: "primary", description: primary, kind: booleanKind},
	}}
}

// enterpriseAttributes gives the attributes of RFC 7643 §4.3.
func enterpriseAttributes() []definition {
	return []definition{
		{name: "employeeNumber", description: "The identifier that the organization gave the person."},
		{name: "costCenter", description: "The cost center."},
		{name: "organization", description: "The organization or company."},
		{name: "division", description: "The division."},
		{name: "department", description: "The department."},
		{name: "manager", description: "The person's manager.", kind: complexKind, sub: []definition{
			{name: "value", description: "The id of the manager.", exact: true},
			{name: "$ref", description: "The URI of the manager.", kind: referenceKind, refs: []schema.AttributeReferenceType{"User"}},
			{name: "displayName", description: "The manager's displayName."},
		}},
	}
}

// entraUserAttributes gives the attributes of Microsoft's extension of User.
func entraUserAttributes() []definition {
	attributes := definition{name: "onPremisesExtensionAttributes", description: "The extension attributes of Exchange.", kind: complexKind}
	for n := 1; n <= 15; n++ {
		number := strconv.Itoa(n)
		attributes.sub = append(attributes.sub,
			definition{name: "extensionAttribute" + number, description: "Extension attribute " + number + "."})
	}
	return []definition{
		{name: "creationType", description: "How the account was made: Invitation, LocalAccount, EmailVerified, SelfServiceSignUp; absent for an ordinary one."},
		{name: "employeeHireDate", description: "When the person was hired, or will start.", kind: dateTimeKind},
		{name: "mailNickname", description: "The mail alias."},
		{name: "officeLocation", description: "The office."},
		{name: "onPremisesDistinguishedName", description: "The distinguished name in the local Active Directory."},
		{name: "onPremisesDomainName", description: "The DNS name of the domain in the local Active Directory."},
		attributes,
		{name: "onPremisesImmutableId", description: "What ties the user to the object in the local Active Directory.", exact: true},
		{name: "onPremisesSAMAccountName", description: "The sAMAccountName in the local Active Directory."},
		{name: "onPremisesSecurityIdentifier", description: "The security identifier (SID) in the local Active Directory."},
		{name: "onPremisesSyncEnabled", description: "True while synchronized from a local Active Directory, false if once so, absent if never.", kind: booleanKind},
		{name: "onPremisesUserPrincipalName", description: "The user principal name in the local Active Directory."},
		{name: "preferredDataLocation", description: "The region in which the user's data is to be kept."},
		{name: "proxyAddresses", description: "All addresses of the mailbox, with their scheme.", multi: true},
		{name: "usageLocation", description: "The country in which licensed services are used, as a two-letter code."},
		{name: "userType", description: "Member or Guest."},
	}
}

// groupAttributes gives the attributes of the core Group schema, RFC 7643 §4.2.
func groupAttributes() []definition {
	return []definition{
		{name: "displayName", description: "The name as shown to people.", required: true},
		{name: "members", description: "The direct members.", kind: complexKind, multi: true, added: true, sub: []definition{
			{name: "value", description: "The id of the member.", exact: true},
			{name: "$ref", description: "The URI of the member.", kind: referenceKind, refs: []schema.AttributeReferenceType{"User", "Group"}},
			{name: "type", description: "The resource type of the member.", canonical: []string{"User", "Group"}},
			{name: "display", description: "The member's displayName."},
		}},
	}
}

// entraGroupAttributes gives the attributes of Microsoft's extension of Group.
func entraGroupAttributes() []definition {
	return []definition{
		{name: "description", description: "What the group is for."},
		{name: "expirationDateTime", description: "When the group expires.", kind: dateTimeKind},
		{name: "groupTypes", description: "Unified for a Microsoft 365 group, DynamicMembership where a rule chooses the members.", multi: true},
		{name: "mailEnabled", description: "Whether the group receives mail.", kind: booleanKind},
		{name: "mailNickname", description: "The mail alias."},
		{name: "onPremisesSAMAccountName", description: "The sAMAccountName in the local Active Directory."},
		{name: "onPremisesSecurityIdentifier", description: "The security identifier (SID) in the local Active Directory."},
		{name: "onPremisesSyncEnabled", description: "True while synchronized from a local Active Directory, false if once so, absent if never.", kind: booleanKind},
		{name: "proxyAddresses", description: "All addresses of the group, with their scheme.", multi: true},
		{name: "securityEnabled", description: "Whether access can be given to the group.", kind: booleanKind},
		{name: "securityIdentifier", description: "The security identifier (SID) of the group."},
	}
}
