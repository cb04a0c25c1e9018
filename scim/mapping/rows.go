package mapping

import (
	"fmt"
	"slices"

	"scimbridge/scim/directory"
)

// The schemas of what is rendered. Those of Microsoft's are the ones of its own
// SCIM API (learn.microsoft.com, "Microsoft Entra ID SCIM API schema"), so that
// rules written for one endpoint work with the other.
const (
	UserSchema           = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupSchema          = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseUserSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	EntraUserSchema      = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"
	EntraGroupSchema     = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:Group"
)

// A Transform says how the value of a Graph property becomes the value of a
// SCIM attribute. A property that is absent or says nothing (null, "", [], {})
// gives no value; one of another JSON kind than the transform takes gives a
// [Problem] and no value.
type Transform uint8

// The transforms.
const (
	Text       Transform = iota // a string, as it is
	Boolean                     // true or false
	DateTime                    // a string in the form of RFC 3339, as it is
	Each                        // of an array, every string that is not empty
	Address                     // a string that is routable as an e-mail address, as it is
	SMTP                        // of an array, the addresses of the entries that begin with smtp:, in any case
	Reference                   // a string, an id: the URL of that user in our endpoint
	OrTrue                      // true or false; true where there is no value
	OrID                        // a string; the object's id where no row of the path has a value
	Created                     // a string in the form of RFC 3339, for the directory
	Expression                  // the value of an expression over the object
)

// String gives the transform's name in the documentation.
func (t Transform) String() string {
	switch t {
	case Text:
		return "text"
	case Boolean:
		return "boolean"
	case DateTime:
		return "dateTime"
	case Each:
		return "each"
	case Address:
		return "address"
	case SMTP:
		return "smtp"
	case Reference:
		return "reference"
	case OrTrue:
		return "boolean, else true"
	case OrID:
		return "text, else id"
	case Created:
		return "dateTime, for meta"
	case Expression:
		return "expression"
	}
	return fmt.Sprintf("Transform(%d)", uint8(t))
}

// A Row is one line of the mapping table.
type Row struct {
	// Type is the resource type that the row belongs to.
	Type directory.Type
	// Path is the SCIM attribute path, in the notation of RFC 7644 §3.5.2;
	// attributes of extensions have the URN of their schema in front. Rows of
	// one path follow each other: the first that has a value gives it.
	Path string
	// Property is the Graph property, with a dot before a property within it.
	Property string
	// Transform is how the one becomes the other.
	Transform Transform
	// Note says what the columns don't.
	Note string
	// Expression is the expression of a row that a preset or a configuration
	// gives; such a row has no Property.
	Expression string
	// Origin says where the row comes from: "" for the default mapping, the
	// name of a preset, or [Rule.Place].
	Origin string

	rule *compiledRule // of Expression
}

// Rows gives the default mapping table: all rows of users and then of groups, in the
// order in which they are rendered.
func Rows() []Row {
	return slices.Concat(userRows(), groupRows())
}

// userRows gives the rows of users, in the order of RFC 7643 §4.1.
func userRows() []Row {
	rows := []Row{
		{Path: "id", Property: "id", Transform: Text, Note: "the object id"},
		{Path: "meta.created", Property: "createdDateTime", Transform: Created},
		{Path: "userName", Property: "userPrincipalName", Transform: OrID, Note: "never absent; falling back on the id is a problem that is reported"},
		{Path: "name.familyName", Property: "surname", Transform: Text},
		{Path: "name.givenName", Property: "givenName", Transform: Text},
		{Path: "displayName", Property: "displayName", Transform: Text},
		{Path: "title", Property: "jobTitle", Transform: Text},
		{Path: "userType", Property: "employeeType", Transform: Text, Note: "Graph's own userType (Member, Guest) is in the Entra extension"},
		{Path: "preferredLanguage", Property: "preferredLanguage", Transform: Text},
		{Path: "active", Property: "accountEnabled", Transform: OrTrue, Note: "never absent; false for a removed user who is kept for a while"},
		{Path: `emails[type eq "work" and primary eq true].value`, Property: "mail", Transform: Text},
		{Path: `emails[type eq "work" and primary eq true].value`, Property: "userPrincipalName", Transform: Address, Note: "only where there is no mail"},
		{Path: `emails[type eq "other"].value`, Property: "otherMails", Transform: Each},
		{Path: `emails[type eq "work"].value`, Property: "proxyAddresses", Transform: SMTP},
		{Path: `phoneNumbers[type eq "work"].value`, Property: "businessPhones", Transform: Each, Note: "Graph holds at most one"},
		{Path: `phoneNumbers[type eq "mobile"].value`, Property: "mobilePhone", Transform: Text},
		{Path: `phoneNumbers[type eq "fax"].value`, Property: "faxNumber", Transform: Text},
		{Path: `ims[type eq "work"].value`, Property: "imAddresses", Transform: Each},
		{Path: `addresses[type eq "work"].streetAddress`, Property: "streetAddress", Transform: Text},
		{Path: `addresses[type eq "work"].locality`, Property: "city", Transform: Text},
		{Path: `addresses[type eq "work"].region`, Property: "state", Transform: Text},
		{Path: `addresses[type eq "work"].postalCode`, Property: "postalCode", Transform: Text},
		{Path: `addresses[type eq "work"].country`, Property: "country", Transform: Text, Note: "as Entra has it: a name or a code"},
	}
	rows = append(rows, under(EnterpriseUserSchema, []Row{
		{Path: "employeeNumber", Property: "employeeId", Transform: Text},
		{Path: "costCenter", Property: "employeeOrgData.costCenter", Transform: Text},
		{Path: "organization", Property: "companyName", Transform: Text},
		{Path: "division", Property: "employeeOrgData.division", Transform: Text},
		{Path: "department", Property: "department", Transform: Text},
		{Path: "manager.value", Property: "manager.id", Transform: Text, Note: "the manager's object id"},
		{Path: "manager.$ref", Property: "manager.id", Transform: Reference},
	})...)
	rows = append(rows, under(EntraUserSchema, entraUserRows())...)
	return of(directory.User, rows)
}

