package graphtest

import (
	"fmt"
	"regexp"
	"strings"
)

// kind is a type of directory object.
type kind uint8

const (
	kindUser kind = iota
	kindGroup
	kindDevice
	kindServicePrincipal
	kindContact
	kinds // their number
)

// typeNames are the entity types, without "#microsoft.graph.".
var typeNames = [kinds]string{"user", "group", "device", "servicePrincipal", "orgContact"}

// collections are the kinds that delta queries track, by path segment.
var collections = [2]string{"users", "groups"}

// propertyFlag says what is special about a property.
type propertyFlag uint16

const (
	// byDefault properties come without $select.
	byDefault propertyFlag = 1 << iota
	// collectionValued ones are [] and not null where a plain GET has no value.
	collectionValued
	// repetitive values are stored once per tenant, not once per object.
	repetitive
	// elsewhere ones are stored outside the directory: 501 NotImplemented
	// (concepts/delta-query-overview.md).
	elsewhere
	// untracked ones exist, but not in delta queries.
	untracked
	// navigation properties are no values; tracked ones are members, owners
	// and manager.
	navigation
)

// catalogue names the properties of one type. A tenant has its own copy, as
// directory extensions add to it.
type catalogue struct {
	typ   string
	names []string
	flags []propertyFlag
	index map[string]uint16 // name -> position in names and flags
}

func newCatalogue(typ string, groups ...propertyGroup) *catalogue {
	c := &catalogue{typ: typ, index: map[string]uint16{}}
	for _, g := range groups {
		for name := range strings.FieldsSeq(g.names) {
			c.add(name, g.flags)
		}
	}
	return c
}

func (c *catalogue) add(name string, flags propertyFlag) uint16 {
	i := uint16(len(c.names))
	c.names = append(c.names, name)
	c.flags = append(c.flags, flags)
	c.index[name] = i
	return i
}

// extensionName is the spelling of directory extensions
// (extension_<appid without dashes>_<name>) and of schema extensions
// (ext<8 characters>_<name>).
var extensionName = regexp.MustCompile(`^(extension_[0-9a-fA-F]{32}_[A-Za-z0-9_]+|ext[a-z0-9]{8}_[A-Za-z0-9_]+)$`)

// settable gives the position of a property that the world may be given a
// value of. An unknown name is a mistake in the calling test: it panics.
func (c *catalogue) settable(name string) uint16 {
	i, ok := c.index[name]
	switch {
	case !ok && (extensionName.MatchString(name) || c.typ != "user" && c.typ != "group"):
		return c.add(name, 0)
	case !ok:
		panic(fmt.Sprintf("graphtest: %q is no property of type microsoft.graph.%s", name, c.typ))
	case c.flags[i]&navigation != 0:
		panic(fmt.Sprintf("graphtest: %q is a relationship of type microsoft.graph.%s: use the method for it", name, c.typ))
	}
	return i
}

type propertyGroup struct {
	flags propertyFlag
	names string
}

// userCatalogue follows the table of properties in
// api-reference/v1.0/resources/user.md.
func userCatalogue() *catalogue {
	return newCatalogue("user",
		propertyGroup{byDefault | collectionValued, "businessPhones"},
		propertyGroup{byDefault, "displayName givenName"},
		propertyGroup{byDefault | repetitive, "jobTitle"},
		propertyGroup{byDefault, "mail mobilePhone"},
		propertyGroup{byDefault | repetitive, "officeLocation preferredLanguage"},
		propertyGroup{byDefault, "surname userPrincipalName"},
		propertyGroup{repetitive, `accountEnabled userType department companyName city country state
			postalCode streetAddress usageLocation employeeType employeeOrgData creationType
			externalUserState onPremisesSyncEnabled onPremisesDomainName ageGroup
			consentProvidedForMinor legalAgeGroupClassification passwordPolicies
			preferredDataLocation isResourceAccount showInAddressList isManagementRestricted
			faxNumber`},
		propertyGroup{0, `employeeId employeeHireDate employeeLeaveDateTime createdDateTime
			deletedDateTime mailNickname externalUserStateChangeDateTime
			lastPasswordChangeDateTime onPremisesDistinguishedName
			onPremisesExtensionAttributes onPremisesImmutableId onPremisesLastSyncDateTime
			onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesUserPrincipalName
			securityIdentifier signInSessionsValidFromDateTime passwordProfile
			authorizationInfo`},
		propertyGroup{collectionValued, `proxyAddresses otherMails imAddresses identities
			assignedLicenses assignedPlans provisionedPlans onPremisesProvisioningErrors
			serviceProvisioningErrors`},
		propertyGroup{elsewhere, `aboutMe birthday hireDate interests mailboxSettings mySite
			pastProjects preferredName responsibilities schools skills`},
		propertyGroup{untracked, `signInActivity licenseAssignmentStates customSecurityAttributes
			deviceEnrollmentLimit`},
		propertyGroup{navigation, "manager"},
		propertyGroup{navigation | untracked, `memberOf transitiveMemberOf directReports photo
			ownedObjects ownedDevices registeredDevices createdObjects licenseDetails calendar
			events messages drive extensions oauth2PermissionGrants appRoleAssignments`},
	)
}

