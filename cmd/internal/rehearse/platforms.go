package rehearse

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// okta is Okta's import from a SCIM application: always full, 100 a page,
// without discovery (developer.okta.com, "SCIM 2.0 protocol reference").
func okta() *Platform {
	return &Platform{
		Name: "okta", Title: "Okta",
		Header: http.Header{
			"User-Agent": {"Okta SCIM Client 1.0.0"}, "Accept": {contentType}, "Accept-Charset": {"utf-8"},
			"Content-Type": {contentType + "; charset=utf-8"},
		},
		sequence: func(s *session) {
			u, ok := s.first("test of the credentials", "startIndex=1&count=2")
			if ok {
				s.lookUp("match by userName", "/Users", "userName eq "+quoted(u.UserName), "&startIndex=1&count=100", -1)
				s.lookUp("match in capitals", "/Users", "userName eq "+quoted(strings.ToUpper(u.UserName)), "&startIndex=1&count=100", -1)
				s.one(u.ID)
			}
			s.lookUp("match of nobody", "/Users", "userName eq "+quoted(rand.Text()+"@example.com"), "&startIndex=1&count=100", 0)
			s.nobody()
			s.users(100, false)
			s.groups(100, false)
			s.past("/Users")
		},
		rules: []rule{
			noGivenName(Rejected, "Okta requires a first name, unless the attribute is made optional in the profile editor."),
			noFamilyName(Rejected, "Okta requires a last name, unless the attribute is made optional in the profile editor."),
			noEmail(Rejected, "Okta requires an e-mail address, and takes the one that is marked primary."),
			badEmail(Rejected, "Okta checks the form of the address."),
			{
				name: "user-name-no-email", effect: Rejected, attribute: userName, what: "a userName that is no e-mail address",
				why:  "Okta's user names have the form of an e-mail address, unless the format restriction is changed in the profile editor.",
				mend: "Map an address, or change the format restriction.", mapping: []MappingLine{mapUserName},
				user: func(u *user) (string, bool) { return u.UserName, !isEmail(u.UserName) },
			},
			length("user-name-length", userName, "", 5, 100, func(u *user) string { return u.UserName }, "Okta takes user names of 5 to 100 characters."),
			length("given-name-length", givenName, "user.givenName", 1, 50, func(u *user) string { return u.Name.GivenName }, "Okta takes first names of up to 50 characters."),
			length("family-name-length", familyName, "user.surname", 1, 50, func(u *user) string { return u.Name.FamilyName }, "Okta takes last names of up to 50 characters."),
			sameUserName(Mismatched, "Okta compares user names without regard to capitals: the two would be one user."),
			sameEmail(Warning, "Where Okta matches imported users by e-mail address, the two can't be told apart."),
			severalPrimary("Okta takes one of them."),
			nested("Okta has no groups in groups: it passes over members that are groups."),
			sameGroupName(Warning, "Imported groups are chosen by name in Okta's rules and assignments."),
		},
	}
}

// sailpoint is an account and group aggregation of SailPoint's SCIM 2.0
// connectors, with every answer held against /Schemas, and a delta
// (documentation.sailpoint.com, connectors/scim_2_0).
func sailpoint() *Platform {
	return &Platform{
		Name: "sailpoint", Title: "SailPoint",
		Header: http.Header{"Accept": {contentType}, "Content-Type": {contentType}},
		sequence: func(s *session) {
			s.document("/ServiceProviderConfig")
			s.document("/ResourceTypes")
			s.document("/ResourceTypes/User")
			s.document("/ResourceTypes/Group")
			s.judge.strict = strictly(s.document("/Schemas"))
			u, ok := s.first("test of the connection", "startIndex=1&count=1")
			if ok {
				s.one(u.ID)
			}
			s.users(100, false)
			s.groups(100, false)
			s.conforms()
			s.lookUp("filter of the source", "/Users", `username sw "a"`, "&count=1", -1)
			s.delta("and userName pr")
		},
		rules: []rule{
			noEmail(Rejected, "An identity needs a work e-mail address: from an authoritative source, it stays incomplete without."),
			noFamilyName(Rejected, "An identity needs a last name: from an authoritative source, it stays incomplete without."),
			badEmail(Warning, "SailPoint writes to the address."),
			noGivenName(Warning, "Identity profiles map the first name, and display names are often made of it."),
			sameUserName(Mismatched, "The account name, by which accounts are correlated, is compared without regard to capitals."),
			sameEmail(Mismatched, "Where accounts are correlated by e-mail address, the two go to one identity."),
			{
				name: "group-emoji", effect: Warning, attribute: "displayName", what: "an emoji, or another rare character, in their name",
				why:  "SailPoint's connector for Entra ID names emojis in entitlement names as a cause of failed aggregations.",
				mend: "Rename them in Entra.",
				group: func(g *group) (string, bool) {
					return g.DisplayName, strings.ContainsFunc(g.DisplayName, func(r rune) bool { return r >= 0x10000 })
				},
			},
			sameGroupName(Warning, "Entitlements with one display name can't be told apart in requests and reviews."),
			nested("Members that are groups are no accounts; SailPoint counts direct members only."),
		},
	}
}

