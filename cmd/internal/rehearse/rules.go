package rehearse

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// Attributes as rules name them, in the notation of a mapping's keys.
const (
	givenName    = "name.givenName"
	familyName   = "name.familyName"
	userName     = "userName"
	primaryEmail = `emails[type eq "work" and primary eq true].value`
	country      = `addresses[type eq "work"].country`
)

// Lines for a mapping that give an attribute a value where Entra has none. Names
// and addresses are made as the presets make them.
var (
	mapGivenName  = ofPreset(givenName)
	mapFamilyName = ofPreset(familyName)
	mapEmail      = ofPreset(primaryEmail)
	mapUserName   = MappingLine{userName, `coalesce(user.mail, user.userPrincipalName)`}
	mapCountry    = MappingLine{country, `default(user.usageLocation, user.country)`}
)

// ofPreset gives the line of the preset for Okta, which demands the most.
func ofPreset(path string) MappingLine {
	for _, p := range mapping.Presets() {
		for _, r := range p.Rules {
			if p.Name == "okta" && r.Type == directory.User && r.Path == path {
				return MappingLine{path, r.Expression}
			}
		}
	}
	panic("the preset okta says nothing of " + path)
}

const leaveOut = "Give them one in Entra, map one (as mapping.preset okta does), or leave them out (users.where, users.guests)."

// noGivenName, noFamilyName and noEmail are demands of several platforms.
func noGivenName(effect, why string) rule {
	return rule{
		name: "no-given-name", effect: effect, attribute: givenName, what: "no first name", why: why,
		mend: leaveOut, mapping: []MappingLine{mapGivenName},
		user: func(u *user) (string, bool) { return "", blank(u.Name.GivenName) },
	}
}

func noFamilyName(effect, why string) rule {
	return rule{
		name: "no-family-name", effect: effect, attribute: familyName, what: "no last name", why: why,
		mend: leaveOut, mapping: []MappingLine{mapFamilyName},
		user: func(u *user) (string, bool) { return "", blank(u.Name.FamilyName) },
	}
}

func noEmail(effect, why string) rule {
	return rule{
		name: "no-primary-email", effect: effect, attribute: primaryEmail, what: "no primary e-mail address", why: why,
		mend: leaveOut, mapping: []MappingLine{mapEmail},
		user: func(u *user) (string, bool) { return "", blank(u.primary()) },
	}
}

// badEmail finds primary addresses that are none.
func badEmail(effect, why string) rule {
	return rule{
		name: "bad-email", effect: effect, attribute: primaryEmail, what: "a primary e-mail address that is none", why: why,
		mend: "Mend the address in Entra, or map another.", mapping: []MappingLine{mapEmail},
		user: func(u *user) (string, bool) {
			p := u.primary()
			return p, !blank(p) && !isEmail(p)
		},
	}
}

// severalPrimary finds users with more than one primary address.
func severalPrimary(why string) rule {
	return rule{
		name: "several-primary-emails", effect: Warning, attribute: primaryEmail, what: "more than one primary e-mail address", why: why,
		mend: "Map one expression only to a primary address.",
		user: func(u *user) (string, bool) {
			var all []string
			for _, e := range u.Emails {
				if e.Primary {
					all = append(all, e.Value)
				}
			}
			return strings.Join(all, " "), len(all) > 1
		},
	}
}

// sameUserName finds user names that differ in nothing but capitals.
func sameUserName(effect, why string) rule {
	return rule{
		name: "same-user-name", effect: effect, attribute: userName, what: "a userName that another has, but for capitals", why: why,
		mend: "Rename one of them in Entra, or leave one out (users.where).",
		same: func(u *user) string { return u.UserName },
	}
}

// sameEmail finds primary addresses of several users.
func sameEmail(effect, why string) rule {
	return rule{
		name: "same-email", effect: effect, attribute: primaryEmail, what: "a primary e-mail address that another has", why: why,
		mend: "Give one of them another address in Entra, or map userPrincipalName for those who share one.",
		same: func(u *user) string { return u.primary() },
	}
}

// sameGroupName finds groups that can't be told apart by name.
func sameGroupName(effect, why string) rule {
	return rule{
		name: "same-group-name", effect: effect, attribute: "displayName", what: "a name that another group has, but for capitals", why: why,
		mend: "Rename one of them in Entra, or leave one out (groups.where).", names: true,
	}
}

// nested finds groups with groups in them.
func nested(why string) rule {
	return rule{
		name: "nested-groups", effect: Warning, attribute: "members", what: "groups among their members", why: why,
		mend: "Where their people should count as members, set groups.nested: flatten.",
		group: func(g *group) (string, bool) {
			n := 0
			for _, m := range g.Members {
				if strings.EqualFold(m.Type, "Group") {
					n++
				}
			}
			return fmt.Sprintf("%d of %d members", n, len(g.Members)), n > 0
		},
	}
}

// length bounds the characters of an attribute.
func length(name, attribute, property string, least, most int, of func(*user) string, why string) rule {
	what := fmt.Sprintf("a %s of more than %d characters", attribute, most)
	if least > 1 {
		what = fmt.Sprintf("a %s of less than %d or more than %d characters", attribute, least, most)
	}
	r := rule{
		name: name, effect: Rejected, attribute: attribute, what: what, why: why,
		mend: "Map a part of it, or mend it in Entra.",
		user: func(u *user) (string, bool) {
			n := utf8.RuneCountInString(of(u))
			return of(u), n > 0 && (n < least || n > most)
		},
	}
	if property != "" {
		r.mapping = []MappingLine{{attribute, fmt.Sprintf("substring(%s, 0, %d)", property, most)}}
	}
	return r
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// isEmail says whether a text has the form of an e-mail address: something, an
// @, and a host name with a dot. It is no more exact than the platforms are.
func isEmail(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || strings.ContainsAny(s, " \t\r\n<>()[],;:\\\"") || strings.Contains(domain, "@") {
		return false
	}
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") {
			return false
		}
	}
	return len(labels) > 1
}
