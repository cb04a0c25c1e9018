package mapping

import (
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"
)

// A Preset is a mapping with the habits of a platform.
type Preset struct {
	// Name is how a configuration names it.
	Name string
	// Doc says what it is for.
	Doc string
	// Rules are what it changes of the default mapping.
	Rules []PresetRule
}

// A PresetRule is a rule of a preset.
type PresetRule struct {
	Type             directory.Type
	Path, Expression string
	// Made is a condition over the object: true says that the value is made up
	// from others, since Entra has none. "": it never is.
	Made string
	// Why is what the platform needs it for.
	Why string
}

// Expressions that several presets have.
const (
	givenName  = `coalesce(user.givenName, regexExtract(trim(user.displayName), "^(.+)\\s\\S+$"), user.displayName, localPart(user.userPrincipalName))`
	familyName = `coalesce(user.surname, regexExtract(user.displayName, "(\\S+)\\s*$"), localPart(user.userPrincipalName))`
	workMail   = `coalesce(user.mail, routable(user.userPrincipalName) ? user.userPrincipalName : "", first(smtp(user.proxyAddresses)), first(user.otherMails), user.userPrincipalName)`
	noMail     = `!has(user.mail) && !routable(user.userPrincipalName) && size(smtp(user.proxyAddresses)) == 0 && !has(user.otherMails)`
)

// Presets lists the presets.
func Presets() []Preset {
	names := []PresetRule{
		{directory.User, "name.givenName", givenName, `!has(user.givenName)`, "an account without a first name is refused, or imported without a name"},
		{directory.User, "name.familyName", familyName, `!has(user.surname)`, "the same for the last name"},
	}
	mail := PresetRule{directory.User, `emails[type eq "work" and primary eq true].value`, workMail, noMail,
		"everybody needs a primary address; the user principal name stands in where there is no other"}
	return []Preset{
		{"entra-default", "The default mapping: what Microsoft's own SCIM API for Entra ID serves. The same as no preset.", nil},
		{"okta", "For an import into Okta, which refuses people without a name or a primary e-mail address.", append(slices.Clone(names),
			PresetRule{directory.User, "displayName", `coalesce(user.displayName, join([user.givenName, user.surname], " "), user.userPrincipalName)`,
				`!has(user.displayName)`, "shown in the directory"},
			mail,
			PresetRule{directory.User, `addresses[type eq "work"].country`, `matches(user.country, "^[A-Za-z]{2}$") ? upper(user.country) : ""`, "",
				"Okta's countryCode takes a code of two letters (ISO 3166-1), as RFC 7643 §4.1.2 asks for; a name is left out"},
		)},
		{"sailpoint", "For an aggregation by SailPoint, whose identities need a last name and a work e-mail address.", append(slices.Clone(names),
			PresetRule{directory.User, "name.formatted", `coalesce(user.displayName, join([user.givenName, user.surname], " "), user.userPrincipalName)`,
				`!has(user.displayName)`, "a full name for rules that correlate accounts"},
			mail,
		)},
	}
}

// preset takes in the rules of a preset.
func (b *table) preset(name, setting string) {
	if name == "" {
		return
	}
	all := Presets()
	i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		var names []string
		for _, p := range all {
			names = append(names, p.Name)
		}
		mend := "write one of " + strings.Join(names, ", ")
		if near := expr.Nearest(name, names); near != "" {
			mend = "did you mean " + near + "?"
		}
		b.fault(strings.TrimSuffix(setting, "groups.")+"preset", "there is no preset "+name, mend)
		return
	}
	for _, r := range all[i].Rules {
		if r.Type == b.typ {
			b.set(Rule{Path: r.Path, Expression: r.Expression, Place: "preset " + name, Setting: "preset " + name})
			b.setMade(r)
		}
	}
}

// setMade compiles the condition under which a preset's value is made up.
func (b *table) setMade(r PresetRule) {
	for i := range b.rows {
		if b.rows[i].Path != r.Path || b.rows[i].rule == nil || r.Made == "" {
			continue
		}
		made, err := b.env.Compile(r.Made)
		if err != nil {
			b.fault("preset", err.Error(), "report this")
			return
		}
		b.rows[i].rule.made = made
	}
}