// ping is the SCIM connector of PingOne Advanced Identity Cloud and PingIDM into
// managed users, whose schema demands user name, both names and an address
// (docs.pingidentity.com, "User identity attributes and properties").
func ping() *Platform {
	return &Platform{
		Name: "ping", Title: "Ping Identity",
		Header: http.Header{"Accept": {contentType}, "Content-Type": {contentType}},
		sequence: func(s *session) {
			s.document("/ServiceProviderConfig")
			s.document("/Schemas")
			s.document("/ResourceTypes")
			u, ok := s.first("test of the connector", "count=1")
			if ok {
				s.one(u.ID)
				s.lookUp("correlation by userName", "/Users", "userName eq "+quoted(u.UserName), "", -1)
			}
			s.users(100, false)
			s.groups(100, false)
		},
		rules: []rule{
			noGivenName(Rejected, "Managed users need givenName."),
			noFamilyName(Rejected, "Managed users need sn."),
			noEmail(Rejected, "Managed users need mail."),
			badEmail(Rejected, "The policy valid-email-address-format checks mail."),
			sameUserName(Rejected, "User names are unique: the second is refused."),
			sameEmail(Warning, "Where the correlation query looks for mail, it finds both."),
			{
				name: "country-no-code", effect: Warning, attribute: country, what: "a country that is no code of two letters",
				why:  "PingOne takes ISO 3166-1 alpha-2 codes only.",
				mend: "Map the usage location, which is such a code.", mapping: []MappingLine{mapCountry},
				user: func(u *user) (string, bool) {
					for _, a := range u.Addresses {
						if a.Country != "" && !isCountryCode(a.Country) {
							return a.Country, true
						}
					}
					return "", false
				},
			},
			sameGroupName(Warning, "Groups become roles or assignments by name."),
			nested("Members that are groups are passed over."),
		},
	}
}

