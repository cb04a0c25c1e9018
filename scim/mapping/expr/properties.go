package expr

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
)

// A Property is a property of Graph that expressions may read.
type Property struct {
	// Name is the name in Graph.
	Name string
	// Type is the type of its value in expressions.
	Type Type
	// Aside says that delta queries do not bring the property: it has to be
	// read on its own.
	Aside bool
	// Permission is the application permission that it needs beside those for
	// reading users and groups at all, "" for none.
	Permission string
}

// Permissions that single properties need.
const (
	permissionAudit     = "AuditLog.Read.All"
	permissionSecurity  = "CustomSecAttributeAssignment.Read.All"
	permissionLifeCycle = "User-LifeCycleInfo.Read.All"
)

// Properties of users and of groups by type, after the tables of the pages
// "user resource type" and "group resource type" (Microsoft Graph v1.0).
const (
	userTexts = `ageGroup city companyName consentProvidedForMinor country creationType department
		displayName employeeId employeeType externalUserState faxNumber givenName id jobTitle
		legalAgeGroupClassification mail mailNickname mobilePhone officeLocation
		onPremisesDistinguishedName onPremisesDomainName onPremisesImmutableId
		onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesUserPrincipalName
		passwordPolicies postalCode preferredDataLocation preferredLanguage securityIdentifier
		state streetAddress surname usageLocation userPrincipalName userType`
	userBools = `accountEnabled isManagementRestricted isResourceAccount onPremisesSyncEnabled showInAddressList`
	userDates = `createdDateTime deletedDateTime employeeHireDate employeeLeaveDateTime
		externalUserStateChangeDateTime lastPasswordChangeDateTime onPremisesLastSyncDateTime
		signInSessionsValidFromDateTime`
	userLists = `businessPhones imAddresses otherMails proxyAddresses`

	groupTexts = `classification description displayName id mail mailNickname membershipRule
		membershipRuleProcessingState onPremisesDomainName onPremisesNetBiosName
		onPremisesSamAccountName onPremisesSecurityIdentifier preferredDataLocation
		preferredLanguage securityIdentifier theme uniqueName visibility`
	groupBools = `isAssignableToRole isManagementRestricted mailEnabled onPremisesSyncEnabled securityEnabled`
	groupDates = `createdDateTime deletedDateTime expirationDateTime onPremisesLastSyncDateTime renewedDateTime`
	groupLists = `creationOptions groupTypes proxyAddresses resourceBehaviorOptions resourceProvisioningOptions`
)

// outside are the properties that Graph keeps outside of the directory: it
// refuses a delta query that asks for one.
const outside = `aboutMe birthday hireDate interests mailboxSettings mySite pastProjects preferredName
	responsibilities schools skills allowExternalSenders autoSubscribeNewMembers hideFromAddressLists
	hideFromOutlookClients isSubscribedByMail unseenCount isArchived`

// relations are what is no property but a relationship.
const relations = `members owners memberOf transitiveMembers transitiveMemberOf directReports photo
	ownedObjects ownedDevices registeredDevices createdObjects licenseDetails appRoleAssignments
	extensions`

// A builder makes the table of types.
type builder struct{ table *typeTable }

// object makes the type of an object: "texts", then pairs of type and names.
func (b builder) object(name, path string, fields map[Type]string) *objectType {
	o := &objectType{cel: cel.ObjectType("graph." + name), path: path, fields: map[string]*propertyType{}}
	for kind, names := range fields {
		for field := range strings.FieldsSeq(names) {
			o.fields[field] = newPropertyType(kind, nil)
		}
	}
	b.table.named["graph."+name] = o
	return o
}

// newTypeTable makes the types of a kind of object.
func newTypeTable(k Kind) *typeTable {
	t := &typeTable{named: map[string]*objectType{}}
	b := builder{t}
	if k == Group {
		t.root = b.object("group", "group", map[Type]string{Text: groupTexts, Bool: groupBools, Date: groupDates, Texts: groupLists})
		t.root.fields["licenseProcessingState"] = newPropertyType(Map,
			b.object("licenseProcessingState", "group.licenseProcessingState", map[Type]string{Text: "state"}))
		t.root.fields["assignedLabels"] = newPropertyType(List,
			b.object("assignedLabel", "an element of group.assignedLabels", map[Type]string{Text: "labelId displayName"}))
	} else {
		t.root = b.object("user", "user", map[Type]string{Text: userTexts, Bool: userBools, Date: userDates, Texts: userLists})
		b.userObjects()
	}
	t.root.variable = k.String()
	t.root.fields["assignedLicenses"] = newPropertyType(List, b.object("assignedLicense",
		"an element of "+k.String()+".assignedLicenses", map[Type]string{Text: "skuId", Texts: "disabledPlans"}))
	t.root.open = b.extensions(k)
	return t
}