// groupCatalogue follows api-reference/v1.0/resources/group.md.
func groupCatalogue() *catalogue {
	return newCatalogue("group",
		propertyGroup{byDefault, `displayName description createdDateTime deletedDateTime
			classification expirationDateTime mail mailNickname membershipRule renewedDateTime
			onPremisesLastSyncDateTime onPremisesSamAccountName onPremisesSecurityIdentifier
			onPremisesNetBiosName preferredLanguage securityIdentifier theme uniqueName`},
		propertyGroup{byDefault | repetitive, `securityEnabled mailEnabled isAssignableToRole
			visibility membershipRuleProcessingState onPremisesSyncEnabled onPremisesDomainName
			preferredDataLocation`},
		propertyGroup{byDefault | collectionValued | repetitive, `groupTypes
			resourceBehaviorOptions resourceProvisioningOptions creationOptions`},
		propertyGroup{byDefault | collectionValued, `proxyAddresses onPremisesProvisioningErrors
			serviceProvisioningErrors`},
		propertyGroup{0, "licenseProcessingState isManagementRestricted"},
		propertyGroup{collectionValued, "assignedLabels assignedLicenses"},
		propertyGroup{elsewhere, `allowExternalSenders autoSubscribeNewMembers hideFromAddressLists
			hideFromOutlookClients isSubscribedByMail unseenCount isArchived`},
		propertyGroup{untracked, "hasMembersWithLicenseErrors"},
		propertyGroup{navigation, "members owners"},
		propertyGroup{navigation | untracked, `memberOf transitiveMembers transitiveMemberOf
			membersWithLicenseErrors photo calendar events threads conversations drive sites team
			settings extensions acceptedSenders rejectedSenders createdOnBehalfOf
			appRoleAssignments permissionGrants`},
	)
}

func otherCatalogue(typ string) *catalogue {
	return newCatalogue(typ,
		propertyGroup{byDefault, "displayName mail"},
		propertyGroup{byDefault | repetitive, "accountEnabled operatingSystem"},
		propertyGroup{byDefault, "deviceId appId"},
	)
}

// selection is a parsed $select of one collection.
type selection struct {
	names []string // as asked, without id; nil: the default set
	wants []bool   // by position in the catalogue; shorter than it after an extension was added
	links bool     // members of a group, manager of a user
}

func (s *selection) has(name uint16) bool {
	return int(name) < len(s.wants) && s.wants[name]
}

// touches reports whether a change of any of these properties concerns the
// selection.
func (s *selection) touches(names []uint16) bool {
	for _, n := range names {
		if s.has(n) {
			return true
		}
	}
	return false
}

// relation is the navigation property that delta queries of this type carry.
func (c *catalogue) relation() string {
	if c.typ == "user" {
		return "manager"
	}
	return "members"
}

// parseSelect reads a $select exactly. A delta query refuses what Graph does
// not track; lists accept it.
func (c *catalogue) parseSelect(text string, present, delta bool) (*selection, *refusal) {
	sel := &selection{wants: make([]bool, len(c.names))}
	if !present {
		for i, f := range c.flags {
			sel.wants[i] = f&byDefault != 0
		}
		sel.links = delta && c.typ == "group"
		return sel, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		if refused := sel.add(c, strings.TrimSpace(name), delta); refused != nil {
			return nil, refused
		}
	}
	if sel.names == nil {
		sel.names = []string{}
	}
	return sel, nil
}

func (s *selection) add(c *catalogue, name string, delta bool) *refusal {
	if name == "id" {
		return nil
	}
	i, known := c.index[name]
	if !known {
		return refuse(400, codeBadRequest, fmt.Sprintf("Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, c.typ))
	}
	flags := c.flags[i]
	switch {
	case flags&elsewhere != 0:
		return refuse(501, "NotImplemented", "This operation target is not yet supported.")
	case delta && flags&untracked != 0:
		return refuse(400, codeBadRequest, fmt.Sprintf("The property '%s' of type 'microsoft.graph.%s' is not supported for change tracking.", name, c.typ))
	case flags&navigation != 0 && !delta:
		return refuse(400, codeBadRequest, fmt.Sprintf("Property '%s' of type 'microsoft.graph.%s' is a navigation property and cannot be selected.", name, c.typ))
	case flags&navigation != 0:
		s.links = s.links || name == c.relation()
	default:
		s.wants[i] = true
	}
	s.names = append(s.names, name)
	return nil
}

// selectAgain rebuilds the selection that a token carries.
func (c *catalogue) selectAgain(names []string) *selection {
	sel, _ := c.parseSelect(strings.Join(names, ","), names != nil, true)
	if sel == nil || names != nil && len(names) == 0 {
		sel = &selection{names: []string{}, wants: make([]bool, len(c.names))}
	}
	return sel
}