// isCountryCode says whether a text has the form of an ISO 3166-1 alpha-2 code.
func isCountryCode(s string) bool {
	return len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// The limits of SAP's Identity Directory.
const (
	sapMembers = 20_000
	sapGroups  = 1_000
)

// sap is a job of SAP Cloud Identity Services, Identity Provisioning, from a
// source system of type SCIM into Identity Authentication: a full read that moves
// on by itemsPerPage, and a delta read (help.sap.com, "Manage Full and Delta
// Read"; knowledge base articles 3032471, 3683236, 3740332).
func sap() *Platform {
	return &Platform{
		Name: "sap", Title: "SAP Cloud Identity Services",
		Header: http.Header{"Accept": {contentType + ", application/json"}},
		sequence: func(s *session) {
			u, ok := s.first("test of the source system", "startIndex=1&count=1")
			s.users(100, true)
			s.groups(100, true)
			if ok {
				s.lookUp("entity by userName", "/Users", "userName eq "+quoted(u.UserName), "", -1)
			}
			s.lookUp("filter of the documentation", "/Users", `name.familyName eq "SmithJ" and addresses.country eq "US"`, "&startIndex=1&count=100", -1)
			s.delta("")
		},
		rules: []rule{
			noEmail(Rejected, "The transformation skips users whose emails are empty, and correlates by the primary address."),
			noFamilyName(Rejected, "Identity Authentication requires a last name."),
			sameEmail(Rejected, "Identity Authentication answers 409 to a second user with a primary address, even where users are told apart by userName."),
			sameUserName(Rejected, "Login names are unique: the second user is refused."),
			badEmail(Rejected, "Identity Authentication checks the form of the address."),
			noGivenName(Warning, "It is empty in Identity Authentication then, and in what is made from it."),
			{
				name: "too-many-groups", effect: Rejected, attribute: "groups", what: fmt.Sprintf("more than %d groups", sapGroups),
				why:  "The Identity Directory takes no user with more.",
				mend: "Leave groups out that SAP has no use for (groups.where).",
				user: func(u *user) (string, bool) {
					return fmt.Sprintf("%d groups", len(u.Groups)), len(u.Groups) > sapGroups
				},
			},
			{
				name: "too-many-members", effect: Rejected, attribute: "members", what: fmt.Sprintf("more than %d members", sapMembers),
				why:  "The Identity Directory takes no group with more.",
				mend: "Leave them out (groups.where).",
				group: func(g *group) (string, bool) {
					return fmt.Sprintf("%d members", len(g.Members)), len(g.Members) > sapMembers
				},
			},
			{
				name: "no-group-name", effect: Rejected, attribute: "displayName", what: "no name",
				why:   "A group of the Identity Directory needs a display name.",
				mend:  "Name them in Entra.",
				group: func(g *group) (string, bool) { return "", blank(g.DisplayName) },
			},
			sameGroupName(Mismatched, "Groups are found in target systems by their display name."),
			nested("Groups in groups are provisioned only where the target system takes them."),
		},
	}
}

// Requests that only some platforms make.

// past asks beyond the end of a list, as Okta's quality assurance does.
func (s *session) past(endpoint string) {
	total := s.judge.users
	path := fmt.Sprintf("%s?startIndex=%d&count=100", endpoint, total+101)
	began := time.Now()
	l, err := s.list(path, nil)
	if err == nil && l.resources != 0 {
		err = fmt.Errorf("%d came from beyond the end", l.resources)
	}
	s.note("a page beyond the end", "GET "+path, 1, began, "0", err)
}

// delta asks for what changed lately, as delta reads do.
func (s *session) delta(and string) {
	since := s.report.Started.Add(-24 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	filter := strings.TrimSpace(`meta.lastModified gt "` + since + `" ` + and)
	s.lookUp("delta read of users", "/Users", filter, "&startIndex=1&count=100", -1)
	s.lookUp("delta read of groups", "/Groups", `meta.lastModified gt "`+since+`"`, "&startIndex=1&count=100&excludedAttributes=members", -1)
}

// conforms records whether all that was read is in the schemas.
func (s *session) conforms() {
	var fault error
	for attribute, n := range s.judge.unknown {
		fault = fmt.Errorf("%s is in no schema, and came %d times", attribute, n)
		break
	}
	s.note("validation", "every answer against /Schemas", s.judge.users+s.judge.groups, time.Now(), "all attributes are known", fault)
}

// coreSchemas is how the URNs of the schemas begin whose attributes stand at the
// top of a resource; those of others stand in an attribute called like the URN.
const coreSchemas = "urn:ietf:params:scim:schemas:core:"

// strictly gives a function that names the first attribute of a resource that
// is in none of the schemas.
func strictly(schemas map[string]any) func(json.RawMessage) string {
	known := map[string]bool{"schemas": true, "id": true, "externalid": true, "meta": true}
	all, _ := schemas["Resources"].([]any)
	for _, s := range all {
		m, _ := s.(map[string]any)
		id, _ := m["id"].(string)
		known[strings.ToLower(id)] = true
		attributes, _ := m["attributes"].([]any)
		for _, a := range attributes {
			described, _ := a.(map[string]any)
			name, _ := described["name"].(string)
			prefix := id + ":"
			if strings.HasPrefix(strings.ToLower(id), coreSchemas) {
				prefix = ""
			}
			known[strings.ToLower(prefix+name)] = true
		}
	}
	return func(raw json.RawMessage) string {
		var r map[string]json.RawMessage
		if json.Unmarshal(raw, &r) != nil {
			return "" // the judge says so
		}
		for name, value := range r {
			if !known[strings.ToLower(name)] {
				return name
			}
			if !strings.HasPrefix(strings.ToLower(name), "urn:") {
				continue
			}
			var inner map[string]json.RawMessage
			if json.Unmarshal(value, &inner) != nil {
				return name
			}
			for sub := range inner {
				if !known[strings.ToLower(name+":"+sub)] {
					return name + ":" + sub
				}
			}
		}
		return ""
	}
}