// userObjects adds the properties of users that are objects.
func (b builder) userObjects() {
	fields := b.table.root.fields
	add := func(name string, members map[Type]string) *objectType {
		o := b.object(name, "user."+name, members)
		fields[name] = newPropertyType(Map, o)
		return o
	}
	add("employeeOrgData", map[Type]string{Text: "costCenter division"})
	var numbered strings.Builder
	for n := 1; n <= 15; n++ {
		numbered.WriteString(" extensionAttribute" + strconv.Itoa(n))
	}
	add("onPremisesExtensionAttributes", map[Type]string{Text: numbered.String()})
	add("manager", map[Type]string{Text: "id"})
	add("signInActivity", map[Type]string{
		Date: "lastSignInDateTime lastNonInteractiveSignInDateTime lastSuccessfulSignInDateTime",
		Text: "lastSignInRequestId lastNonInteractiveSignInRequestId lastSuccessfulSignInRequestId"})
	list := func(name, element string, members map[Type]string) {
		fields[name] = newPropertyType(List, b.object(element, "an element of user."+name, members))
	}
	list("identities", "objectIdentity", map[Type]string{Text: "signInType issuer issuerAssignedId"})
	list("assignedPlans", "assignedPlan", map[Type]string{Text: "capabilityStatus service servicePlanId", Date: "assignedDateTime"})

	set := b.object("attributeSet", "an attribute set of user.customSecurityAttributes", nil)
	value := newPropertyType(Any, nil)
	set.open = func(name string) *propertyType { return value }
	attributes := add("customSecurityAttributes", nil)
	sets := newPropertyType(Map, set)
	attributes.open = func(string) *propertyType { return sets }
}

// extensions gives the types of properties that tenants add: directory
// extensions, of which the type is not known, and schema extensions, which are
// objects of such.
func (b builder) extensions(k Kind) func(string) *propertyType {
	value := newPropertyType(Any, nil)
	schema := b.object("schemaExtension", "a schema extension of the "+k.String(), nil)
	schema.open = func(string) *propertyType { return value }
	object := newPropertyType(Map, schema)
	return func(name string) *propertyType {
		switch {
		case directoryExtension.MatchString(name):
			return value
		case schemaExtension.MatchString(name) && !strings.HasPrefix(name, "extension_"):
			return object
		}
		return nil
	}
}

// objectTypes are the types of each kind, made once. They are not changed: an Env,
// which adds a registry to its own, makes them for itself.
var objectTypes = [...]func() *typeTable{
	User:  sync.OnceValue(func() *typeTable { return newTypeTable(User) }),
	Group: sync.OnceValue(func() *typeTable { return newTypeTable(Group) }),
}

// Properties lists the documented properties of a kind, sorted. Tenants have
// others beside them: directory extensions and schema extensions.
func Properties(k Kind) []Property {
	root := objectTypes[k]().root
	var all []Property
	for _, name := range root.names() {
		all = append(all, property(name, root.fields[name].kind))
	}
	return all
}

// Lookup gives a property by name.
func Lookup(k Kind, name string) (Property, bool) {
	f := objectTypes[k]().root.field(name)
	if f == nil {
		return Property{}, false
	}
	return property(name, f.kind), true
}

// property tells what is special about a property.
func property(name string, t Type) Property {
	p := Property{Name: name, Type: t}
	switch name {
	case "signInActivity":
		p.Aside, p.Permission = true, permissionAudit
	case "customSecurityAttributes":
		p.Aside, p.Permission = true, permissionSecurity
	case "employeeLeaveDateTime":
		p.Permission = permissionLifeCycle
	}
	return p
}

// within says whether a name stands in a list.
func within(list, name string) bool { return slices.Contains(strings.Fields(list), name) }