// entraUserRows gives the rows of Microsoft's extension for users, in the order
// of its page.
func entraUserRows() []Row {
	rows := []Row{
		{Path: "creationType", Property: "creationType", Transform: Text},
		{Path: "employeeHireDate", Property: "employeeHireDate", Transform: DateTime},
		{Path: "mailNickname", Property: "mailNickname", Transform: Text},
		{Path: "officeLocation", Property: "officeLocation", Transform: Text},
		{Path: "onPremisesDistinguishedName", Property: "onPremisesDistinguishedName", Transform: Text},
		{Path: "onPremisesDomainName", Property: "onPremisesDomainName", Transform: Text},
	}
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"} {
		name := "onPremisesExtensionAttributes.extensionAttribute" + n
		rows = append(rows, Row{Path: name, Property: name, Transform: Text})
	}
	return append(rows, []Row{
		{Path: "onPremisesImmutableId", Property: "onPremisesImmutableId", Transform: Text},
		{Path: "onPremisesSAMAccountName", Property: "onPremisesSamAccountName", Transform: Text, Note: "spelt differently in Graph"},
		{Path: "onPremisesSecurityIdentifier", Property: "onPremisesSecurityIdentifier", Transform: Text},
		{Path: "onPremisesSyncEnabled", Property: "onPremisesSyncEnabled", Transform: Boolean, Note: "absent: never synchronized"},
		{Path: "onPremisesUserPrincipalName", Property: "onPremisesUserPrincipalName", Transform: Text},
		{Path: "preferredDataLocation", Property: "preferredDataLocation", Transform: Text},
		{Path: "proxyAddresses", Property: "proxyAddresses", Transform: Each, Note: "all of them, with their prefix"},
		{Path: "usageLocation", Property: "usageLocation", Transform: Text},
		{Path: "userType", Property: "userType", Transform: Text, Note: "Member or Guest"},
	}...)
}

// groupRows gives the rows of groups.
func groupRows() []Row {
	rows := []Row{
		{Path: "id", Property: "id", Transform: Text, Note: "the object id"},
		{Path: "meta.created", Property: "createdDateTime", Transform: Created},
		{Path: "displayName", Property: "displayName", Transform: Text},
		{Path: "displayName", Property: "mailNickname", Transform: OrID, Note: "only where there is no displayName; never absent; falling back on the id is a problem that is reported"},
	}
	return of(directory.Group, append(rows, under(EntraGroupSchema, []Row{
		{Path: "description", Property: "description", Transform: Text},
		{Path: "expirationDateTime", Property: "expirationDateTime", Transform: DateTime},
		{Path: "groupTypes", Property: "groupTypes", Transform: Each, Note: "Unified, DynamicMembership"},
		{Path: "mailEnabled", Property: "mailEnabled", Transform: Boolean},
		{Path: "mailNickname", Property: "mailNickname", Transform: Text},
		{Path: "onPremisesSAMAccountName", Property: "onPremisesSamAccountName", Transform: Text, Note: "spelt differently in Graph"},
		{Path: "onPremisesSecurityIdentifier", Property: "onPremisesSecurityIdentifier", Transform: Text},
		{Path: "onPremisesSyncEnabled", Property: "onPremisesSyncEnabled", Transform: Boolean, Note: "absent: never synchronized"},
		{Path: "proxyAddresses", Property: "proxyAddresses", Transform: Each, Note: "all of them, with their prefix"},
		{Path: "securityEnabled", Property: "securityEnabled", Transform: Boolean},
		{Path: "securityIdentifier", Property: "securityIdentifier", Transform: Text},
	})...))
}

// under puts rows into the namespace of an extension.
func under(urn string, rows []Row) []Row {
	for i := range rows {
		rows[i].Path = urn + ":" + rows[i].Path
	}
	return rows
}

// of gives rows their resource type.
func of(t directory.Type, rows []Row) []Row {
	for i := range rows {
		rows[i].Type = t
	}
	return rows
}
